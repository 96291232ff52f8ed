"""Tones: written as WAV files, found again in recordings and in G.711 payloads.

A tone is looked for in windows of 50 ms with Goertzel's filter: no library needed, and fast enough in Python for
the few seconds a test records. `share` is the part of all windows in which the tone carries most of the power, so a
burst at the start cannot pass for a call, and the other side's tone cannot pass for an echo.
"""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

import attrs

RATE = 8000  # samples per second
WINDOW = 400  # samples: 50 ms, a whole number of periods of 440 and 880 Hz
SILENCE = 1e4  # mean square of a sample below which a window is silence (about -50 dB of full scale)
DOMINANT = 0.6  # share of a window's power that must lie on the tone


@attrs.frozen
class Heard:
    """What a recording holds of one frequency."""

    hertz: int
    seconds: float  # length of the recording
    share: float  # part of all windows in which this tone dominates, 0..1
    strength: float  # mean part of the power on the tone in those windows, 0..1

    @property
    def tone_seconds(self) -> float:
        return self.seconds * self.share


def tone(hertz: int, seconds: float, amplitude: int = 12000) -> list[int]:
    """Samples of a sine, 16 bit, 8 kHz."""
    step = 2 * math.pi * hertz / RATE
    return [round(amplitude * math.sin(step * n)) for n in range(int(seconds * RATE))]


def write_wav(path: Path, samples: Sequence[int]) -> Path:
    """Write 8 kHz mono 16 bit."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def read_wav(path: Path) -> list[int]:
    """Samples of a 16-bit mono file at 8 kHz, even of one whose writer was killed before it wrote the sizes."""
    data = path.read_bytes()
    if len(data) < 44 or data[:4] != b"RIFF":
        return []
    at, channels, rate = 12, 1, RATE
    while data[at : at + 4] != b"data":
        if data[at : at + 4] == b"fmt ":
            channels, rate = struct.unpack_from("<HI", data, at + 10)
        at += 8 + struct.unpack_from("<I", data, at + 4)[0]
        if at + 8 > len(data):
            return []
    assert (channels, rate) == (1, RATE), f"{path}: {channels} channels at {rate} Hz"
    body = data[at + 8 :]
    return list(struct.unpack(f"<{len(body) // 2}h", body[: len(body) // 2 * 2]))


def goertzel(samples: Sequence[int], hertz: int) -> float:
    """Power of one frequency as a part of all power of these samples, 0..1 (1: a pure tone)."""
    total = float(sum(sample * sample for sample in samples))
    if total == 0:
        return 0.0
    weight = 2 * math.cos(2 * math.pi * hertz / RATE)
    before, last = 0.0, 0.0
    for sample in samples:
        before, last = last, sample + weight * last - before
    power = before * before + last * last - weight * before * last
    return power / (total * len(samples) / 2)


def listen(samples: Sequence[int], hertz: int) -> Heard:
    """How much of these samples is this tone."""
    windows = [samples[at : at + WINDOW] for at in range(0, len(samples) - WINDOW + 1, WINDOW)]
    parts = [goertzel(window, hertz) for window in windows if _is_loud(window)]
    tonal = [part for part in parts if part >= DOMINANT]
    return Heard(
        hertz=hertz,
        seconds=len(samples) / RATE,
        share=len(tonal) / len(windows) if windows else 0.0,
        strength=sum(tonal) / len(tonal) if tonal else 0.0,
    )


def assert_hears(samples: Sequence[int], hertz: int, *, never: int, seconds: float = 1.5, who: str = "") -> None:
    """The tone is there for at least so long, and the other one (our own: an echo or a loop) is not."""
    wanted, unwanted = listen(samples, hertz), listen(samples, never)
    assert wanted.tone_seconds >= seconds, f"{who} does not hear {hertz} Hz: {wanted}; {never} Hz: {unwanted}"
    assert unwanted.tone_seconds <= 0.1, f"{who} hears its own {never} Hz: {unwanted}"


def _is_loud(window: Sequence[int]) -> bool:
    return sum(sample * sample for sample in window) / len(window) > SILENCE


def decode_g711(payload: bytes, payload_type: int) -> list[int]:
    """Samples of PCMU (payload type 0) or PCMA (8); nothing for any other type."""
    table = {0: _ULAW, 8: _ALAW}.get(payload_type)
    return [table[byte] for byte in payload] if table else []


def encode_ulaw(samples: Sequence[int]) -> bytes:
    """PCMU of these samples."""
    return bytes(_encode_one(sample) for sample in samples)


def _encode_one(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 0x84
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def _decode_ulaw(byte: int) -> int:
    byte = ~byte & 0xFF
    magnitude = (((byte & 0x0F) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -magnitude if byte & 0x80 else magnitude


def _decode_alaw(byte: int) -> int:
    byte ^= 0x55
    exponent, mantissa = byte >> 4 & 7, (byte & 0x0F) << 4
    magnitude = mantissa + 8 if exponent == 0 else mantissa + 0x108 << exponent - 1
    return magnitude if byte & 0x80 else -magnitude


_ULAW = [_decode_ulaw(byte) for byte in range(256)]
_ALAW = [_decode_alaw(byte) for byte in range(256)]
