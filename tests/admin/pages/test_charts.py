"""Figures: well-formed, bounded by their frame, escaped, and told in words."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.pages.figures.charts import HEIGHT, Bar, Segment, lane, sparkline, stacked
from gateway.admin.pages.phrases import TONES

counts = st.dictionaries(st.sampled_from(TONES), st.integers(0, 10**6))


@given(st.lists(counts, max_size=30))
def test_bars_stay_within_their_frame(hours: list[dict[str, int]]) -> None:
    figure = ElementTree.fromstring(stacked([Bar(f"hour {index}", tones) for index, tones in enumerate(hours)], "x"))
    for bar, tones in zip(figure, hours, strict=True):
        parts = [part for part in bar if part.get("class") not in (None, "t-over", "t-empty")]
        assert len(parts) == sum(number > 0 for number in tones.values()), "each tone that is there can be seen"
        assert all(0 <= float(part.get("y") or 0) <= HEIGHT for part in parts)


def test_a_bar_is_told_in_words_and_escaped() -> None:
    text = str(stacked([Bar('<b>"9"</b>', {"encrypted": 1204, "clear": 1})], 'a "label"'))
    assert "1,204 encrypted to the provider, 1 in clear" in text
    assert "<b>" not in text
    assert 'aria-label="a &#34;label&#34;"' in text


def test_the_best_is_at_the_bottom() -> None:
    figure = ElementTree.fromstring(stacked([Bar("x", {"clear": 5, "encrypted": 5})], "x"))
    tops = {part.get("class"): float(part.get("y") or 0) for part in figure[0] if part.tag == "rect"}
    assert (tops["t-clear"], tops["t-encrypted"]) == (0, HEIGHT / 2)


def test_a_line_has_a_gap_where_nothing_is_known() -> None:
    figure = ElementTree.fromstring(sparkline([1.0, 2.0, None, 3.0, None], "x"))
    assert len(figure) == 2
    assert len(ElementTree.fromstring(sparkline([None, None], "x"))) == 0
    assert len(ElementTree.fromstring(sparkline([4.0] * 24, "x"))) == 1


def test_a_lane_has_its_segments_in_the_order_of_time() -> None:
    figure = ElementTree.fromstring(lane((Segment(0.25, "encrypted", "SRTP"), Segment(0.75, "clear", "RTP")), "Media"))
    assert [(part.get("x"), part.get("width"), part.get("class")) for part in figure] == [
        ("0.00%", "25.00%", "t-encrypted"),
        ("25.00%", "75.00%", "t-clear"),
    ]
