"""The media of a call in numbers, and over time as lines."""

from __future__ import annotations

import re

import pytest

from gateway.admin.pages.figures.sound import course_lines, streams
from gateway.base.json_codec import Json

COURSE: Json = [[10.0, 0.0, 1.2, 4.4], [20.0, 0.031, 9.5, 3.1], [30.0, None, None, None], [40.0, 0.001, 2.0, 4.3]]


def test_each_measure_is_a_line_with_its_worst_moment() -> None:
    lines = course_lines(COURSE, "The phone")
    assert [(line.name, line.worst, line.when) for line in lines] == [
        ("Score (MOS)", "3.1", "0:20"),
        ("Loss", "3.1 %", "0:20"),
        ("Jitter", "10 ms", "0:20"),
    ]
    assert "Score (MOS) of The phone over 0:40: at worst 3.1, at 0:20" in lines[0].figure


def test_where_nothing_came_the_line_has_a_gap() -> None:
    [score, *_] = course_lines(COURSE, "The phone")
    assert len(re.findall("<polyline", score.figure)) == 2


def test_small_loss_is_drawn_small() -> None:
    [_, loss, _] = course_lines([[10.0, 0.0, 1, 4.4], [20.0, 0.001, 1, 4.4]], "x")
    heights = [float(pair.split(",")[1]) for pair in re.findall(r"[\d.]+,[\d.]+", loss.figure)]
    assert max(heights) - min(heights) < 1


@pytest.mark.parametrize(
    "course",
    [None, [], "x", {}, [[10.0, 0.0, 1.0, 4.4]], [[1], [2]], [["<b>", 1], [None]], [[True, 1, 1, 1], [-1, 1, 1, 1]]],
)
def test_a_report_of_another_form_shows_no_lines(course: Json) -> None:
    assert course_lines(course, "<script>") == ()


def test_what_a_peer_is_called_is_escaped() -> None:
    assert all("<script>" not in line.figure for line in course_lines(COURSE, "<script>"))


def test_a_stream_is_told_with_its_course() -> None:
    stream: Json = {"jitter": 1.5, "loss": 0.01, "MOS": 4.2, "stats": {"packets": 900}, "course": COURSE}
    call: dict[str, Json] = {"media": {"tags": {"caller": {"medias": [{"protocol": "RTP/AVP", "streams": [stream]}]}}}}
    [sent] = streams(call, {"caller": "The phone"}.__getitem__)
    assert (sent.source, sent.packets, sent.loss, sent.mos, len(sent.course)) == ("The phone", 900, "1.0 %", 4.2, 3)
