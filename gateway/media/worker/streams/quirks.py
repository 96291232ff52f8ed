"""Needs of some parties that no standard asks for. All off unless configured, by side (phones, provider).

anywhere        RTP in clear is taken from any host, for parties with media that leave NAT by another address than their
                signalling, and not by the one in their SDP: the first that sends gets the call's audio (latch)
follow port     a party behind NAT that writes its own public address, and a wrong port: packets go where its come from
                though the host is the SDP's (latch)
restarts        a party that begins its sequence again under the same SSRC and key after a re-INVITE (Rebuild)
plain control   a party that sends SRTP may send RTCP in clear (Cisco SPA): taken from where its media comes from
                alone, its BYE left out, counted; it goes on protected as ever
constant SSRC   a party gets one SSRC and a continuous sequence for the whole call (rtp/constant_ssrc.py); its packets
                leave the hot path
"""

from __future__ import annotations

import secrets
from typing import Final

import attrs

from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.streams.latch import SocketAddress
from gateway.rtp.constant_ssrc import SteadyStream
from gateway.rtp.rtcp import without_goodbye

PERSISTENT_FAILURES: Final = 50
"""A second of packets that are too old or not authentic."""


@attrs.frozen
class Quirks:
    """The sides that need each."""

    plain_control: frozenset[str] = frozenset()
    constant_ssrc: frozenset[str] = frozenset()
    anywhere: frozenset[str] = frozenset()
    follow_port: frozenset[str] = frozenset()
    restarts: frozenset[str] = frozenset()

    def steady(self, side: str) -> SteadyStream | None:
        """A stream of its own for an endpoint on that side, if it needs one."""
        return SteadyStream(secrets.randbits(32)) if side in self.constant_ssrc else None


class Rebuild:
    """Whether a receiving session has to be made anew after a re-INVITE.

    A party that begins its sequence again under the same key and SSRC is taken for a replay (RFC 3711 section 3.3.2)
    until the session is new. That forgets which packets came before, and one that recorded them may play them again: so
    it is off unless configured, and then only when signalling has just spoken, when nothing good has come since, and
    once for each time that it spoke. A new SSRC or key needs none of this.
    """

    __slots__ = ("_failures", "_packets", "count", "is_armed")

    def __init__(self) -> None:
        self.count = 0
        self.is_armed = False
        self._packets = self._failures = 0

    def arm(self, counters: Counters) -> None:
        """Signalling described the party again."""
        self.is_armed = True
        self._packets, self._failures = counters.packets, _failures(counters)

    def is_due(self, counters: Counters) -> bool:
        """Asked now and then; true once."""
        if not self.is_armed:
            return False
        if counters.packets != self._packets:
            self.is_armed = False
            return False
        if _failures(counters) - self._failures < PERSISTENT_FAILURES:
            return False
        self.is_armed = False
        self.count += 1
        return True


def plain_control(packet: bytes, source: SocketAddress | None, locked: SocketAddress | None) -> bytes | None:
    """The part of an RTCP packet in clear that may pass beside SRTP, if any.

    `locked` is where media comes from; `source` None: from there, too.
    """
    if locked is None or (source is not None and source[0] != locked[0]):
        return None
    return without_goodbye(packet)


def _failures(counters: Counters) -> int:
    return counters.replay + counters.authentication
