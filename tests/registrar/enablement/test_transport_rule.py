"""`phones_security = "required"`: a phone that a roll-out is done with registers over TLS, or not at all (RFC 3261
section 10.3 step 7 first)."""

from __future__ import annotations

import attrs
import pytest

from gateway.config.model import Domain, PhonesSecurity
from gateway.registrar.acceptance import Rules
from gateway.registrar.request import Asked
from gateway.security.policy.peer_memory import Feature, Peer
from gateway.sip.errors import Refused
from tests.support.flows import a_flow
from tests.support.registering import CONTACT, Registering, register

ALICE = Peer("sip:alice@example.com")


def check(world: Registering, required: PhonesSecurity, transport: str) -> None:
    rules: Rules = world.rules
    domain = Domain("example.com", "main", phones_security=required)
    asked = Asked.read(register(CONTACT, expires="3600"), "example.com", lambda host: True)
    rules.check(asked, domain, a_flow(transport, host="192.0.2.7"))


def led() -> Registering:
    world = Registering()
    world.memory.saw(ALICE, Feature.TLS, did=True)
    world.memory.lead(ALICE)
    return world


def test_a_phone_that_is_led_is_refused_in_clear_where_required() -> None:
    world = led()
    for transport in ("udp", "tcp"):
        with pytest.raises(Refused, match="TLS Required") as refused:
            check(world, PhonesSecurity.REQUIRED, transport)
        assert refused.value.status == 403
    check(world, PhonesSecurity.REQUIRED, "tls")


@pytest.mark.parametrize("goal", [PhonesSecurity.OFF, PhonesSecurity.PREFERRED])
def test_it_is_served_where_the_file_does_not_require_it(goal: PhonesSecurity) -> None:
    check(led(), goal, "udp")


def test_a_phone_that_no_roll_out_is_done_with_is_served() -> None:
    world = Registering()
    world.memory.saw(ALICE, Feature.TLS, did=True)
    check(world, PhonesSecurity.REQUIRED, "udp")


def test_to_be_forgotten_opens_the_way_back() -> None:
    world = led()
    world.memory.forget(ALICE.name)
    check(world, PhonesSecurity.REQUIRED, "udp")


def test_a_phone_that_never_did_tls_cannot_be_led() -> None:
    world = Registering()
    world.memory.lead(ALICE)
    assert not world.memory.is_led(ALICE)


def test_the_promise_outlives_the_process() -> None:
    from gateway.security.policy.peer_memory import recalled

    seen = led().memory.seen(ALICE)
    row = {"name": ALICE.name, "target": "", **attrs.asdict(seen)}
    assert [*recalled([("x", row)])] == [(ALICE, seen)]
