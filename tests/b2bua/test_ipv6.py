"""Calls between address families, as messages on the wire: each side hears of its own family only, in brackets where
the grammar has them (RFC 3261 section 25.1, RFC 5118)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.config.model import Listener, Side
from gateway.sip.address import NameAddress
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import check, parse
from tests.support.ladder import AVP
from tests.support.memory_network import Place
from tests.support.signalling import PHONE, PROVIDER, TRUNK, UDP, OurFailures, Signalling

PHONES6: Place = ("2001:db8::1", 5060)
PHONE6: Place = ("2001:db8::11", 5070)
TRUNK6: Place = ("2001:db8:1::1", 5060)
PROVIDER6: Place = ("2001:db8:1::21", 5060)

PHONE_SIDE = Listener("phones6", Side.PHONES, "udp", *PHONES6)
PROVIDER_SIDE = Listener("provider6", Side.PROVIDER, "udp", *TRUNK6)


@pytest.fixture(autouse=True)
def no_bugs() -> Iterator[None]:
    """Nothing of ours fails."""
    with OurFailures() as failures:
        yield
    assert failures.events == []


def written(place: Place) -> str:
    """The place as URIs and Via have it."""
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"


def message(method: str, uri: str, sender: Place, *fields: str, number: int = 1, body: bytes = b"") -> bytes:
    """A request of a phone or a provider."""
    caller, callee = ("alice", "alice") if method == "REGISTER" else ("alice", "bob")
    head = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {written(sender)};branch=z9hG4bK{method}{number};rport",
        "Max-Forwards: 70",
        f"From: <sip:{caller}@example.com>;tag=from",
        f"To: <sip:{callee}@example.com>",
        f"Call-ID: {method}{sender[0]}",
        f"CSeq: {number} {method}",
        f"Contact: <sip:alice@{written(sender)}>",
        *(("Content-Type: application/sdp",) if body else ()),
        *fields,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def within(data: bytes, to: str) -> bytes:
    """The request as one of the dialog that the phone's INVITE has made."""
    found = parse(data)
    assert isinstance(found, Request)
    found.headers.set("To", to)
    found.headers.set("Call-ID", found.call_id.replace(found.method, "INVITE"))
    return found.to_bytes()


def contact_of(found: Message) -> str:
    """The Contact's URI without its parameters."""
    assert found.contact is not None
    return str(found.contact.uri).partition(";")[0]


class Scene:
    """A phone of one family, and a provider of another."""

    def __init__(self, phone: Place, phones: Place, provider: Place, trunk: Place) -> None:
        self.phone, self.phones, self.far, self.trunk = phone, phones, provider, trunk
        self.gateway = Signalling(more=(PHONE_SIDE, PROVIDER_SIDE), provider=f"sip:{written(provider)};transport=udp")
        self.gateway.prove(phone, phones)

    def sends(self, data: bytes) -> None:
        """The phone sends a datagram."""
        self.gateway.network.datagrams[self.phones].arrive(data, self.phone)

    def answers(self, message: Message, body: bytes = b"", *fields: tuple[str, str], contact: Place) -> None:
        """Whoever was sent the request answers 200."""
        assert isinstance(message, Request)
        response = message.response(200, to_tag="to")
        fields = (("Contact", f"<sip:bob@{written(contact)}>;expires=3600"), *fields)
        for name, value in (*fields, *((("Content-Type", "application/sdp"),) if body else ())):
            response.headers.add(name, value)
        response.body = body
        to_phone = contact == self.phone
        place = self.phones if to_phone else self.trunk
        self.gateway.network.datagrams[place].arrive(response.to_bytes(), self.phone if to_phone else self.far)

    def at_phone(self, what: str | int) -> Message:
        """The one such message that the phone was sent."""
        return self._sent(self.phones, self.phone, what, of_others=self.far)

    def at_provider(self, what: str | int) -> Message:
        """The one such message that the provider was sent."""
        return self._sent(self.trunk, self.far, what, of_others=self.phone)

    def _sent(self, place: Place, target: Place, what: str | int, of_others: Place) -> Message:
        sent = self.gateway.network.datagrams[place].sent
        assert all(to == target for _, to in sent)
        assert not [data for data, _ in sent if of_others[0].encode() in data.partition(b"\r\n\r\n")[0]]
        messages = [parse(data) for data, _ in sent]
        for message in messages:
            check(message)
        (found,) = [one for one in messages if (one.method if isinstance(one, Request) else one.status) == what]
        sent.clear()
        return found

    def register(self) -> NameAddress:
        """Register the phone; the Contact that the provider was given."""
        self.sends(message("REGISTER", "sip:example.com", self.phone))
        register = self.at_provider("REGISTER")
        contact = register.contact
        assert contact is not None
        fields = ("Contact", f"{contact};expires=3600")
        assert isinstance(register, Request)
        response = register.response(200, to_tag="to")
        response.headers.add(*fields)
        self.gateway.network.datagrams[self.trunk].arrive(response.to_bytes(), self.far)
        assert isinstance(self.at_phone(200), Response)
        return contact


@pytest.fixture(
    params=[(PHONE6, PHONES6, PROVIDER, TRUNK), (PHONE, UDP, PROVIDER6, TRUNK6), (PHONE6, PHONES6, PROVIDER6, TRUNK6)],
    ids=["phone6-provider4", "phone4-provider6", "phone6-provider6"],
)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Both ways to differ, and none."""
    return Scene(*request.param)


def test_a_phone_calls_a_provider_of_another_family(scene: Scene) -> None:
    proxy = f"<sip:{written(scene.phone)[:-4]}5071;lr>"  # a proxy between the phone and the gateway
    scene.sends(message("INVITE", "sip:bob@example.com", scene.phone, f"Record-Route: {proxy}", body=AVP))
    assert scene.at_phone(100).top_via.received == scene.phone[0]
    invite = scene.at_provider("INVITE")
    assert (invite.top_via.host, invite.top_via.port) == scene.trunk
    assert str(invite.top_via).startswith(f"SIP/2.0/UDP {written(scene.trunk)};")
    assert contact_of(invite) == f"sip:alice@{written(scene.trunk)}"
    edge = f"<sip:{written(scene.far)};lr>"
    scene.answers(invite, AVP, ("Record-Route", edge), contact=scene.far)
    answer = scene.at_phone(200)
    assert answer.headers.get("Record-Route") == proxy
    assert contact_of(answer).endswith(f"@{written(scene.phones)}")
    to = answer.headers.get("To") or ""
    scene.sends(within(message("ACK", contact_of(answer), scene.phone), to))
    onward = scene.at_provider("ACK")
    assert isinstance(onward, Request)
    assert onward.headers.values("Route") == [edge]
    assert onward.uri == f"sip:bob@{written(scene.far)}"
    scene.sends(within(message("BYE", contact_of(answer), scene.phone, number=2), to))
    assert scene.at_provider("BYE").headers.values("Route") == [edge]


def test_a_provider_calls_a_phone_of_another_family(scene: Scene) -> None:
    contact = scene.register()
    assert (contact.uri.host, contact.uri.port or 5060) == scene.trunk
    invite = message("INVITE", str(contact.uri), scene.far, body=AVP)
    scene.gateway.network.datagrams[scene.trunk].arrive(invite, scene.far)
    assert scene.at_provider(100).top_via.received == scene.far[0]
    onward = scene.at_phone("INVITE")
    assert isinstance(onward, Request)
    assert onward.uri == f"sip:alice@{written(scene.phone)}"
    assert str(onward.top_via).startswith(f"SIP/2.0/UDP {written(scene.phones)};")
    assert contact_of(onward).endswith(f"@{written(scene.phones)}")
    scene.answers(onward, AVP, contact=scene.phone)
    answer = scene.at_provider(200)
    assert contact_of(answer).endswith(f"@{written(scene.trunk)}")


def test_a_phone_that_was_given_the_gateways_ipv6_address_as_its_domain() -> None:
    gateway = Signalling(more=(PHONE_SIDE,))
    # Several domains are served here, so that From decides; the Request-URI must not reach the provider as it is.
    invite = message("INVITE", f"sip:bob@{written(PHONES6)}", PHONE6, body=AVP)
    gateway.network.datagrams[PHONES6].arrive(invite, PHONE6)
    (onward,) = [one for one in gateway.provider if isinstance(one, Request)]
    assert onward.uri == "sip:bob@example.com"
