"""Score, grade, and promises: a step is worth as much as the score rises by once it is done."""

from __future__ import annotations

import attrs
import pytest

from gateway.security.posture.assessment import Assessment, NextStep, assessed, score_of
from gateway.security.posture.posture_facts import KnownMedia, PostureFacts
from tests.security.posture.posture_world import ENCRYPTED, GOOD, NOW, PROVIDER, but, calls, domain

UNSEEN = {"AUTH-5", "DEV-3", "NET-1", "NET-2", "OPS-6"}


def step(one: Assessment, name: str) -> NextStep:
    return next(step for step in one.steps if step.id == name)


def test_an_office_that_is_well_has_all_points_and_no_step() -> None:
    one = assessed(GOOD)
    assert (one.score, one.grade, one.steps) == (100.0, "A", ())
    assert one.counted() == {"critical": 0, "high": 0, "medium": 0, "low": 0}


def test_five_checks_ask_for_matters_that_no_gateway_sees_and_94_5_points_are_the_most() -> None:
    """docs/assess.md says so; tests/admin/running asks a gateway that runs."""
    around = attrs.evolve(
        GOOD.surroundings, phones_that_challenge=None, default_passwords=None, rogue_dhcp=None, voice_vlan=None
    )
    one = assessed(attrs.evolve(GOOD, process=attrs.evolve(GOOD.process, gateways=None), surroundings=around))
    assert (one.score, one.grade) == (94.5, "A")
    assert {finding.check.id for finding in one.findings if finding.cost} == UNSEEN


def test_an_empty_gateway_has_a_score_all_the_same() -> None:
    one = assessed(PostureFacts())
    assert (one.score, one.grade) == (0.0, "F")
    assert all(step.points >= 0 for step in one.steps)


def test_no_letter_a_with_a_call_in_clear_in_a_month() -> None:
    assert assessed(but(clear_in_month=1)).grade == "B"
    assert assessed(but(clear_in_month=None)).grade == "B"


def test_the_promise_of_a_domain_in_clear_is_kept_to_the_point() -> None:
    """Calls of a domain that is off; then it is switched on, and the same calls are made again."""
    off = attrs.evolve(domain(security="off"), calls=(ENCRYPTED, calls(30, "CLEAR", "CLEAR_POLICY_OFF")))
    before = assessed(off)
    promised = step(before, "reason:CLEAR_POLICY_OFF")
    assert promised.recommendation == "gatewayctl domain example.com --security required"
    assert promised.share == 0.25
    assert set(promised.checks) == {"ENC-1", "ENC-2", "ENC-3"}
    after = assessed(but(calls=(ENCRYPTED, calls(30, "ENCRYPTED_TO_PROVIDER"))))
    assert after.score - before.score == promised.points == 39.0
    assert before.steps[0] is promised, "it is the first of all steps"


def test_a_domain_whose_provider_is_not_known_to_do_srtp_is_to_prefer_it_first() -> None:
    able = attrs.evolve(PROVIDER, does_srtp=None)
    off = attrs.evolve(domain(security="off"), calls=(calls(5, "CLEAR", "CLEAR_POLICY_OFF"),), providers=(able,))
    before = assessed(off)
    promised = step(before, "reason:CLEAR_POLICY_OFF")
    assert promised.recommendation == "gatewayctl domain example.com --security preferred"
    switched = attrs.evolve(domain(security="preferred"), calls=(calls(5, "ENCRYPTED_TO_PROVIDER"),), providers=(able,))
    after = assessed(switched)
    assert after.score - before.score == promised.points
    known = assessed(attrs.evolve(switched, providers=(PROVIDER,)))
    require = step(known, "require")
    assert assessed(but(calls=switched.calls)).score - known.score == require.points == 5.0


@pytest.mark.parametrize("reason", ["CLEAR_PEER_NO_TLS", "CLEAR_PEER_NO_SRTP", "CLEAR_PROVIDER_488"])
def test_the_promise_of_a_reason_is_kept(reason: str) -> None:
    weak = "MEDIA_ONLY_WEAK" if reason == "CLEAR_PEER_NO_TLS" else "SIGNALLING_ONLY"
    before = assessed(but(calls=(ENCRYPTED, calls(7, "CLEAR", reason), calls(2, weak, reason))))
    promised = step(before, f"reason:{reason}")
    after = assessed(but(calls=(ENCRYPTED, calls(9, "ENCRYPTED_TO_PROVIDER"))))
    assert after.score - before.score == promised.points > 0


def test_of_two_reasons_each_promises_what_it_alone_mends() -> None:
    both = but(calls=(calls(7, "CLEAR", "CLEAR_PEER_NO_TLS"), calls(7, "CLEAR", "CLEAR_PEER_NO_SRTP")))
    before = assessed(both)
    assert step(before, "reason:CLEAR_PEER_NO_TLS").points == 0.0
    mended = but(calls=(calls(7, "ENCRYPTED"), calls(7, "CLEAR", "CLEAR_PEER_NO_SRTP")))
    assert assessed(mended).score - before.score == 0.0
    last = step(assessed(mended), "reason:CLEAR_PEER_NO_SRTP")
    assert last.points == 100.0 - assessed(mended).score == 33.0


def test_rtcp_in_clear_is_one_step_and_not_two() -> None:
    facts = but(
        media=KnownMedia(plain_rtcp=("provider",)), calls=(ENCRYPTED, calls(9, "SIGNALLING_ONLY", "CLEAR_RTCP"))
    )
    before = assessed(facts)
    promised = step(before, "reason:CLEAR_RTCP")
    assert "SRTP-3" in promised.checks
    assert [one.id for one in before.steps if one.id == "SRTP-3"] == []
    assert assessed(but(calls=(ENCRYPTED, calls(9, "ENCRYPTED")))).score - before.score == promised.points


def test_every_other_step_promises_the_points_of_its_check() -> None:
    one = assessed(attrs.evolve(domain(registered_callers_only=False, access=()), up_since=NOW - 9e6))
    for name, points in (("AUTH-4", 10.0), ("ACL-1", 2.0), ("TLS-6", 0.5)):
        assert step(one, name).points == points
    assert score_of(one.findings) == 87.5


def test_the_least_effort_comes_first() -> None:
    one = assessed(domain(registered_callers_only=False, weak_passwords=(30, 0, 0, 30)))
    assert [step.id for step in one.steps] == ["AUTH-4", "AUTH-3"]


def test_the_first_calls_over_tls_are_the_first_evidence_of_ciphers_and_suites() -> None:
    """Nothing was seen to do TLS or SRTP before: the promise has the points of those checks, too."""
    off = attrs.evolve(
        domain(security="off"), calls=(calls(4, "CLEAR", "CLEAR_POLICY_OFF"),), suites={("phones", "none"): 4}
    )
    before = assessed(attrs.evolve(off, handshakes=()))
    promised = step(before, "reason:CLEAR_POLICY_OFF")
    assert {"SRTP-1", "TLS-2", "TLS-7"} <= {*promised.checks}
    after = assessed(but(calls=(calls(4, "ENCRYPTED_TO_PROVIDER"),)))
    assert after.score - before.score == promised.points
