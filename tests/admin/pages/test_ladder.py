"""The ladder: phones left, the provider right, arrows as the messages went, copies thin."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gateway.admin.pages.figures.ladder import drawn, rungs
from gateway.base.json_codec import Json


def step(at: float, leg: str, direction: str, what: str) -> dict[str, Json]:
    return {"at": at, "leg": leg, "direction": direction, "what": what}


@pytest.mark.parametrize(
    ("direction", "leg", "passage", "told"),
    [
        ("outbound", "caller", "received", "phone to gateway: INVITE"),
        ("outbound", "callee", "sent", "gateway to provider: INVITE"),
        ("inbound", "caller", "received", "provider to gateway: INVITE"),
        ("inbound", "callee", "sent", "gateway to phone: INVITE"),
        ("internal", "callee", "received", "phone to gateway: INVITE"),
    ],
)
def test_a_message_runs_between_those_that_exchanged_it(direction: str, leg: str, passage: str, told: str) -> None:
    assert [rung.told for rung in rungs([step(1, leg, passage, "INVITE")], direction)] == [told]


def test_a_copy_is_thin_and_the_next_answer_of_that_status_is_not() -> None:
    steps = [
        step(10.0, "caller", "sent", "200 OK"),
        step(10.5, "caller", "sent", "200 OK"),
        step(10.6, "caller", "received", "ACK"),
        step(20.0, "caller", "received", "BYE"),
        step(20.1, "caller", "sent", "200 OK"),
    ]
    found = rungs(steps, "outbound")
    assert [rung.is_repeated for rung in found] == [False, True, False, False, False]
    assert found[4].after == pytest.approx(10.1)


def test_text_of_peers_is_escaped_and_cut() -> None:
    figure = str(drawn(rungs([step(1, "callee", "received", "486 <script>alert(1)</script>" + "x" * 300)], "outbound")))
    assert "<script" not in figure
    shown = [text.text or "" for text in ElementTree.fromstring(figure).iter("text")]
    assert [len(text) <= 34 for text in shown] == [True, True]
    assert shown[1] == "486"


def test_records_of_other_versions_are_drawn_all_the_same() -> None:
    assert drawn(rungs([{}, {"at": None, "what": 7}], "sideways"))
    assert drawn([])


def test_of_several_phones_each_message_has_the_number_of_its_phone_and_none_is_a_copy() -> None:
    steps = [{**step(1, "callee", "sent", "INVITE"), "fork": number} for number in (1, 2)]
    steps.append(step(2, "caller", "sent", "180 Ringing"))
    found = rungs(steps, "inbound")
    assert [rung.told for rung in found] == [
        "gateway to phone 1: INVITE",
        "gateway to phone 2: INVITE",
        "gateway to provider: 180 Ringing",
    ]
    assert [rung.short for rung in found] == ["1: INVITE", "2: INVITE", "180"]
    figure = str(drawn(found))
    shown = [text.text for text in ElementTree.fromstring(figure).iter("text")]
    assert shown == ["1: INVITE", "1: INVITE", "2: INVITE", "2: INVITE", "180 Ringing", "180"]
    lines = [line.get("x1") for line in ElementTree.fromstring(figure).iter("line") if line.get("class") is None]
    assert lines == ["50%", "50%", "50%"]
