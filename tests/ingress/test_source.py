"""A message's source is where its packet came from; the port that a Via names is written to and proves nothing
(RFC 3261 section 18.2.2, RFC 3581 section 4)."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request
from gateway.transport.arrival import note_source, way_back
from tests.support.flows import a_flow
from tests.support.memory_network import Place
from tests.support.registering import Registering, register
from tests.support.signalling import TRUNK, UDP, Signalling
from tests.support.transactions import make_request

ALICE: Place = ("192.0.2.11", 40001)
NEIGHBOUR: Place = ("192.0.2.11", 40002)
"""Another phone behind the same address."""


def message(method: str, via: str, to: str = "bob") -> bytes:
    """A request in alice's name."""
    return (
        f"{method} sip:{to}@example.com SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {via}\r\n"
        "Max-Forwards: 70\r\n"
        f"From: <sip:alice@example.com>;tag=from\r\nTo: <sip:{to}@example.com>\r\n"
        f"Call-ID: {via.partition('=')[2].partition(';')[0]}{method}\r\nCSeq: 1 {method}\r\n"
        "Contact: <sip:alice@192.0.2.11:40001>\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


class Site(Signalling):
    """A gateway with alice registered from a port behind NAT, where names count only from where they registered."""

    def __init__(self, via: str = "192.0.2.11:40001;branch=z9hG4bKr;rport") -> None:
        super().__init__(registered_callers_only=True)
        self.datagram(message("REGISTER", via, "alice"), ALICE)
        (asked,) = self.provider
        assert isinstance(asked, Request)
        granted = asked.response(200, to_tag="provider")
        granted.headers.add("Contact", f"{asked.contact};expires=600")
        self.network.datagrams[TRUNK].arrive(granted.to_bytes(), ("198.51.100.21", 5060))

    def reaches_the_provider(self, data: bytes, source: Place) -> bool:
        """Whether a phone's request goes on."""
        self.datagram(data, source)
        return bool(self.provider)


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE"])
def test_rfc3261_18_2_2_the_port_in_a_via_makes_nobody_a_registered_phone(method: str) -> None:
    site = Site()
    assert not site.reaches_the_provider(message(method, "192.0.2.11:40001;branch=z9hG4bKm1"), NEIGHBOUR)
    assert not site.reaches_the_provider(message(method, "192.0.2.11:40002;branch=z9hG4bKm2;rport"), NEIGHBOUR)
    assert site.reaches_the_provider(message(method, "192.0.2.11:40001;branch=z9hG4bKm3;rport"), ALICE)


def test_rfc3261_18_2_2_a_phone_is_known_by_its_source_whatever_port_its_via_names() -> None:
    site = Site("192.0.2.11;branch=z9hG4bKr")  # it listens on 5060 and sends from elsewhere
    assert not site.reaches_the_provider(message("MESSAGE", "192.0.2.11;branch=z9hG4bKm1"), NEIGHBOUR)
    assert site.reaches_the_provider(message("MESSAGE", "192.0.2.11;branch=z9hG4bKm2"), ALICE)


def test_rfc3261_18_2_2_answers_go_to_the_port_of_the_via_without_rport() -> None:
    site = Signalling()
    socket = site.network.datagrams[UDP]
    ping = message("OPTIONS", "192.0.2.11;branch=z9hG4bKo1").replace(b"sip:bob@", b"sip:", 1)
    socket.arrive(ping, ALICE)
    socket.arrive(message("NONSENSE", "192.0.2.11:5062;branch=z9hG4bKo2"), ALICE)
    socket.arrive(message("NONSENSE", "192.0.2.66:5062;branch=z9hG4bKo3"), ALICE)
    assert {target for _, target in socket.sent} == {("192.0.2.11", 5060), ("192.0.2.11", 5062), ALICE}


def test_rfc3581_4_answers_go_to_the_source_where_rport_asks_for_that() -> None:
    request, flow = make_request("OPTIONS", "z9hG4bK1;rport"), a_flow(port=40001)
    note_source(request, flow)
    assert way_back(request, flow) is flow
    assert request.top_via.rport == 40001


def test_a_binding_keeps_its_source_beside_the_way_to_it() -> None:
    site = Registering()
    phone = a_flow(port=40001)
    site.send(register("<sip:alice@127.0.0.11>", cseq=1), phone)
    site.answer()
    (binding,) = site.store.find("sip:alice@example.com")
    assert binding.came_over == phone.key
    assert site.store.over(phone.key) == [binding]
    assert site.store.over(a_flow(port=40002).key) == []
