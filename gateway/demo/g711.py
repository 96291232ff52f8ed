"""G.711 mu-law, the one codec that every phone speaks.

What lives here: 16-bit samples to bytes and back, by two tables made once. What does not: tones (`tone`), packets
(`media`). ITU-T G.711 table 2a/2b; RTP payload type 0 (RFC 3551 section 4.5.14). Python's `audioop` did this until it
was deprecated.
"""

from __future__ import annotations

from collections.abc import Sequence

PAYLOAD_TYPE = 0
RATE = 8000  # samples a second

_BIAS = 132
_CLIP = 32635
_STEP = 4  # mu-law's smallest step is 8, so every fourth sample value is enough for an exact table


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


def encode(samples: Sequence[int]) -> bytes:
    """One byte a sample; samples beyond 16 bits are clipped."""
    return bytes(_COMPRESSED[(min(max(sample, -32768), 32767) + 32768) // _STEP] for sample in samples)


def decode(data: bytes) -> list[int]:
    """The 16-bit samples of mu-law bytes."""
    return [_EXPANDED[code] for code in data]
