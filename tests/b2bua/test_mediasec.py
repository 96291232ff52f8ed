"""Media security as Deutsche Telekom wants it said: RFC 3329, draft-dawes-sipcore-mediasec-parameter, a=3ge2ae."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from gateway.config.load import load
from gateway.config.model import ConfigurationError, Provider, Security
from gateway.registrar.acceptance import Rules
from gateway.registrar.news import RegistrationNews
from gateway.registrar.registrar import Registrar
from gateway.routing.forward import NextHop
from gateway.routing.mediasec import MOST_MECHANISMS, Mediasec
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.parts import basis_of
from tests.support.small_configuration import SMALLEST
from tests.support.stories import nothing_is_left, talk

TELEKOM = Provider("main", "sip:provider.example.com;transport=tls", mediasec=True)
CLEAR = "sip:provider.example.com;transport=udp"
LIST = ("msrp-tls;mediasec", "sdes-srtp;mediasec", "dtls-srtp;mediasec")
SERVERS = tuple(("Security-Server", one) for one in LIST)
MARK = b"a=3ge2ae:requested\r\n"


def house(provider: Provider = TELEKOM, **more: object) -> Ladder:
    return Ladder(provider=provider, **more)  # type: ignore[arg-type]


def said(request: Request) -> dict[str, list[str]]:
    names = ("Security-Client", "Security-Verify", "Require", "Proxy-Require")
    return {name: request.headers.values(name) for name in names if name in request.headers}


FIRST = {"Security-Client": ["sdes-srtp;mediasec"], "Require": ["mediasec"], "Proxy-Require": ["mediasec"]}
AGREED = {**FIRST, "Security-Verify": [*LIST]}


class Insisting:
    """A provider whose edge takes nothing without its own list in Security-Verify."""

    def __init__(self, gateway: Ladder) -> None:
        self.gateway = gateway
        self.refused = 0

    def receives(self, method: str) -> Request:
        """The next request that the edge takes; those before it get 494."""
        while True:
            request = self.gateway.provider.receives_request(method)
            if request.headers.values("Security-Verify") == [*LIST] and said(request) == AGREED:
                return request
            self.refused += 1
            assert self.refused < 5, "the gateway does not learn"
            self.gateway.provider.answers(request, 494, fields=SERVERS)
            if method == "INVITE":
                self.gateway.provider.receives("ACK")


def given_back(known: Mediasec, gateway: Ladder) -> list[str]:
    """The list that the next request to the provider bears."""
    request = Request("REGISTER", "sip:example.com")
    known.dress(request, TELEKOM, gateway.provider_flow)
    return request.headers.values("Security-Verify")


def with_registrar() -> Ladder:
    """A gateway whose phones register through it."""
    gateway = house()
    (domain,) = gateway.configuration.domains
    clock = basis_of(gateway.configuration, gateway.clock, gateway.metrics, "tag{}").clock
    rules = Rules(gateway.store, gateway.memory, clock, b"s" * 32, lambda _: 0.0)
    hop = NextHop(domain, TELEKOM)
    registrar = Registrar(
        lambda host: domain if host == domain.name else None,
        lambda request, _, user: gateway.trunk.forward(request, hop, user, user.leaving),
        gateway.store,
        rules,
        lambda: "tag",
        RegistrationNews(gateway.metrics, gateway.clock.seconds),
    )
    gateway.receive_request = registrar.receive_request  # type: ignore[attr-defined]
    return gateway


def register(gateway: Ladder, cseq: int = 1) -> Request:
    request = gateway.phone.request("REGISTER", "sip:example.com", cseq=cseq)
    request.headers.set("To", "<sip:alice@example.com>")
    request.headers.set("Contact", "<sip:alice@192.0.2.11:5070>;expires=600")
    gateway.phone.sends(request)
    return request


def test_a_phones_registration_crosses_with_the_gateways_own_agreement() -> None:
    gateway = with_registrar()
    register(gateway)
    first = gateway.provider.receives_request("REGISTER")
    assert said(first) == FIRST
    challenge = ("WWW-Authenticate", 'Digest realm="example.com", nonce="n", algorithm=MD5')
    gateway.provider.answers(first, 401, fields=(challenge, *SERVERS))
    refused = gateway.phone.receives_response(401)
    assert "Security-Server" not in refused.headers

    register(gateway, cseq=2)
    assert said(gateway.provider.receives_request("REGISTER")) == AGREED


def test_rfc3329_2_3_1_a_registration_that_gets_494_is_sent_once_more_with_the_servers_list() -> None:
    gateway = with_registrar()
    edge = Insisting(gateway)
    register(gateway)
    taken = edge.receives("REGISTER")
    assert edge.refused == 1
    response = taken.response(200, to_tag="t1")
    response.headers.add("Contact", f"<{taken.contacts[0].uri}>;expires=600")
    gateway.provider.sends(response)
    gateway.phone.receives(200)


def test_rfc3329_2_3_1_a_call_that_gets_494_is_sent_once_more_under_the_next_cseq() -> None:
    gateway = house(security=Security.REQUIRED)
    edge = Insisting(gateway)
    gateway.phone.sends(gateway.phone.invite())
    gateway.phone.receives(100)
    onward = edge.receives("INVITE")
    assert (edge.refused, onward.cseq.number) == (1, 2)
    gateway.provider.answers(onward, 200, sdp=SAVP)
    gateway.provider.receives("ACK")
    gateway.phone.receives(200)
    (record,) = gateway.calls.records()
    assert record.verdict == "ENCRYPTED_TO_PROVIDER"


def test_rfc3329_2_3_1_two_calls_at_once_that_get_494_are_both_sent_once_more() -> None:
    """The first answer tells the list; the second call did not bear it either."""
    gateway = house()
    for call_id in ("c1", "c2"):
        gateway.phone.sends(gateway.phone.invite(call_id=call_id))
        gateway.phone.receives(100)
    first, second = (gateway.provider.receives_request("INVITE") for _ in range(2))
    for invite in (first, second):
        gateway.provider.answers(invite, 494, fields=SERVERS)
        gateway.provider.receives("ACK")
        again = gateway.provider.receives_request("INVITE")
        assert (again.call_id, said(again)) == (invite.call_id, AGREED)
    gateway.phone.receives_nothing()


def test_rfc3329_2_3_1_two_registrations_at_once_that_get_494_are_both_sent_once_more() -> None:
    gateway = with_registrar()
    for cseq in (1, 2):
        register(gateway, cseq)
    first, second = (gateway.provider.receives_request("REGISTER") for _ in range(2))
    for request in (first, second):
        gateway.provider.answers(request, 494, fields=SERVERS)
        assert said(gateway.provider.receives_request("REGISTER")) == AGREED
    gateway.phone.receives_nothing()


def test_a_refusal_of_another_kind_before_does_not_keep_a_call_from_being_sent_once_more() -> None:
    """A 488 to media that it does not take leads to the next offer."""
    gateway = house()
    edge = Insisting(gateway)
    gateway.phone.sends(gateway.phone.invite())
    gateway.phone.receives(100)
    first = gateway.provider.receives_request("INVITE")
    gateway.provider.answers(first, 488)
    gateway.provider.receives("ACK")
    assert edge.receives("INVITE").cseq.number == 3
    assert edge.refused == 1


@pytest.mark.parametrize("status", [183, 401, 407, 486])
def test_any_answer_to_a_call_tells_the_list(status: int) -> None:
    gateway = house()
    gateway.phone.sends(gateway.phone.invite())
    gateway.phone.receives(100)
    invite = gateway.provider.receives_request("INVITE")
    gateway.provider.answers(invite, status, fields=SERVERS)
    gateway.phone.receives(status)
    gateway.provider.flow.sent.clear()
    gateway.phone.sends(gateway.phone.invite(call_id="c2"))
    gateway.phone.receives(100)
    assert said(gateway.provider.receives_request("INVITE")) == AGREED


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_within_a_call_tells_the_list(status: int) -> None:
    gateway = house()
    _, answer = talk(gateway)
    gateway.phone.sends(gateway.phone.within(answer, "UPDATE", sdp=AVP))
    update = gateway.provider.receives_request("UPDATE")
    gateway.provider.answers(update, status, sdp=SAVP if status == 200 else b"", fields=SERVERS)
    gateway.phone.receives(status)
    gateway.provider.flow.sent.clear()
    gateway.phone.sends(gateway.phone.invite(call_id="c2"))
    gateway.phone.receives(100)
    assert said(gateway.provider.receives_request("INVITE")) == AGREED


def test_the_list_of_a_registration_that_was_sent_once_more_is_learnt_as_well() -> None:
    gateway = with_registrar()
    register(gateway)
    for number in (1, 2):
        request = gateway.provider.receives_request("REGISTER")
        gateway.provider.answers(request, 494, fields=(("Security-Server", f"sdes-srtp;mediasec;q=0.{number}"),))
    gateway.phone.receives(494)
    register(gateway, cseq=2)
    assert said(gateway.provider.receives_request("REGISTER"))["Security-Verify"] == ["sdes-srtp;mediasec;q=0.2"]


def test_an_edge_that_is_never_content_is_not_asked_for_ever() -> None:
    gateway = house()
    gateway.phone.sends(gateway.phone.invite())
    gateway.phone.receives(100)
    for number in (1, 2):
        invite = gateway.provider.receives_request("INVITE")
        gateway.provider.answers(invite, 494, fields=(("Security-Server", f"sdes-srtp;mediasec;q=0.{number}"),))
        gateway.provider.receives("ACK")
    assert gateway.phone.receives_response(494).status == 494
    gateway.provider.receives_nothing()
    (record,) = gateway.calls.records()
    assert record.reason == "PROVIDER_REFUSED_MEDIA"


def test_an_offer_has_the_mark_and_no_phone_sees_one() -> None:
    gateway = house()
    onward, answer = talk(gateway)
    assert onward.body == SAVP + MARK
    assert b"3ge2ae" not in answer.body


def test_an_answer_has_the_mark_and_a_phone_is_not_shown_the_edges() -> None:
    gateway = house()
    offer = SAVP + b"a=3ge2ae:applied\r\n"
    gateway.provider.sends(gateway.provider.invite("sip:alice-1@gw.example.com", sdp=offer))
    gateway.provider.receives(100)
    invite = gateway.phone.receives_request("INVITE")
    assert b"3ge2ae" not in invite.body
    gateway.phone.answers(invite, 200, sdp=AVP)
    gateway.phone.receives("ACK")
    assert gateway.provider.receives_response(200).body == SAVP + MARK


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_changes_of_the_media_say_it_and_other_requests_do_not(method: str) -> None:
    gateway = house()
    _, answer = talk(gateway)
    gateway.phone.sends(gateway.phone.within(answer, method, sdp=AVP))
    if method == "INVITE":
        gateway.phone.receives(100)
    change = gateway.provider.receives_request(method)
    assert said(change) == FIRST
    assert MARK in change.body
    gateway.provider.answers(change, 200, sdp=SAVP)
    gateway.phone.receives(200)
    gateway.phone.sends(gateway.phone.within(answer, "INFO", cseq=3))
    while (request := gateway.provider.flow.sent.pop(0)).title == "ACK":
        assert isinstance(request, Request)
        assert said(request) == {}
    assert isinstance(request, Request)
    assert (request.method, said(request)) == ("INFO", {})


def test_in_clear_nothing_is_said() -> None:
    gateway = house(attrs.evolve(TELEKOM, fallback_uri=CLEAR), security=Security.OFF)
    gateway.phone.sends(gateway.phone.invite())
    gateway.phone.receives(100)
    onward = gateway.clear.receives_request("INVITE")
    assert said(onward) == {}
    assert b"3ge2ae" not in onward.body


def test_another_provider_is_told_nothing() -> None:
    gateway = house(attrs.evolve(TELEKOM, mediasec=False))
    onward, _ = talk(gateway)
    assert said(onward) == {}
    assert onward.body == SAVP


def test_other_tags_of_require_stay() -> None:
    gateway = house()
    _, answer = talk(gateway)
    invite = gateway.phone.invite(call_id="c2")
    invite.headers.add("Require", "replaces")
    invite.headers.add("Replaces", "x;to-tag=1;from-tag=2")
    gateway.phone.sends(invite)
    gateway.phone.receives(100)
    assert answer.status == 200
    assert gateway.provider.receives_request("INVITE").headers.values("Require") == ["replaces", "mediasec"]


def test_nothing_is_left_of_a_call_with_media_security() -> None:
    gateway = house()
    _, answer = talk(gateway)
    gateway.phone.sends(gateway.phone.within(answer, "BYE"))
    gateway.provider.answers(gateway.provider.receives_request("BYE"), 200)
    nothing_is_left(gateway)


@pytest.mark.parametrize(
    "values",
    [
        ("sdes-srtp;mediasec", "not a mechanism"),
        ("sdes-srtp;mediasec", 'x;y="<script>"'),
        ("tls;q=0.5",),
        ("sdes-srtp",),
        ("sdes-srtp;mediasec",) * (MOST_MECHANISMS + 1),
        ("a" * 41 + ";mediasec",),
    ],
)
def test_a_list_that_is_none_is_not_given_back(values: tuple[str, ...]) -> None:
    gateway, known = house(), Mediasec()
    known.learn(
        Response(401, "Unauthorized", Headers([("Security-Server", one) for one in values])),
        TELEKOM,
        gateway.provider_flow,
    )
    assert not given_back(known, gateway)


def test_a_list_is_taken_over_tls_and_from_such_a_provider_alone() -> None:
    gateway, known = house(), Mediasec()
    response = Response(401, "Unauthorized", Headers(SERVERS))
    known.learn(response, TELEKOM, gateway.clear_flow)
    known.learn(response, attrs.evolve(TELEKOM, mediasec=False), gateway.provider_flow)
    assert not given_back(known, gateway)
    known.learn(response, TELEKOM, gateway.provider_flow)
    assert given_back(known, gateway) == [*LIST]


def test_mechanisms_of_signalling_are_not_its_to_give_back() -> None:
    gateway, known = house(), Mediasec()
    known.learn(
        Response(401, "", Headers([("Security-Server", "tls;q=0.2, sdes-srtp;mediasec")])),
        TELEKOM,
        gateway.provider_flow,
    )
    assert given_back(known, gateway) == ["sdes-srtp;mediasec"]


def test_a_provider_in_clear_cannot_have_it(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        SMALLEST.replace("\n[[domain]]", "mediasec = true\n\n[[domain]]").replace(
            '"sip:provider.example.com"', f'"{CLEAR}"'
        )
    )
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    assert f'provider[0].mediasec: found true, but "{CLEAR}" is not TLS, which mediasec needs' in str(raised.value)
