"""Calls to a phone that registered over TCP and whose connection is gone (RFC 5626): told at once, and why."""

from __future__ import annotations

import pytest

from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import parse
from tests.support.ladder import AVP
from tests.support.memory_network import RawPeer
from tests.support.signalling import PROVIDER, TCP, TRUNK, Signalling


def register(number: int) -> bytes:
    """A phone's REGISTER over TCP."""
    return (
        "REGISTER sip:example.com SIP/2.0\r\n"
        f"Via: SIP/2.0/TCP 192.0.2.11:5070;branch=z9hG4bKr{number};rport\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:alice@example.com>;tag=from\r\nTo: <sip:alice@example.com>\r\n"
        f"Call-ID: registration\r\nCSeq: {number} REGISTER\r\n"
        "Contact: <sip:alice@192.0.2.11:5070;transport=tcp>;expires=600\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


class Scene:
    """A gateway and a phone that is connected to it."""

    def __init__(self) -> None:
        self.gateway = Signalling()
        self.contact = ""
        self.calls = 0

    def registers(self, number: int) -> RawPeer:
        """A new connection, a REGISTER over it, and the provider's consent."""
        phone = self.gateway.network.connect(TCP, "192.0.2.11")
        phone.send(register(number))
        self.gateway.network.settle()
        (asked,) = self.gateway.provider
        assert isinstance(asked, Request)
        response = asked.response(200, to_tag="provider")
        response.headers.add("Contact", f"{asked.contact};expires=600")
        self.gateway.network.datagrams[TRUNK].arrive(response.to_bytes(), PROVIDER)
        self.gateway.network.settle()
        assert phone.received.startswith(b"SIP/2.0 200 ")
        assert asked.contact is not None
        self.contact = str(asked.contact.uri)
        return phone

    def called(self, method: str = "INVITE") -> list[Message]:
        """The provider asks for the phone; what it is told without any time passing."""
        self.calls += 1
        asking = Request(method, self.contact, parse(register(1)).headers.copy(), AVP if method == "INVITE" else b"")
        for name, value in (
            ("Via", f"SIP/2.0/UDP {PROVIDER[0]}:{PROVIDER[1]};branch=z9hG4bKp{self.calls}"),
            ("Call-ID", f"call{self.calls}"),
            ("CSeq", f"1 {method}"),
            *((("Content-Type", "application/sdp"),) if method == "INVITE" else ()),
        ):
            asking.headers.set(name, value)
        self.gateway.network.datagrams[TRUNK].arrive(asking.to_bytes(), PROVIDER)
        self.gateway.network.settle()
        return self.gateway.provider

    def value(self, name: str) -> float | None:
        """Of a metric."""
        return self.gateway.metrics.value(f"gateway_{name}")


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE"])
def test_a_phone_whose_connection_is_gone_is_answered_for_at_once(method: str) -> None:
    scene = Scene()
    phone = scene.registers(1)
    assert (scene.value("registrations"), scene.value("unreachable_registrations")) == (1, 0)
    assert phone.connection is not None
    phone.connection.abortConnection()
    assert (scene.value("registrations"), scene.value("unreachable_registrations")) == (1, 1)
    (answer,) = scene.called(method)
    assert isinstance(answer, Response)
    assert (answer.status, answer.headers.get("Retry-After")) == (480, "30")


def test_a_phone_that_comes_back_is_called_over_its_new_connection() -> None:
    scene = Scene()
    before = scene.registers(1)
    assert before.connection is not None
    before.connection.abortConnection()
    phone = scene.registers(2)
    assert (scene.value("registrations"), scene.value("unreachable_registrations")) == (1, 0)
    scene.called()
    assert b"INVITE sip:alice@192.0.2.11:5070;transport=tcp SIP/2.0" in phone.received


def test_a_phone_that_connects_again_before_its_old_connection_is_missed_stays_in_reach() -> None:
    scene = Scene()
    before = scene.registers(1)
    phone = scene.registers(2)
    assert before.connection is not None
    before.connection.abortConnection()
    assert scene.value("unreachable_registrations") == 0
    scene.called()
    assert b"INVITE sip:alice@192.0.2.11:5070;transport=tcp SIP/2.0" in phone.received
