"""The audio that arrives at one end of a call: packets, losses, and the tones in them.

Lives here: the running count (`Ear`) and its result (`Heard`), which the provider sends to the demonstration as
JSON. Not here: sockets and decryption. Losses are counted as in RFC 3550 appendix A.3: packets expected by the
extended sequence number, less packets received.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import frozen

from gateway.demo.audio.samples import BLOCK, tones_in
from gateway.rtp.packet import sequence_distance

CANDIDATES = (440, 880, 1320)  # Hz; the last one is never played: hearing it means that the measurement is broken


@frozen
class Heard:
    """The audio that arrived at one end of a call."""

    packets: int
    lost: int
    unreadable: int  # packets that could not be decrypted or parsed
    tones: tuple[int, ...]  # Hz; each was there at least half of the time

    def sentence(self) -> str:
        """For people: one line."""
        tones = " + ".join(f"{tone} Hz" for tone in self.tones) or "no tone"
        share = 100 * self.lost / max(1, self.packets + self.lost)
        unreadable = f", {self.unreadable} unreadable" if self.unreadable else ""
        return f"{tones}; {self.packets} packets, {self.lost} lost ({share:.1f} %){unreadable}"


class Ear:
    """Counts and judges the packets of one stream."""

    def __init__(self, candidates: Sequence[int] = CANDIDATES) -> None:
        self._candidates = candidates
        self._packets = 0
        self._unreadable = 0
        self._first: int | None = None
        self._highest = 0
        self._samples: list[int] = []
        self._blocks = 0
        self._blocks_with: Counter[int] = Counter()

    def receive(self, sequence: int, samples: Sequence[int]) -> None:
        """One packet: its 16-bit sequence number and its audio."""
        self._packets += 1
        self._count_sequence(sequence)
        self._samples.extend(samples)
        while len(self._samples) >= BLOCK:
            self._judge(self._samples[:BLOCK])
            del self._samples[:BLOCK]

    def receive_unreadable(self) -> None:
        """One packet that no sense could be made of."""
        self._unreadable += 1

    def heard(self) -> Heard:
        """The count and the tones so far."""
        expected = 0 if self._first is None else self._highest - self._first + 1
        tones = tuple(tone for tone in self._candidates if 0 < self._blocks <= 2 * self._blocks_with[tone])
        return Heard(self._packets, max(0, expected - self._packets), self._unreadable, tones)

    def _count_sequence(self, sequence: int) -> None:
        if self._first is None:
            self._first = self._highest = sequence
            return
        ahead = sequence_distance(self._highest & 0xFFFF, sequence)
        self._highest = max(self._highest, self._highest + ahead)

    def _judge(self, block: Sequence[int]) -> None:
        self._blocks += 1
        self._blocks_with.update(tones_in(block, self._candidates))
