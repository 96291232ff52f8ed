"""However exchanges, forks, flows and the relay's replies interleave, the verdict is the one that the bytes bear out.

`make interleavings` plays 50,000 calls, the suite some thousands. Each fault that is planted here must be found.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import le
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.b2bua.across import exchange, offer_answer
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.flows import LegWay
from gateway.b2bua.legs.media import LegMedia
from gateway.config.model import Security
from gateway.security.policy.exposure import Exposure
from gateway.sip.message import Response
from gateway.transaction import layer
from gateway.transport.way import Strength
from tests.support.interleaving.world import World

CALLS: Final = int(os.environ.get("INTERLEAVINGS", "2000"))
CHANCES: Final = st.binary(min_size=40, max_size=100)
CLAIMS: Final = {
    "ENCRYPTED": (True, True, True),
    "ENCRYPTED_TO_PROVIDER": (True, True, False),
    "SIGNALLING_ONLY": (True, False, False),
    "MEDIA_ONLY_WEAK": (False, True, False),
    "CLEAR": (False, False, False),
}
"""The parts of each claim: the provider's signalling, its media, the phone's leg."""

Plant = Callable[[pytest.MonkeyPatch], None]


def judge(chances: bytes) -> None:
    """Play a call and compare the gateway's words with the oracle's."""
    world = World(chances)
    world.play()
    record, oracle = world.record(), world.oracle()
    assert not list(oracle.faults(must_be_encrypted=world.setting.security is Security.REQUIRED))
    if record is None:
        return
    assert record.ending != "internal error"
    if record.verdict in CLAIMS:
        assert is_borne_out(record.verdict, oracle.claims(), is_answered=world.is_answered())
        assert bool(record.reason) is not record.verdict.startswith("ENCRYPTED")
    else:
        assert record.verdict == "REFUSED" or not world.is_answered()


def is_borne_out(verdict: str, claims: set[str], *, is_answered: bool) -> bool:
    """Whether a verdict is one of these; of a call whose caller never got the answer less may be claimed, too."""
    if is_answered:
        return verdict in claims
    return any(all(map(le, CLAIMS[verdict], CLAIMS[claim])) for claim in claims)


@settings(max_examples=CALLS, suppress_health_check=list(HealthCheck))
@given(CHANCES)
def test_verdict_is_what_the_bytes_bear_out(chances: bytes) -> None:
    judge(chances)


def last_state_alone(patch: pytest.MonkeyPatch) -> None:
    """The verdict from the state of the media at the end."""
    carried = Exposure.carried

    def forgetful(self: Exposure, at: float, *, encrypted: bool, reason: object = None) -> Exposure:
        return carried(self, at, encrypted=encrypted)._replace(was_heard=not encrypted)

    patch.setattr(Exposure, "carried", forgetful)


def judged_after_the_relay(patch: pytest.MonkeyPatch) -> None:
    """The policy judges media when they are in force."""
    patch.setattr(exchange, "refusal_of_offer", lambda *_: None)
    for module in (exchange, offer_answer):
        patch.setattr(module, "refusal_of_answer", lambda *_: None)


def followed_without_proof(patch: pytest.MonkeyPatch) -> None:
    """Whoever knows the tags speaks for the peer."""
    patch.setattr(LegWay, "takes", lambda *_: True)


def answered_from_anywhere(patch: pytest.MonkeyPatch) -> None:
    """Whoever knows the branch answers a request."""
    patch.setattr(layer, "may_answer", lambda own, other: own.side is other.side)


def fork_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The fork that answers is all that counts."""
    win = CalleeLeg._win

    def forgetful(self: CalleeLeg, tag: str, response: Response) -> None:
        self.owner.protection._exposed = [Exposure(), Exposure()]  # type: ignore[attr-defined]
        win(self, tag, response)

    patch.setattr(CalleeLeg, "_win", forgetful)


def clear_hop_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Signalling counts as it is now."""
    signalled = Exposure.signalled

    def forgetful(self: Exposure, at: float, way: str, *, is_secure: bool) -> Exposure:
        return signalled(self, at, way, is_secure=is_secure)._replace(was_signalled_in_clear=not is_secure)

    patch.setattr(Exposure, "signalled", forgetful)
    patch.setattr(LegWay, "weakest", property(lambda way: Strength.of(way.flow)))


def rtcp_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The relay's last report changes nothing."""
    patch.setattr(Exposure, "reported", lambda self, **_: self)


def late_reply_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Media count when the relay has said that it carries them."""
    patch.setattr(LegMedia, "open", lambda *_: None)


@pytest.mark.parametrize(
    "plant",
    [
        last_state_alone,
        judged_after_the_relay,
        followed_without_proof,
        answered_from_anywhere,
        fork_forgotten,
        clear_hop_forgotten,
        rtcp_forgotten,
        late_reply_forgotten,
    ],
)
def test_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    @settings(max_examples=20_000, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(CHANCES)
    def holds(chances: bytes) -> None:
        judge(chances)

    plant(monkeypatch)
    with pytest.raises(AssertionError):
        holds()
