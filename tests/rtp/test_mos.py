"""The simplified E-model against figures computed by hand from its formula, and against G.107's own table of MOS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.mos import mean_opinion_score, rating, score_of


@pytest.mark.parametrize(
    ("codec", "loss", "delay", "expected"),
    [
        ("PCMU", 0, 0, 93.2),
        ("PCMA", 0, 100, 90.8),  # 0.024 * 100
        ("PCMU", 0, 277.3, 93.2 - 0.024 * 277.3 - 11),
        ("PCMU", 0.02, 0, 93.2 - 95 * 2 / 27.1),
        ("g729", 0.01, 0, 93.2 - 11 - 84 / 20),
        ("unknown", 0, 0, 93.2),
        ("PCMU", 1, 1_000, 0),
    ],
)
def test_rating(codec: str, loss: float, delay: float, expected: float) -> None:
    assert rating(codec, loss, delay) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "score"), [(93.2, 4.41), (90, 4.34), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0)]
)
def test_scores_are_those_of_the_recommendation(value: float, score: float) -> None:
    """G.107 table B.1."""
    assert score_of(value) == pytest.approx(score, abs=0.006)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 2_000), st.floats(0, 2_000))
def test_more_loss_or_delay_is_never_better(loss: float, more: float, delay: float, longer: float) -> None:
    one = mean_opinion_score("PCMU", min(loss, more), min(delay, longer))
    other = mean_opinion_score("PCMU", max(loss, more), max(delay, longer))
    assert 1 <= other <= one + 1e-9 <= 4.5
