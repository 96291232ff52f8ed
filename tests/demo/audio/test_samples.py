"""G.711 mu-law (values of ITU-T G.711 table 2a/2b, there and back); tones are made at their frequency, and only those
that are there are heard.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.audio.samples import BLOCK, FRAME, Tone, from_mu_law, mixed, share_of, to_mu_law, tones_in

CANDIDATES = (440, 880, 1320)


def block_of(*tones: Tone) -> list[int]:
    samples = [0] * BLOCK
    for tone in tones:
        played = [sample for _ in range(BLOCK // FRAME) for sample in tone.next_frame()]
        samples = mixed(samples, played, other_gain=1.0)
    return samples


@pytest.mark.parametrize("frequency", CANDIDATES)
def test_a_tone_is_heard_alone(frequency: int) -> None:
    assert tones_in(block_of(Tone(frequency)), CANDIDATES) == {frequency}


def test_a_tone_and_a_quieter_echo_are_both_heard_through_the_codec() -> None:
    sound = mixed(block_of(Tone(880)), block_of(Tone(440)), other_gain=0.5)
    assert tones_in(from_mu_law(to_mu_law(sound)), CANDIDATES) == {440, 880}


def test_silence_and_faint_noise_have_no_tone() -> None:
    assert tones_in([0] * BLOCK, CANDIDATES) == frozenset()
    assert tones_in(block_of(Tone(440, loudness=4)), CANDIDATES) == frozenset()


def test_share_is_the_part_of_the_energy() -> None:
    assert share_of(440, block_of(Tone(440))) == pytest.approx(1.0, abs=0.01)
    assert share_of(440, block_of(Tone(440), Tone(880))) == pytest.approx(0.5, abs=0.01)


def test_frames_join_without_a_click() -> None:
    tone = Tone(440)
    played = [sample for _ in range(60) for sample in tone.next_frame()]
    largest_step = max(abs(after - before) for before, after in pairwise(played))
    assert largest_step < 8000 * 2 * 3.15 * 440 / 8000


def test_mixing_keeps_the_longer_sound() -> None:
    assert mixed([1, 2], [10, 20, 30], other_gain=1.0) == [11, 22, 30]
    assert mixed([1, 2], []) == [1, 2]


@pytest.mark.parametrize(("sample", "code"), [(0, 0xFF), (32767, 0x80), (-32768, 0x00), (1000, 0xCE), (-1000, 0x4E)])
def test_known_codes(sample: int, code: int) -> None:
    assert to_mu_law([sample]) == bytes([code])


def test_every_code_but_negative_zero_survives() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)
    assert to_mu_law(from_mu_law(codes)) == codes


@given(st.integers(-32635, 32635))
def test_error_stays_within_a_step(sample: int) -> None:
    (back,) = from_mu_law(to_mu_law([sample]))
    assert abs(back - sample) <= 8 + abs(sample) // 32


def test_samples_beyond_16_bits_are_clipped() -> None:
    assert to_mu_law([100_000, -100_000]) == to_mu_law([32767, -32768])
