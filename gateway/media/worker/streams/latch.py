"""Sources that may send to a port: symmetric RTP with a lock (RFC 4961; against RTP-bleed).

A phone behind NAT cannot know the address its packets will come from, so the SDP may be wrong and the first source is
believed. Believing every later source would hand the call to any stranger that sprays the port range. Hence:

    open    any source is admitted; the first one locks (with SRTP: only after its packet was authentic)
    locked  that source alone, with two exceptions: the very address the SDP names may still take over (a faster
            stranger loses as soon as the real party speaks), and any source after the locked one fell silent

Signalling that names another address opens the latch again. Pure: time is an argument.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs

SILENCE_SECONDS: Final = 3.0
"""A locked source that sent nothing for so long may have moved."""

SocketAddress: TypeAlias = tuple[str, int]


@attrs.define
class Latch:
    """The lock of one port."""

    expected: SocketAddress | None = None
    """The SDP's; None when it names no address (c=0.0.0.0)."""
    source: SocketAddress | None = None
    """Locked to; None while open."""

    @property
    def target(self) -> SocketAddress | None:
        """Where to send: the locked source, else the address in the SDP."""
        return self.source or self.expected

    def expect(self, address: SocketAddress | None) -> bool:
        """Take the address in the SDP; whether it is another, which opens the latch."""
        if address == self.expected:
            return False
        self.expected = address
        self.source = None
        return True

    def admits(self, source: SocketAddress, silence: float) -> bool:
        """Whether a packet from `source` may be looked at, `silence` seconds after the last good packet."""
        return self.source is None or source in (self.source, self.expected) or silence > SILENCE_SECONDS

    def lock(self, source: SocketAddress) -> bool:
        """Lock to the `source` of a good packet; whether that is a change."""
        if source == self.source:
            return False
        self.source = source
        return True
