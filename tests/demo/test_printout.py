"""The report of the call: its ladder in the order of time, and when it counts as good."""

import pytest
from attrs import evolve

from gateway.demo.admin_client import ChainEntry, GatewayRecord, Rung
from gateway.demo.audio.listen import Heard
from gateway.demo.printout import GOOD_VERDICT, Outcome, ladder, report

RECORD = GatewayRecord(
    id="1",
    verdict=GOOD_VERDICT,
    reason="",
    ladder=({"at": 1.0, "leg": "caller", "direction": "received", "what": "INVITE"},),
    chain=(
        ChainEntry("callee", "offered", "SRTP offered as RTP/SAVP", "OFFERED_SAVP"),
        ChainEntry("callee", "outcome", "SRTP", ""),
    ),
)
CHALLENGED = GatewayRecord(
    "0",
    "UNANSWERED",
    "",
    ({"at": 0.0, "leg": "callee", "direction": "received", "what": "407 Proxy Authentication Required"},),
    (),
)
GOOD = Outcome((CHALLENGED, RECORD), Heard(200, 0, 0, (440, 880)), Heard(199, 1, 0, (440,)))


def test_a_good_call() -> None:
    assert GOOD.is_good


@pytest.mark.parametrize(
    "outcome",
    [
        evolve(GOOD, records=(evolve(RECORD, verdict="CLEAR"),)),
        evolve(GOOD, phone_heard=Heard(200, 0, 0, (440,))),
        evolve(GOOD, provider_heard=Heard(200, 0, 0, (880,))),
        evolve(GOOD, provider_heard=None),
    ],
)
def test_anything_less_is_not_good(outcome: Outcome) -> None:
    assert not outcome.is_good


def test_what_is_printed() -> None:
    text = report(GOOD)
    assert text.index("407 Proxy") < text.index("INVITE")
    assert "the phone plays 440 Hz (RTP) and heard: 440 Hz + 880 Hz; 200 packets, 0 lost (0.0 %)" in text
    assert "the provider plays 880 Hz and an echo (SRTP) and heard: 440 Hz; 199 packets, 1 lost (0.5 %)" in text
    assert "Verdict: ENCRYPTED_TO_PROVIDER\n" in text
    assert "  provider leg  offered   SRTP offered as RTP/SAVP [OFFERED_SAVP]\n  provider leg  outcome   SRTP" in text


def test_a_reason_is_printed_with_its_verdict() -> None:
    clear = evolve(GOOD, records=(evolve(RECORD, verdict="CLEAR", reason="CLEAR_POLICY_OFF"),), provider_heard=None)
    assert "Verdict: CLEAR [CLEAR_POLICY_OFF]" in report(clear)
    assert "heard: nothing was reported" in report(clear)


def _step(at: float, leg: str, direction: str, what: str) -> Rung:
    return {"at": at, "leg": leg, "direction": direction, "what": what}


STEPS = [
    _step(100.002, "callee", "sent", "INVITE"),
    _step(100.0, "caller", "received", "INVITE"),
    _step(100.0114, "callee", "received", "200 OK"),
    _step(101.0, "caller", "sent", "200 OK"),
]


def test_drawing() -> None:
    assert ladder(STEPS).splitlines() == [
        "         phone                       gateway                     provider",
        "   0.000 s |---------- INVITE --------->|                            |",
        "   0.002 s |                            |---------- INVITE --------->|",
        "   0.011 s |                            |<---------- 200 OK ---------|",
        "   1.000 s |<---------- 200 OK ---------|                            |",
    ]


def test_columns_line_up() -> None:
    rungs = ladder(STEPS).splitlines()[1:]
    bars = [[place for place, character in enumerate(rung) if character == "|"] for rung in rungs]
    assert all(places == bars[0] for places in bars)


def test_an_inbound_call_names_its_columns() -> None:
    assert ladder([], ("provider", "phone")).split() == ["provider", "gateway", "phone"]


@pytest.mark.parametrize("what", ["407 Proxy Authentication Required", "500 " + "x" * 100, "INVITE", ""])
def test_long_texts_are_cut_between_words(what: str) -> None:
    (_, rung) = ladder([_step(0.0, "caller", "sent", what)]).splitlines()
    assert len(rung) == len(ladder(STEPS).splitlines()[1])
    assert "Authentication" not in what or "<- 407 Proxy Authentication |" in rung
