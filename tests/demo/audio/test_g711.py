"""G.711 mu-law: values of ITU-T G.711 table 2a/2b, and the way there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo import g711


@pytest.mark.parametrize(("sample", "code"), [(0, 0xFF), (32767, 0x80), (-32768, 0x00), (1000, 0xCE), (-1000, 0x4E)])
def test_known_codes(sample: int, code: int) -> None:
    assert g711.encode([sample]) == bytes([code])


def test_every_code_but_negative_zero_survives() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)
    assert g711.encode(g711.decode(codes)) == codes


@given(st.integers(-32635, 32635))
def test_error_stays_within_a_step(sample: int) -> None:
    (back,) = g711.decode(g711.encode([sample]))
    assert abs(back - sample) <= 8 + abs(sample) // 32


def test_samples_beyond_16_bits_are_clipped() -> None:
    assert g711.encode([100_000, -100_000]) == g711.encode([32767, -32768])
