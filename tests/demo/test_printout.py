"""The report of the call, and when it counts as good."""

import pytest
from attrs import evolve

from gateway.demo.admin_client import ChainEntry, GatewayRecord
from gateway.demo.audio.listen import Heard
from gateway.demo.ladder import Step
from gateway.demo.printout import GOOD_VERDICT, Outcome, report

RECORD = GatewayRecord(
    id="1",
    verdict=GOOD_VERDICT,
    reason="",
    ladder=(Step(1.0, "caller", "received", "INVITE"),),
    chain=(
        ChainEntry("callee", "offered", "SRTP offered as RTP/SAVP", "OFFERED_SAVP"),
        ChainEntry("callee", "outcome", "SRTP", ""),
    ),
)
CHALLENGED = GatewayRecord(
    "0", "UNANSWERED", "", (Step(0.0, "callee", "received", "407 Proxy Authentication Required"),), ()
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
