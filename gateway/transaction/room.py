"""Room for server transactions: how many there may be, and how many bytes they and their requests may hold.

    new request -> is_oversized: 513 -> has_room, else 503 -> hold(...) notes its bytes until they are let go of

A request costs its sender one packet and us 32 seconds: the request until its final response, and a copy of it on the
way to a provider that is silent; then the response for copies of the request. On the phones' side nothing is proved by
then. So bytes are counted, of one source (an address) and of all together, and requests beyond are answered without
state (RFC 3261 section 8.2.7). The order: the size first, since it depends on the request alone; then room, which the
requests of others fill.

A response repeats Via, From, To, Call-ID and CSeq as they came, so that it cannot be cut; a request with more of them
than LONGEST_IDENTITY is no phone's.

A quarter more is for requests within dialogs that are up, so that calls can end, for emergency calls, and for the
provider's side, where a stranger's request does not come as far as this (ingress/gate.py). Of that quarter, half may go
to phones that are registered: a source is an address, and an office behind NAT has one, so that whoever is there could
fill its share. The other half is never theirs, or one of them could keep an emergency call out. The requests that the
gateway itself sends are held, too: they count to the bytes of all.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol

from attrs import frozen

from gateway.config.model import Side
from gateway.sip.headers import length_of
from gateway.sip.message import IDENTIFIES, Request
from gateway.transport.flow import Flow

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PHONES: Final = Side.PHONES

MIB: Final = 1024 * 1024
LONGEST_IDENTITY: Final = 4096
"""Characters of the lines that a response repeats, on the phones' side."""
OVERHEAD: Final = 1500
"""Bytes of a transaction by itself, with its keys and timers."""
INVITE_OVERHEAD: Final = 8000
"""The same of an INVITE that waits, with its leg."""
COPIES: Final = 2
"""A request is held as it came and as it goes on."""


class Claim(IntEnum):
    """The part of the room beyond the ceiling that a request may have, in eighths of the ceiling."""

    NONE = 0
    REGISTERED = 1
    URGENT = 2


@frozen
class Ceiling:
    """The number of server transactions at a time, the bytes that they hold, of all and of one source, and the seconds
    of Retry-After for those above it."""

    server_transactions: int = 100_000
    retry_after: int = 10  # seconds
    held: int = 256 * MIB
    held_per_source: int = 48 * MIB
    longest_request: int = 32 * 1024
    """On the phones' side, bytes."""


class Waiting(Protocol):
    """Messages that wait for their turn: a `Crowd`."""

    @property
    def waited(self) -> float:
        """Seconds that the message has waited that is being worked on."""


@frozen
class _NothingWaits:
    waited: float = 0.0


NOTHING_WAITS: Final[Waiting] = _NothingWaits()


class Holder(Protocol):
    """A transaction, as far as its bytes go."""

    held: int

    @property
    def payer(self) -> str:
        """The source that they count to; empty for none."""


class Room:
    """The bytes that transactions hold."""

    def __init__(self, ceiling: Ceiling) -> None:
        self.ceiling = ceiling
        self.held = 0
        self._by_source: dict[str, int] = {}

    def is_oversized(self, request: Request, flow: Flow, size: int) -> bool:
        """Whether a request of that size is too large for one of a phone, as a whole or in the lines that its response
        repeats."""
        if flow.side is not _PHONES or size <= LONGEST_IDENTITY:
            return False
        return size > self.ceiling.longest_request or length_of(request.headers.select(IDENTIFIES)) > LONGEST_IDENTITY

    def has_room(self, size: int, payer: str, transactions: int, claim: Callable[[], Claim]) -> bool:
        """Whether a new request of that size may begin a transaction while there are so many. `claim` is asked where it
        needs more than the ceiling."""
        if self._fits(size, payer, transactions, Claim.NONE):
            return True
        return self._fits(size, payer, transactions, Claim.URGENT) and self._fits(size, payer, transactions, claim())

    def hold(self, holder: Holder, size: int) -> None:
        """A transaction holds so many bytes from now on, 0 at its end."""
        change, holder.held = size - holder.held, size
        self.held += change
        source = holder.payer
        if not source:
            return
        left = self._by_source.get(source, 0) + change
        if left > 0:
            self._by_source[source] = left
        else:
            self._by_source.pop(source, None)

    @property
    def sources(self) -> int:
        """Sources that hold anything: no others are remembered."""
        return len(self._by_source)

    def _fits(self, size: int, payer: str, transactions: int, claim: Claim) -> bool:
        """Whether there is room for a request of that claim."""
        ceiling, wanted, eighths = self.ceiling, OVERHEAD + COPIES * size, 8 + claim
        return (
            8 * transactions < eighths * ceiling.server_transactions
            and 8 * (self.held + wanted) <= eighths * ceiling.held
            and 8 * (self._by_source.get(payer, 0) + wanted) <= eighths * ceiling.held_per_source
        )


def overhead_of(request: Request) -> int:
    """Bytes besides a request's own while it waits for its answer."""
    return INVITE_OVERHEAD if request.method == "INVITE" else OVERHEAD


def size_of(request: Request) -> int:
    """Bytes of a request, nearly."""
    return len(request.uri) + length_of(request.headers) + len(request.body)


def payer_of(flow: Flow) -> str:
    """The source that the requests of a flow count to; empty on the provider's side."""
    return flow.source if flow.side is _PHONES else ""
