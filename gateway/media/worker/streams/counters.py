"""Counters of an endpoint: plain integers, and loss and jitter sampled from the sequence numbers and timestamps of RTP.

Counting every packet costs an addition; measuring costs a microsecond, so one packet in SAMPLE is measured. Loss stays
exact at each sample: the sequence numbers that passed since the first packet, less the packets counted (RFC 3550 A.3).
Jitter is RFC 3550 section 6.4.1's, between sampled packets.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from struct import Struct
from typing import Final

from gateway.rtp.packet import HEADER_BYTES, VERSION, sequence_distance
from gateway.rtp.srtp import Cause, cause_of

SAMPLE: Final = 16
FAILURES: Final = (
    "authentication",
    "replay",
    "other",
    "malformed",
    "wrong_source",
    "early",
    "undelivered",
    "unsent",
)
"""The counters of packets that went no further, or not well."""
failures_of: Final[Callable[[Counters], tuple[int, ...]]] = attrgetter(*FAILURES)
_FIELDS: Final = Struct("!xxHII")
"""An RTP header's sequence number, timestamp and SSRC: an attrs value for each sample would cost twice as much."""
_RESTART: Final = 3_000
"""A sequence that jumps further than this in SAMPLE packets is a new one, not loss (RFC 3550 A.1's MAX_DROPOUT)."""


class Counters:
    """One endpoint's, of packets from its party. Times in the loop clock's seconds; jitter in timestamp units."""

    __slots__ = (
        "authentication",
        "base_packets",
        "bytes",
        "control_bytes",
        "control_packets",
        "early",
        "heard",
        "heard_packets",
        "interrupted",
        "jitter",
        "lost",
        "lost_before",
        "malformed",
        "other",
        "packets",
        "plain_control",
        "replay",
        "sequence",
        "span",
        "ssrc",
        "transit",
        "undelivered",
        "unsent",
        "wrong_source",
    )

    def __init__(self, now: float) -> None:
        self.packets = self.bytes = self.control_packets = self.control_bytes = 0
        self.authentication = self.replay = self.other = self.malformed = 0
        self.wrong_source = self.early = self.interrupted = self.undelivered = self.unsent = 0
        self.plain_control = 0
        self.heard = now
        self.heard_packets = 0
        self.ssrc = -1
        self.sequence = self.span = self.base_packets = self.lost = self.lost_before = 0
        self.transit = self.jitter = 0.0

    def notice(self, now: float) -> None:
        """Called now and then: bring `heard` up to date, which the hot path leaves alone."""
        if self.packets != self.heard_packets:
            self.heard_packets = self.packets
            self.heard = now

    def failed(self) -> int:
        """Packets that came here and went no further, or not well; not those that the kernel dropped."""
        return sum(failures_of(self))

    def anything(self) -> bool:
        """Whether any packet came here, good or bad."""
        return self.packets + self.control_packets + self.failed() > 0

    def fail(self, failure: int) -> None:
        """Count a packet that could not be unprotected or protected, by cause."""
        match cause_of(failure):
            case Cause.AUTHENTICATION:
                self.authentication += 1
            case Cause.REPLAY:
                self.replay += 1
            case Cause.OTHER:
                self.other += 1

    def measure(self, packet: memoryview, now: float, clock_rate: int) -> None:
        """Bring loss and jitter up to date from an RTP packet that was just counted."""
        if len(packet) < HEADER_BYTES or packet[0] >> 6 != VERSION:
            return
        sequence, timestamp, ssrc = _FIELDS.unpack_from(packet)
        distance = sequence_distance(self.sequence, sequence)
        if ssrc != self.ssrc or not -_RESTART < distance < _RESTART:
            self._restart(ssrc, sequence)
            distance = 0
        if distance >= 0:
            self.span += distance
            self.sequence = sequence
            lost = self.span + 1 - self.packets + self.base_packets
            self.lost = self.lost_before + lost if lost > 0 else self.lost_before
        transit = now * clock_rate - timestamp
        if distance and self.transit:
            # Timestamps wrap after 149 hours at 8 kHz: a jump of more than a second is no jitter.
            difference = abs(transit - self.transit)
            if difference < clock_rate:
                self.jitter += (difference - self.jitter) / 16
        self.transit = transit

    def _restart(self, ssrc: int, sequence: int) -> None:
        self.ssrc, self.sequence, self.span = ssrc, sequence, 0
        self.base_packets, self.lost_before = self.packets - 1, self.lost
        self.transit = 0.0
