"""The course of the client, for people: renewals with their cause and result, and DHCP servers that it does not know.

Pure. Both are bounded: a server on the wire can name itself as it likes, so of others a few are kept, and the rest are
counted.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Final

import attrs

MOST_SERVERS: Final = 8


class RenewalCause(StrEnum):
    """Why a lease was renewed."""

    LEASE = "lease"
    """Its time had come."""
    ASKED = "asked"
    """The gateway, or an operator, asked for it."""


class RenewalResult(StrEnum):
    """The outcome of that."""

    SAME = "same"
    """The same address."""
    OTHER = "other"
    REFUSED = "refused"
    """The server has no such lease any more."""
    SILENT = "silent"
    """No server answered."""
    ENDED = "ended"
    """The lease ended without an answer."""


@attrs.frozen
class LeaseRenewal:
    """One of them."""

    cause: RenewalCause
    result: RenewalResult
    at: float
    """Seconds of the client's clock."""


class Renewals:
    """The latest one, and their numbers."""

    def __init__(self) -> None:
        self.latest: LeaseRenewal | None = None
        self.counts: Counter[tuple[RenewalCause, RenewalResult]] = Counter()

    def note(self, cause: RenewalCause, result: RenewalResult, now: float) -> None:
        """One has its outcome."""
        self.latest = LeaseRenewal(cause, result, now)
        self.counts[cause, result] += 1


@attrs.frozen
class OtherServer:
    """A DHCP server that answered this client, and is not the one that it chose."""

    address: str
    """As it names itself."""
    mac: bytes
    at: float
    """When it was last heard."""


class OtherServers:
    """Those that were heard, the latest of them by name."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], OtherServer] = {}
        self.count = 0
        """Replies of all of them."""

    @property
    def known(self) -> tuple[OtherServer, ...]:
        """A few of them, the first heard first."""
        return tuple(self._known.values())

    def note(self, address: str, mac: bytes, now: float) -> None:
        """One answered. Its first appearance counts: a flood of made-up names does not drive out the first ones."""
        self.count += 1
        key = address, mac
        if key in self._known or len(self._known) < MOST_SERVERS:
            self._known[key] = OtherServer(address, mac, now)


class RefusedReplies:
    """Replies that were not taken: their numbers by kind, and the reason of the latest."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.latest = ""

    def note(self, kind: str, reason: str = "") -> None:
        """One was refused; without a reason it was merely not the time for it."""
        self.counts[kind] += 1
        self.latest = reason or self.latest


class Setbacks:
    """RefusedReplies in a row, each of which is waited for longer than for the one before."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self.count = 0

    def next_wait(self, least: float = 0.0) -> float:
        """Seconds to the next try: none (or ``least``) after the first one, then 1, 2, 4 and so on."""
        self.count += 1
        return max(least, 0.0 if self.count == 1 else min(self._longest, 2.0 ** min(self.count - 2, 20)))

    def forget(self) -> None:
        """All went well."""
        self.count = 0
