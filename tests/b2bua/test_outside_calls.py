"""The provider's requests outside calls are judged as its INVITE is (RFC 3261 section 26.1.5, the domain's policy)."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.security.access_list import Proof, ProofKind
from gateway.security.policy.peer_memory import Feature, Peer
from gateway.sip.message import Request
from gateway.transport.flow import Flow
from tests.support.ladder import Ladder, Party
from tests.support.stories import nothing_is_left

METHODS = ("MESSAGE", "NOTIFY", "SUBSCRIBE", "INFO", "PUBLISH", "OPTIONS")


def asks(party: Party, method: str) -> Request:
    request = party.request(method, "sip:alice-1@gw.example.com")
    request.headers.add("Event", "dialog")
    party.sends(request)
    return request


class ByAddress:
    """Admits a sender for its address alone."""

    def proof_of(self, flow: Flow, domain: str) -> Proof | None:
        return Proof("provider.example.com", ProofKind.ADDRESS)

    def served_by(self, flow: object) -> tuple[str, ...]:
        return ("example.com",)

    def admit(self, request: Request, flow: object, domain: str) -> Proof | None:
        return Proof("provider.example.com", ProofKind.ADDRESS)

    def prove_caller(self, request: Request, domain: str, user: str) -> bool:
        return False

    def admit_within(self, request: Request, flow: object, domain: str) -> bool:
        return True


@pytest.mark.parametrize("method", METHODS)
def test_required_refuses_in_clear_before_a_phone_hears_of_it(method: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    asks(ladder.clear, method)
    refused = ladder.clear.receives_response(503)
    assert "REFUSED_POLICY" in (refused.headers.get("Reason") or "")
    assert "REFUSED_POLICY" in (refused.headers.get("Warning") or "")
    ladder.phone.receives_nothing()
    labels = {"domain": "example.com", "result": "refused", "reason": "REFUSED_POLICY"}
    assert ladder.metrics.value("gateway_weak_requests_total", labels) == 1
    nothing_is_left(ladder)


@pytest.mark.parametrize("method", METHODS)
def test_required_refuses_tls_of_nobody_in_particular(method: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    ladder.admission.instead = ByAddress()
    asks(ladder.provider, method)
    ladder.provider.receives(503)
    ladder.phone.receives_nothing()


@pytest.mark.parametrize("method", METHODS)
def test_required_takes_verified_tls(method: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    asks(ladder.provider, method)
    ladder.phone.answers(ladder.phone.receives_request(method), 200)
    ladder.provider.receives(200)
    assert ladder.metrics.value("gateway_weak_requests_total") is None


def test_preferred_takes_it_in_clear_and_records_why() -> None:
    ladder = Ladder(Security.PREFERRED)
    ladder.memory.saw(Peer.of(ladder.configuration.providers[0]), Feature.TLS, did=True)
    asks(ladder.clear, "MESSAGE")
    ladder.phone.receives("MESSAGE")
    labels = {"domain": "example.com", "result": "allowed", "reason": "CLEAR_PEER_NO_TLS"}
    assert ladder.metrics.value("gateway_weak_requests_total", labels) == 1
    assert ladder.metrics.value("gateway_downgrades_total", {"feature": "tls", "result": "allowed"}) == 1


def test_off_has_nothing_to_record() -> None:
    ladder = Ladder(Security.OFF)
    asks(ladder.clear, "MESSAGE")
    ladder.phone.receives("MESSAGE")
    assert b"gateway_weak_requests_total{" not in ladder.metrics.exposition()


@pytest.mark.parametrize("auto_answer", [True, False])
def test_rfc6665_8_3_2_phone_is_not_made_to_answer_from_outside_its_call(auto_answer: bool) -> None:
    ladder = Ladder(auto_answer=auto_answer)
    request = ladder.provider.request("NOTIFY", "sip:alice-1@gw.example.com")
    request.headers.add("Event", "talk")
    ladder.provider.sends(request)
    if auto_answer:
        ladder.phone.receives("NOTIFY")
    else:
        ladder.provider.receives(489)
        ladder.phone.receives_nothing()


ORDERS = (
    "check-sync;reboot=true",
    "check-sync",
    "Resync",
    "reboot=true",
    "reboot_now",
    "service-control",
    "ACTION-URI",
    "Yealink-xml",
    "report",
)


@pytest.mark.parametrize("event", ORDERS)
@pytest.mark.parametrize("provider_resync", [True, False])
def test_rfc6665_8_3_2_phone_takes_orders_from_no_provider_but_one_that_may(event: str, provider_resync: bool) -> None:
    """A restart makes a phone fetch its configuration again, from wherever DHCP says."""
    ladder = Ladder(provider_resync=provider_resync)
    request = ladder.provider.request("NOTIFY", "sip:alice-1@gw.example.com")
    request.headers.add("Event", event)
    ladder.provider.sends(request)
    if provider_resync:
        ladder.phone.receives("NOTIFY")
    else:
        ladder.provider.receives(489)
        ladder.phone.receives_nothing()


@pytest.mark.parametrize(
    "event", ["message-summary", "dialog;sla", "presence", "conference", "as-feature-event", "hold"]
)
def test_rfc6665_8_3_2_news_are_no_orders(event: str) -> None:
    ladder = Ladder()
    request = ladder.provider.request("NOTIFY", "sip:alice-1@gw.example.com")
    request.headers.add("Event", event)
    ladder.provider.sends(request)
    ladder.phone.receives("NOTIFY")
