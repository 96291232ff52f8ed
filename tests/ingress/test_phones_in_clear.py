"""`phones_security = "required"`: calls and messages in clear of a phone that a roll-out has led to TLS."""

from __future__ import annotations

import attrs
import pytest

from gateway.config.model import PhonesSecurity
from gateway.security.policy.peer_memory import Feature, Peer
from tests.support.ladder import BINDING, Ladder

ALICE = Peer("sip:alice@example.com")


def led(goal: PhonesSecurity = PhonesSecurity.REQUIRED) -> Ladder:
    ladder = Ladder(phones_security=goal)
    ladder.memory.saw(ALICE, Feature.TLS, did=True)
    ladder.memory.lead(ALICE)
    return ladder


def test_its_call_in_clear_is_refused_and_has_a_record_with_the_reason() -> None:
    ladder = led()
    ladder.phone.sends(ladder.phone.invite())

    assert ladder.phone.receives_response(403).reason == "TLS Required"
    ladder.provider.receives_nothing()
    (record,) = ladder.calls.records()
    assert (record.reason, record.status, record.verdict) == ("CALLER_IN_CLEAR", 403, "UNANSWERED")


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE"])
def test_so_are_its_other_requests(method: str) -> None:
    ladder = led()
    ladder.phone.sends(ladder.phone.request(method, "sip:bob@example.com"))

    ladder.phone.receives(403)
    ladder.provider.receives_nothing()


def test_a_stranger_that_claims_its_name_is_refused_as_well() -> None:
    ladder = led()
    stranger = ladder.stranger()
    stranger.sends(stranger.invite())

    stranger.receives(403)
    ladder.provider.receives_nothing()


def test_an_emergency_call_goes_on() -> None:
    ladder = led()
    ladder.phone.sends(ladder.phone.invite("sip:112@example.com"))

    ladder.provider.receives("INVITE")


@pytest.mark.parametrize("goal", [PhonesSecurity.OFF, PhonesSecurity.PREFERRED])
def test_it_calls_in_clear_where_the_file_does_not_require_tls(goal: PhonesSecurity) -> None:
    ladder = led(goal)
    ladder.phone.sends(ladder.phone.invite())

    ladder.provider.receives("INVITE")


def test_a_phone_that_no_roll_out_is_done_with_calls_in_clear() -> None:
    ladder = Ladder(phones_security=PhonesSecurity.REQUIRED)
    ladder.phone.sends(ladder.phone.invite())

    ladder.provider.receives("INVITE")


def test_a_phone_with_a_name_of_another_is_judged_by_its_own() -> None:
    ladder = led()
    ladder.store.save(
        attrs.evolve(BINDING, aor="sip:carol@example.com", token="carol-1", contact="sip:carol@192.0.2.11")
    )
    invite = ladder.phone.invite()
    invite.headers.set("From", "<sip:carol@example.com>;tag=f1")
    ladder.phone.sends(invite)

    ladder.provider.receives("INVITE")
