"""An exposure is the worst that could be heard: nothing that comes later makes it better."""

from __future__ import annotations

import itertools

import attrs
from hypothesis import given
from hypothesis import strategies as st

from gateway.security.policy.exposure import MOST_PHASES, Exposure, Phases
from gateway.security.policy.terms import Reason
from gateway.security.policy.verdict import LegFacts, Verdict, verdict

FULL = LegFacts(signalling_secure=True, media_encrypted=True)


@attrs.frozen
class Moment:
    """One event of a leg."""

    kind: str
    is_good: bool

    def after(self, exposure: Exposure, at: float) -> Exposure:
        match self.kind:
            case "signalling":
                return exposure.signalled(at, "TLS" if self.is_good else "TCP in clear", is_secure=self.is_good)
            case "media":
                return exposure.carried(at, encrypted=self.is_good)
            case _:
                return exposure.reported(has_clear_control=not self.is_good)


MOMENTS = st.lists(st.builds(Moment, st.sampled_from(["signalling", "media", "RTCP"]), st.booleans()), max_size=40)


def after(moments: list[Moment]) -> Exposure:
    exposure = Exposure()
    for at, moment in enumerate(moments):
        exposure = moment.after(exposure, float(at))
    return exposure


@given(MOMENTS, MOMENTS)
def test_nothing_makes_a_leg_better_than_its_worst_moment(before: list[Moment], later: list[Moment]) -> None:
    then, now = after(before).facts(True), after(before + later).facts(True)
    assert now.signalling_secure <= then.signalling_secure
    assert bool(now.media_encrypted) <= bool(then.media_encrypted)


@given(MOMENTS)
def test_leg_is_encrypted_when_every_moment_was(moments: list[Moment]) -> None:
    assert after(moments).facts(True).is_encrypted is all(moment.is_good for moment in moments)


@given(MOMENTS)
def test_phases_are_bounded_and_every_change_is_told_or_counted(moments: list[Moment]) -> None:
    exposure = after(moments)
    states = [moment.is_good for moment in moments if moment.kind == "media"]
    changes = sum(one is not other for one, other in itertools.pairwise(states)) + bool(states)
    assert len(exposure.media.kept) <= MOST_PHASES
    assert len(exposure.media.kept) + exposure.media.left_out == changes


def test_phases_for_people() -> None:
    phases = Phases().then(0.0, "SRTP").then(5.0, "SRTP").then(12.43, "RTP").then(15.0, "SRTP")
    assert str(phases) == "SRTP from 0 s, RTP from 12.4 s, SRTP from 15 s"
    for number in range(100):
        phases = phases.then(20.0 + number, "RTP" if number % 2 == 0 else "SRTP")
    assert str(phases).endswith(f", and {103 - MOST_PHASES} more changes")


def test_rtcp_in_clear_beside_srtp_is_no_encrypted_media() -> None:
    facts = Exposure().signalled(0.0, "TLS", is_secure=True).reported(has_clear_control=True).facts(True)
    assert (facts.media_encrypted, facts.reason) == (False, Reason.CLEAR_RTCP)
    assert verdict(FULL, facts) is Verdict.SIGNALLING_ONLY
    assert verdict(facts, FULL) is Verdict.ENCRYPTED_TO_PROVIDER


def test_first_reason_of_media_in_clear_is_kept() -> None:
    exposure = Exposure().carried(0.0, encrypted=False, reason=Reason.CLEAR_PROVIDER_488).carried(1.0, encrypted=True)
    assert exposure.facts(True).reason is Reason.CLEAR_PROVIDER_488
    assert exposure.facts(True, Reason.CLEAR_PEER_NO_SRTP).reason is Reason.CLEAR_PEER_NO_SRTP
