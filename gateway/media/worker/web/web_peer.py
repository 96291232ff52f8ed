"""The far end of one pair of ICE credentials: the addresses that it proved, the one it chose, its handshake; pure.

Not here: the packets that tell of all this, and the SDP that says which peer counts (web_end).
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.media.worker.streams.latch import SocketAddress
from gateway.media.worker.web.handshakes import DtlsHandshake
from gateway.media.worker.web.ice import IceCredentials

CONSENT_SECONDS: Final = 30.0
"""Without a check (RFC 7675 section 5.1); and for the first handshake, once both descriptions are there."""
MOST_ADDRESSES: Final = 8
"""Of one browser: its interfaces, twice."""


class PerSecond:
    """So many a second, by the loop's clock."""

    __slots__ = ("_count", "_most", "_since")

    def __init__(self, most: int) -> None:
        self._most, self._count, self._since = most, 0, 0.0

    def is_reached(self, now: float) -> bool:
        if now - self._since >= 1.0:
            self._since, self._count = now, 0
        return self._count >= self._most

    def note(self) -> None:
        self._count += 1


@attrs.define(eq=False)
class WebPeer:
    """The far end of one pair of credentials. Times in the loop clock's seconds."""

    ours: IceCredentials
    theirs: str = ""
    """Its ufrag; empty while nothing came."""
    far: IceCredentials | None = None
    """Its credentials, once its SDP has told them."""
    addresses: dict[SocketAddress, float] = attrs.field(factory=dict)
    """Those that it proved (address_proof), and when the last check came from each."""
    first: SocketAddress | None = None
    """The first source of a valid check, where the browser could not be asked yet, its SDP being on its way: it counts
    like the others until another has proved itself."""
    claims: dict[SocketAddress, bool] = attrs.field(factory=dict)
    """Sources before that SDP, the first included, to be asked when it is there; whether their last check was
    nominating."""
    nominated: SocketAddress | None = None
    target: SocketAddress | None = None
    """Where its DTLS came from last."""
    handshake: DtlsHandshake | None = None

    def is_valid(self, source: SocketAddress, now: float) -> bool:
        return now - self.addresses.get(source, -CONSENT_SECONDS) < CONSENT_SECONDS

    def claim(self, source: SocketAddress, *, is_nominating: bool) -> None:
        """A valid check came from there, and nobody can be asked yet. The first few are kept: others come again."""
        if source in self.claims or len(self.claims) < MOST_ADDRESSES:
            self.claims[source] = is_nominating

    def prove(self, source: SocketAddress) -> None:
        """This one is the browser's, and the first of all no longer counts without that."""
        if self.first not in (None, source):
            self.addresses.pop(self.first, None)
            if self.nominated == self.first:
                self.nominated = None
        self.first = None

    def hear(self, source: SocketAddress, now: float, *, is_nominating: bool) -> bool:
        """A valid check came from an address of it; whether it chooses another address to send to."""
        self.addresses.pop(source, None)
        self.addresses[source] = now
        if len(self.addresses) > MOST_ADDRESSES:
            del self.addresses[next(iter(self.addresses))]
        if source == self.nominated or not (is_nominating or self.nominated is None):
            return False
        self.nominated = source
        return True


def restart(before: WebPeer, peer: WebPeer) -> None:
    """ICE begins anew, the handshake goes on, and media go where they went until another address is chosen (RFC 8842
    section 5.5, RFC 8445 section 9)."""
    if peer.handshake is None:
        peer.handshake, before.handshake = before.handshake, None
        peer.target = before.target
        peer.addresses = {**before.addresses, **peer.addresses}
        peer.nominated = peer.nominated or before.nominated
        peer.first = peer.first or before.first
