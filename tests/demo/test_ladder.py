"""A ladder has three columns and an arrow for each message, in the order of time."""

import pytest

from gateway.demo.ladder import Step, draw

STEPS = [
    Step(100.002, "callee", "sent", "INVITE"),
    Step(100.0, "caller", "received", "INVITE"),
    Step(100.0114, "callee", "received", "200 OK"),
    Step(101.0, "caller", "sent", "200 OK"),
]


def test_drawing() -> None:
    assert draw(STEPS).splitlines() == [
        "         phone                       gateway                     provider",
        "   0.000 s |---------- INVITE --------->|                            |",
        "   0.002 s |                            |---------- INVITE --------->|",
        "   0.011 s |                            |<---------- 200 OK ---------|",
        "   1.000 s |<---------- 200 OK ---------|                            |",
    ]


def test_columns_line_up() -> None:
    rungs = draw(STEPS).splitlines()[1:]
    bars = [[place for place, character in enumerate(rung) if character == "|"] for rung in rungs]
    assert all(places == bars[0] for places in bars)


def test_an_inbound_call_names_its_columns() -> None:
    assert draw([], caller="provider", callee="phone").split() == ["provider", "gateway", "phone"]


@pytest.mark.parametrize("what", ["407 Proxy Authentication Required", "500 " + "x" * 100, "INVITE", ""])
def test_long_texts_are_cut_between_words(what: str) -> None:
    (_, rung) = draw([Step(0.0, "caller", "sent", what)]).splitlines()
    assert len(rung) == len(draw(STEPS).splitlines()[1])
    assert "Authentication" not in what or "<- 407 Proxy Authentication |" in rung
