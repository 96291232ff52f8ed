"""Callers by the flow of their registration, and the names that are their own (RFC 3323, RFC 3325)."""

from __future__ import annotations

import pytest

from gateway.config.model import Domain
from gateway.registrar.callers import Callers
from gateway.registrar.memory_store import MemoryStore
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, FlowKey, Transport
from tests.support.bindings import NOW, binding

FLOW = FlowKey("phones", Transport.UDP, Address("192.0.2.7", 5060))
OTHER = FlowKey("phones", Transport.UDP, Address("192.0.2.7", 5062))
ALICE = binding(flow=FLOW)
NUMBER = binding(aor="sip:+49301234@example.com", contact="sip:line2@192.0.2.7:5060", token="n", flow=FLOW)
BOB = binding(aor="sip:bob@example.net", contact="sip:bob@192.0.2.7:5062", token="b", flow=OTHER)
HIDDEN = "sip:anonymous@anonymous.invalid"


def callers(*bound: object) -> Callers:
    store = MemoryStore(lambda: NOW)
    for one in bound or (ALICE, NUMBER, BOB):
        store.save(one)  # type: ignore[arg-type]
    domains = {name: Domain(name, "main") for name in ("example.com", "example.net")}
    return Callers(store, lambda host: domains.get(host.lower()))


def request(caller: str, *fields: tuple[str, str], uri: str = "sip:0309@example.com") -> Request:
    return Request("INVITE", uri, Headers([("From", f"<{caller}>;tag=f"), *fields]))


@pytest.mark.parametrize(
    ("caller", "flow", "token"),
    [
        ("sip:alice@example.com", FLOW, ALICE.token),
        ("sips:%61lice@EXAMPLE.COM:5060", FLOW, ALICE.token),
        ("sip:alice@192.0.2.1", FLOW, ALICE.token),
        ("sip:alice@pbx.local", FLOW, ALICE.token),
        ("tel:+49-30-1234;phone-context=x", FLOW, NUMBER.token),
        ("sip:alice@example.com", OTHER, None),
        ("sip:Alice@example.com", FLOW, None),
        ("sip:bob@example.net", FLOW, None),
        ("sip:alice@example.net", FLOW, None),
        ("sip:bob@example.com", OTHER, None),
        ("mailto:alice@example.com", FLOW, None),
    ],
)
def test_a_name_counts_over_the_flow_that_registered_it(caller: str, flow: FlowKey, token: str | None) -> None:
    found = callers().caller_of(request(caller), flow)
    assert (found and found.token) == token


@pytest.mark.parametrize(
    "hidden",
    [HIDDEN, "sip:Anonymous@example.com", "sip:example.com", "sip:x@unknown.Invalid", "sips:anonymous@192.0.2.7"],
)
def test_rfc3323_4_1_1_3_a_hidden_name_is_told_by_the_flow(hidden: str) -> None:
    assert callers(ALICE, BOB).caller_of(request(hidden), FLOW) == ALICE
    assert callers(ALICE, BOB).caller_of(request(hidden), OTHER) == BOB
    assert callers(BOB).caller_of(request(hidden), FLOW) is None


@pytest.mark.parametrize(
    ("field", "token"),
    [
        (("P-Preferred-Identity", "<sip:alice@example.com>"), ALICE.token),
        (("P-Preferred-Identity", "<tel:+49301234>"), NUMBER.token),
        (("P-Preferred-Identity", "<sip:bob@example.net>, <sip:+49301234@example.com>"), NUMBER.token),
        (("P-Preferred-Identity", "<sip:bob@example.net>"), None),
        (("Contact", "<sip:line2@192.0.2.7:5060;ob>"), NUMBER.token),
        (("Contact", "<sip:other@192.0.2.7:5060>"), None),
    ],
)
def test_a_hidden_line_of_several_is_told_by_a_name_of_its_own_and_never_guessed(
    field: tuple[str, str], token: str | None
) -> None:
    found = callers().caller_of(request(HIDDEN, field), FLOW)
    assert (found and found.token) == token


def test_a_line_with_two_contacts_is_one_line() -> None:
    second = binding(contact="sip:alice@192.0.2.7:5060;ob", token="second")
    assert callers(ALICE, second).caller_of(request(HIDDEN), FLOW) == second


def test_a_registration_that_is_over_names_nobody() -> None:
    gone = binding(expires_at=NOW)
    assert callers(gone).caller_of(request(HIDDEN), FLOW) is None
    assert callers(gone).owner_of(Uri.parse("sip:alice@192.0.2.1"), FLOW) is None


def test_an_address_of_record_is_known_by_the_source_that_it_registered_from() -> None:
    store = MemoryStore(lambda: NOW)
    store.save(ALICE)
    callers = Callers(store, lambda host: None)
    assert callers.is_bound_from(ALICE.aor, FLOW.source)
    assert not callers.is_bound_from(ALICE.aor, "192.0.2.99")
    assert not callers.is_bound_from(BOB.aor, FLOW.source)
