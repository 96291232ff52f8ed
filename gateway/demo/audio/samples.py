"""Sound as 16-bit samples: G.711 mu-law, the codec of every phone, and tones, made and found.

Lives here: samples to bytes and back, by two tables made once (ITU-T G.711 table 2a/2b; RTP payload type 0, RFC 3551
section 4.5.14; Python's `audioop` did this until it was deprecated), a steady sine, the sum of two sounds, and
Goertzel's filter, which measures one frequency in a block of samples for the price of one multiplication a sample. Not
here: packets and their count.

A block of 800 samples (100 ms) holds whole periods of every tone that is a multiple of 10 Hz, so that 440 Hz and 880
Hz do not leak into each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, pi, sin

PAYLOAD_TYPE = 0

RATE = 8000  # samples a second

FRAME = 160  # samples in the 20 ms that one packet carries

BLOCK = 800  # samples that are judged together

LOUDNESS = 8000  # amplitude of a tone, of 32767

_BIAS = 132

_CLIP = 32635

_STEP = 4  # mu-law's smallest step is 8, so every fourth sample value is enough for an exact table

_HEARD_SHARE = 0.05  # of a block's energy

_SILENCE = 100.0  # mean square; below it nothing is heard


def _expand(code: int) -> int:
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) << 3) + _BIAS) << (inverted >> 4 & 0x07)
    return _BIAS - magnitude if inverted & 0x80 else magnitude - _BIAS


def _compress(sample: int) -> int:
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = magnitude >> (exponent + 3) & 0x0F
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | mantissa) & 0xFF


_EXPANDED = tuple(_expand(code) for code in range(256))

_COMPRESSED = bytes(_compress(sample) for sample in range(-32768, 32768, _STEP))


def to_mu_law(samples: Sequence[int]) -> bytes:
    """One byte a sample; samples beyond 16 bits are clipped."""
    return bytes(_COMPRESSED[(min(max(sample, -32768), 32767) + 32768) // _STEP] for sample in samples)


def from_mu_law(data: bytes) -> list[int]:
    """The 16-bit samples of mu-law bytes."""
    return [_EXPANDED[code] for code in data]


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
