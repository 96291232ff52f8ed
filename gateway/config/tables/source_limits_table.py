"""The table [limits]: the share of one source in all that waits for others, and the wrong passwords that are passed on.

Not here: limits of calls by number and hour, limits of listeners (`model`).
"""

from typing import Annotated

import attrs

from gateway.config.structuring import number


@attrs.frozen
class SourceLimits:
    """[limits]: the share of one source in all that waits for others. Emergency calls have a reserve beyond it."""

    unanswered_calls_per_source: Annotated[int, number(1, 20_000)] = 200
    """Calls that nobody has answered yet, of one address (IPv6: one /64) on the phones' side, whose callers are not
    registered here; an office behind NAT is one address. They have a quarter of the media ports, too."""
    unanswered_calls_per_phone: Annotated[int, number(1, 20_000)] = 500
    """The same of one registered address of record over its own flow, which may be a telephone system's."""
    waiting_mib_per_source: Annotated[int, number(1, 4096)] = 48
    """MiB of requests that wait, and of answers kept for copies of requests, of one address on the phones' side."""
    longest_request_kib: Annotated[int, number(4, 64)] = 32
    """KiB of one request of a phone."""
    waiting_mib: Annotated[int, number(1, 65_536)] = 256
    """The same of all together."""
    wrong_passwords_per_source: Annotated[int, number(1, 100)] = 5
    """Wrong passwords for one user from one address before more are answered here."""
    wrong_passwords_per_user: Annotated[int, number(1, 1000)] = 10
    """The same for one user from all addresses, and from one address for all users, where no phone is known there."""
    wrong_password_seconds: Annotated[int, number(10, 86_400)] = 300
    """Seconds that a wrong password counts."""
