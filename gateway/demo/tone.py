"""Tones: making one, and telling which ones are in what was heard.

What lives here: a steady sine, the sum of two sounds, and Goertzel's filter, which measures one frequency in a block of
samples for the price of one multiplication a sample. What does not: the codec (`g711`), counting packets (`ear`).

A block of 800 samples (100 ms) holds whole periods of every tone that is a multiple of 10 Hz, so that 440 Hz and 880
Hz do not leak into each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, pi, sin

from gateway.demo.g711 import RATE

FRAME = 160  # samples in the 20 ms that one packet carries
BLOCK = 800  # samples that are judged together
LOUDNESS = 8000  # amplitude of a tone, of 32767

_HEARD_SHARE = 0.05  # of a block's energy
_SILENCE = 100.0  # mean square; below it nothing is heard


class Tone:
    """A sine of `frequency` Hz that goes on from frame to frame without a click."""

    def __init__(self, frequency: int, loudness: int = LOUDNESS) -> None:
        self.frequency = frequency
        self._loudness = loudness
        self._position = 0

    def next_frame(self) -> list[int]:
        """The next 20 ms."""
        step = 2 * pi * self.frequency / RATE
        first, self._position = self._position, (self._position + FRAME) % RATE
        return [round(self._loudness * sin(step * (first + n))) for n in range(FRAME)]


def mixed(one: Sequence[int], other: Sequence[int], other_gain: float = 0.5) -> list[int]:
    """`one` with a quieter `other` added; the shorter one is followed by silence."""
    length = max(len(one), len(other))
    padded_one = [*one, *([0] * (length - len(one)))]
    padded_other = [*other, *([0] * (length - len(other)))]
    return [a + round(b * other_gain) for a, b in zip(padded_one, padded_other, strict=True)]


def share_of(frequency: int, samples: Sequence[int]) -> float:
    """The part of the samples' energy, 0 to 1, that lies at `frequency` Hz (Goertzel)."""
    energy = float(sum(sample * sample for sample in samples))
    if energy <= _SILENCE * len(samples):
        return 0.0
    coefficient = 2 * cos(2 * pi * frequency / RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + coefficient * last - before, last
    power = last * last + before * before - coefficient * last * before
    return 2 * power / (len(samples) * energy)


def tones_in(samples: Sequence[int], candidates: Iterable[int]) -> frozenset[int]:
    """Those of the candidate frequencies that are heard in the samples."""
    return frozenset(frequency for frequency in candidates if share_of(frequency, samples) >= _HEARD_SHARE)
