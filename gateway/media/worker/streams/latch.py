"""Sources that may send to a port: symmetric RTP with a lock (RFC 4961; against RTP-bleed).

A phone behind NAT cannot know the address its packets will come from, so the SDP may be wrong and the first source is
believed. Believing every source would hand the call to any stranger that sprays the port range. Hence:

    hosts   of a party without SRTP: the host in its SDP and the one that its signalling comes from, since nothing else
            tells a stranger's packet from the party's. Any port of theirs, which NAT chooses. With SRTP a packet
            proves itself, and its host does not matter; nor does it where that is configured (quirks)
    open    any source at these hosts is admitted; the first one locks (with SRTP: only after its packet was authentic)
    locked  that source alone, with two exceptions: the very address the SDP names may still take over (a faster
            stranger loses as soon as the real party speaks), and another source after the locked one fell silent

Signalling that names another address opens the latch again. Packets go to the locked source, except where its host is
the one in the SDP: no NAT is between, and a party that sends from another port than it listens on means it
(RFC 4961 is no duty; RFC 3264 section 5.1). Pure: time is an argument.
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
    hosts: frozenset[str] | None = None
    """Where a source may be; None: anywhere."""
    follows_port: bool = False
    """Whether packets go to the locked source even where its host is the SDP's."""

    @property
    def target(self) -> SocketAddress | None:
        """Where to send: the locked source, or the address in the SDP."""
        if self.source is None or self.expected is None:
            return self.source or self.expected
        is_same_host = self.source[0] == self.expected[0]
        return self.expected if is_same_host and not self.follows_port else self.source

    def expect(self, address: SocketAddress | None, hosts: frozenset[str] | None = None) -> bool:
        """Take the address in the SDP, and where sources may be; whether that opens the latch: the address is another,
        or the locked source is shut out."""
        is_shut_out = self.source is not None and hosts is not None and self.source[0] not in hosts
        is_moved = address != self.expected or is_shut_out
        self.expected, self.hosts = address, hosts
        if is_moved:
            self.source = None
        return is_moved

    def admits(self, source: SocketAddress, silence: float) -> bool:
        """Whether a packet from `source` may be looked at, `silence` seconds after the last good packet."""
        if self.hosts is not None and source[0] not in self.hosts:
            return False
        return self.source is None or source in (self.source, self.expected) or silence > SILENCE_SECONDS

    def lock(self, source: SocketAddress) -> bool:
        """Lock to the `source` of a good packet; whether that is a change."""
        if source == self.source:
            return False
        self.source = source
        return True
