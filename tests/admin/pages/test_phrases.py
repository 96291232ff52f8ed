"""Words of the pages: no share is rounded to all or nothing, long texts keep both ends, a party has a short name."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.pages.phrases import (
    CLAIMS,
    TONES,
    When,
    claim,
    clock_length,
    count,
    cut,
    party,
    seconds,
    share,
    span,
)
from gateway.security.policy.verdict import Verdict

NOW = 1_796_000_000.0


def test_every_verdict_has_words_a_tone_and_a_sign() -> None:
    assert set(CLAIMS) == {str(verdict) for verdict in Verdict}
    assert {one.tone for one in CLAIMS.values()} == set(TONES)
    pairs = {(one.tone, one.sign) for one in CLAIMS.values()}
    assert len(pairs) == len({sign for _, sign in pairs}) == len(TONES), "a tone has one sign, and a sign one tone"


def test_a_verdict_of_another_version_claims_nothing() -> None:
    assert claim("ENCRYPTED_BY_MAGIC").tone == "none"
    assert claim("").words == claim(None).words == "No verdict yet"


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "–"), (0, 9, "0 %"), (9, 9, "100 %"), (99_999, 100_000, "99.9 %"), (1, 100_000, "0.1 %"), (1, 3, "33.3 %")],
)
def test_a_share_is_all_or_nothing_only_where_that_is_so(part: int, whole: int, said: str) -> None:
    assert share(part, whole) == said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ('"Ana Kovač" <sip:ana@example.com>;tag=1', "Ana Kovač"),
        ("Ana <sip:ana@example.com>", "Ana"),
        ("<sip:+4930123@example.com;user=phone>", "+4930123"),
        ("sip:ana@example.com", "ana"),
        ("sips:example.com", "example.com"),
        ("tel:+4930123", "+4930123"),
        ("", "–"),
        (None, "–"),
    ],
)
def test_a_party_is_named_as_people_do(address: str | None, said: str) -> None:
    assert party(address) == said


@given(st.text(), st.integers(8, 60))
def test_a_long_text_keeps_both_ends(text: str, most: int) -> None:
    shown = cut(text, most)
    assert len(shown) <= most
    assert shown == text or (len(text) > most and shown[0] == text[0] and shown[-1] == text[-1])


def test_times_are_relative_in_lists_and_have_a_zone_elsewhere() -> None:
    when, local = When(NOW), When(NOW, ZoneInfo("Europe/Berlin"))
    assert when.ago(NOW - 200) == "3 min ago"
    assert when.ago(NOW - 2) == "just now"
    assert when.ago(NOW + 90) == "in 1 min"
    assert (when.exact(NOW).endswith(" UTC"), local.exact(NOW).endswith(" CET")) == (True, True)
    assert when.ago(None) == when.exact("yesterday") == when.exact(1e300) == "–"
    assert when.zone is UTC


def test_lengths_and_numbers() -> None:
    assert [clock_length(one) for one in (0, 247.9, 3753, None, True)] == ["0:00", "4:07", "1:02:33", "–", "–"]
    assert [count(one, "call") for one in (0, 1, 1204)] == ["0 calls", "1 call", "1,204 calls"]
    assert [seconds(one) for one in (0.0421, 1.26, None)] == ["42 ms", "1.3 s", "–"]
    assert [span(one) for one in (40, 60, 7200, 86_400, 200_000)] == ["40 s", "1 min", "2 h", "1 day", "2 days"]
