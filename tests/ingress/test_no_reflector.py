"""No reflector: a host that has not proved to be there is sent three bytes at most for each of its own, over UDP.

    site.datagram(request, VICTIM)      somebody writes the victim's address into a datagram; the victim says nothing

The whole signalling of a gateway, in a memory network; a story lasts until every timer has run out. In the last part a
real phone loses datagrams and gets through all the same.
"""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gateway.config.model import Listener, MovedPhones, Side
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import parse
from gateway.transport.allowance import MOST, PER_BYTE
from gateway.transport.flow import Address, FlowKey, Transport
from tests.support.ladder import AVP, BINDING
from tests.support.memory_network import Place
from tests.support.signalling import PHONE, PROVIDER, TRUNK, UDP, Signalling

VICTIM: Place = ("203.0.113.9", 5060)
ELSEWHERE: Place = ("203.0.113.77", 5060)
METHODS = (
    "INVITE CANCEL REGISTER OPTIONS SUBSCRIBE NOTIFY MESSAGE BYE ACK INFO PUBLISH REFER UPDATE PRACK NONSENSE".split()
)
SECONDS = 80.0


def request(
    method: str, uri: str = "sip:bob@example.com", *, more: str = "", body: bytes = b"", call: str = "c", via: str = ""
) -> bytes:
    """A request as short as they come: nothing in it but the fields that the gateway must have."""
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"v:SIP/2.0/UDP {via or VICTIM[0]};branch=z9hG4bK{call}\r\n"
        f"f:<sip:a@example.com>;tag=f\r\nt:<{uri}>\r\ni:{call}\r\nCSeq:1 {method}\r\nMax-Forwards:9\r\n"
        f"m:<sip:a@{VICTIM[0]}>\r\n{more}l:{len(body)}\r\n\r\n"
    ).encode() + body


FORGED = {
    **{method: (request(method),) for method in METHODS},
    "INVITE with SDP": (request("INVITE", more="c:application/sdp\r\n", body=AVP),),
    "INVITE, CANCEL": (request("INVITE"), request("CANCEL")),
    "OPTIONS of the gateway": (request("OPTIONS", "sip:example.com"),),
    "NOTIFY, keep-alive": (request("NOTIFY", more="o:keep-alive\r\n"),),
    "another domain": (request("INVITE", "sip:bob@elsewhere.example"),),
    "no hops": (request("INVITE").replace(b"Forwards:9", b"Forwards:0"),),
    "Require": (request("INVITE", more="Require:a,b,c,d\r\n"),),
    "answer to another port": (request("INVITE", via=f"{VICTIM[0]}:9"),),
    "malformed": (request("INVITE").replace(b"CSeq:1 INVITE", b"CSeq:x"),),
    "no SIP": (b"x" * 40,),
    "empty": (b"",),
    "keep-alive": (b"\r\n\r\n",),
}

SILENT = {"ACK", "no SIP", "empty", "REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "MESSAGE", "INFO", "PUBLISH"}
"""No answer: to no request, and to one that the provider leaves without one (RFC 4320)."""


class Forger:
    """A gateway, and datagrams with addresses of others in them."""

    def __init__(self, side: Side = Side.PHONES, site: Signalling | None = None) -> None:
        self.site = site or Signalling()
        self.place = UDP if side is Side.PHONES else TRUNK
        self.came: Counter[str] = Counter()
        self.went: Counter[str] = Counter()
        self.datagrams: Counter[str] = Counter()

    def send(self, data: bytes, source: Place = VICTIM) -> None:
        """One forged datagram."""
        self.came[source[0]] += len(data)
        self.site.network.datagrams[self.place].arrive(data, source)
        self.count()

    def wait(self, seconds: float) -> None:
        """Let time pass. The provider is silent."""
        self.site.run_out(seconds)
        self.count()

    def count(self) -> None:
        """Count the bytes that went out."""
        for data, target in self.site.network.datagrams[self.place].sent:
            self.went[target[0]] += len(data)
            self.datagrams[target[0]] += 1
        self.site.network.datagrams[self.place].sent.clear()

    def is_bounded(self) -> bool:
        """Whether no victim got more than its share."""
        return all(self.went[host] <= PER_BYTE * self.came[host] for host in self.went if host != PROVIDER[0])

    @property
    def statuses(self) -> list[int]:
        """The responses on the wire, taken by looking."""
        sent = self.site.network.datagrams[self.place].sent
        messages = [parse(data) for data, _ in sent]
        self.count()
        return [message.status for message in messages if isinstance(message, Response)]


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_request_of_a_phone_gives_three_bytes_at_most_for_each_of_its_own(name: str) -> None:
    forger = Forger()
    for data in FORGED[name]:
        forger.send(data)
    forger.wait(SECONDS)
    assert forger.is_bounded()
    assert forger.went[VICTIM[0]] > 0 or name in SILENT


@pytest.mark.parametrize("name", FORGED)
def test_a_stranger_on_the_providers_side_gives_nothing(name: str) -> None:
    forger = Forger(Side.PROVIDER)
    for data in FORGED[name]:
        forger.send(data)
    forger.wait(SECONDS)
    assert forger.went[VICTIM[0]] == (2 if name == "keep-alive" else 0)


@pytest.mark.parametrize("name", FORGED)
def test_the_address_of_a_peer_is_no_proof(name: str) -> None:
    """It stands on the access list, and that is the very address that a forger writes."""
    forger = Forger(Side.PROVIDER)
    for data in FORGED[name]:
        forger.send(data, PROVIDER)
    forger.wait(SECONDS)
    assert forger.went[PROVIDER[0]] <= PER_BYTE * forger.came[PROVIDER[0]]


def test_a_refused_invite_was_repeated_ten_times_and_is_no_more() -> None:
    forger = Forger()
    forger.send(request("INVITE", more="Require:x\r\nX-Fill:" + 200 * "x" + "\r\n"))
    forger.wait(SECONDS)
    assert 1 <= forger.datagrams[VICTIM[0]] <= 5
    port = forger.site.transport.port("phones")
    assert port.withheld >= 5  # type: ignore[union-attr]


def test_an_options_that_earns_little_gets_the_short_answer() -> None:
    long = request("OPTIONS", "sip:example.com", more="X: " + 200 * "x" + "\r\n")
    short = b"OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK\r\nf:<sip:a>\r\nt:<sip:a>\r\ni:1\r\n"
    short += b"CSeq:1 OPTIONS\r\n\r\n"
    forger = Forger()
    (whole,) = map(parse, forger.site.datagram(long, VICTIM))
    (least,) = map(parse, forger.site.datagram(short, ELSEWHERE))
    assert isinstance(least, Response)
    assert "allow" in whole.headers
    assert least.status == 200
    assert set(least.headers.present) <= {"via", "from", "to", "call-id", "cseq", "content-length"}


def sources() -> some.SearchStrategy[Place]:
    return some.sampled_from([VICTIM, (VICTIM[0], 9), ELSEWHERE])


def forged() -> some.SearchStrategy[bytes]:
    """Requests of all kinds, whole and damaged."""
    whole = some.builds(
        request,
        some.sampled_from(METHODS),
        some.sampled_from(
            [
                "sip:bob@example.com",
                "sip:example.com",
                "sip:x@elsewhere.example",
                "sip:112@example.com",
                "tel:+1",
                "sip:[",
            ]
        ),
        more=some.sampled_from(
            [
                "",
                "o:keep-alive\r\n",
                "Require:x\r\n",
                "Authorization:Digest x\r\n",
                "k:100rel\r\n",
                "c:application/sdp\r\n",
            ]
        ),
        body=some.sampled_from([b"", AVP]),
        call=some.sampled_from(["1", "2", "3"]),
        via=some.sampled_from(["", "a", f"{VICTIM[0]}:9", f"{VICTIM[0]};rport", "h;maddr=1.2.3.4", ELSEWHERE[0]]),
    )
    tagged = whole.map(lambda data: data.replace(b">\r\ni:", b">;tag=t\r\ni:"))
    cut = some.tuples(whole, some.integers(0, 300)).map(lambda pair: pair[0][: pair[1]])
    return some.one_of(whole, tagged, cut, some.binary(max_size=60), some.just(b"\r\n\r\n"))


ANSWERS = (100, 180, 183, 200, 302, 401, 404, 407, 486, 503)


def provider_says(site: Signalling, status: int) -> None:
    """The provider answers all that it was sent."""
    for message in site.provider:
        if isinstance(message, Request) and message.method != "ACK":
            response = message.response(status, to_tag="p")
            response.headers.add("Contact", f"<sip:bob@{PROVIDER[0]}>;expires=60")
            response.headers.add("WWW-Authenticate", 'Digest realm="r", nonce="' + 300 * "n" + '"')
            if status in (183, 200) and message.method == "INVITE":
                response.headers.add("Content-Type", "application/sdp")
                response.body = AVP
            site.network.datagrams[TRUNK].arrive(response.to_bytes(), PROVIDER)


STEPS = some.lists(
    some.one_of(
        some.tuples(forged(), sources()),
        some.sampled_from(ANSWERS),
        some.sampled_from([0.3, 1.0, 5.0, 40.0]),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_story_of_forged_requests_gives_more_than_three_bytes_for_each(steps: list[object]) -> None:
    forger = Forger()
    for step in steps:
        if isinstance(step, tuple):
            forger.send(*step)
        elif isinstance(step, int):
            provider_says(forger.site, step)
        else:
            forger.wait(float(str(step)))
        forger.count()
        assert forger.is_bounded()
    forger.wait(SECONDS)
    assert forger.is_bounded()


# Proofs, and what is none.


def is_proved(site: Signalling, source: Place = PHONE, listener: str = "phones") -> bool:
    flow = site.transport.flow(FlowKey(listener, Transport.UDP, Address(*source)))
    assert flow is not None
    return flow.allowance.is_proved


REFUSED = request("INVITE", more="Require:x\r\n")


def refused_invite(site: Signalling, source: Place = PHONE) -> Response:
    """The 420 to an INVITE."""
    (answer,) = map(parse, site.datagram(REFUSED, source))
    assert isinstance(answer, Response)
    return answer


def addressed(data: bytes, to: str) -> bytes:
    """That request with another To."""
    return data.replace(b"t:<sip:bob@example.com>", f"t:{to}".encode())


def ack(to: str) -> bytes:
    return addressed(request("ACK"), to)


def test_the_ack_of_a_refusal_is_a_proof() -> None:
    site = Signalling()
    refusal = refused_invite(site)
    assert not is_proved(site)
    site.datagram(ack(refusal.headers.get("To") or ""))
    assert is_proved(site)


@pytest.mark.parametrize("to", ["<sip:bob@example.com>", "<sip:bob@example.com>;tag=guess"])
def test_an_ack_without_our_tag_is_none(to: str) -> None:
    site = Signalling()
    refused_invite(site)
    site.datagram(ack(to))
    assert not is_proved(site)


def test_a_tag_of_the_forgers_own_comes_back_and_proves_nothing() -> None:
    site = Signalling()
    data = REFUSED.replace(b">\r\ni:", b">;tag=mine\r\ni:")
    (answer,) = map(parse, site.datagram(data))
    assert isinstance(answer, Response)
    assert answer.status == 481
    site.datagram(ack("<sip:bob@example.com>;tag=mine"))
    assert not is_proved(site)


def test_a_tag_that_was_told_to_another_host_is_none() -> None:
    """The forger asks in its own name first, with the same branch and Call-ID, and waits until that is forgotten."""
    site = Signalling()
    learned = refused_invite(site, ELSEWHERE).headers.get("To") or ""
    site.run_out(SECONDS)
    refused_invite(site, VICTIM)
    site.datagram(ack(learned), VICTIM)
    assert not is_proved(site, VICTIM)


def test_a_response_to_a_request_of_ours_is_a_proof_of_its_sender_alone() -> None:
    site = Signalling()
    site.datagram(request("OPTIONS", "sip:bob@example.com"))
    (passed,) = site.provider
    assert isinstance(passed, Request)
    assert is_proved(site, PROVIDER, "provider")  # a target of ours, by configuration
    site.network.datagrams[TRUNK].arrive(passed.response(200, to_tag="p").to_bytes(), ELSEWHERE)
    assert not is_proved(site, ELSEWHERE, "provider")


def bound(site: Signalling) -> None:
    site.store.save(attrs.evolve(BINDING, expires_at=1e6, provider_expires_at=1e6))


def rings(site: Signalling) -> int:
    """How often the phone of BINDING is asked to ring in a minute in which it says nothing."""
    target = (BINDING.flow.remote.host, BINDING.flow.remote.port)
    call = request("INVITE", "sip:alice@example.com", more="c:application/sdp\r\n", body=AVP, via=PROVIDER[0])
    site.network.datagrams[TRUNK].arrive(call, PROVIDER)
    site.run_out(60)
    sent = site.network.datagrams[UDP].sent
    return sum(data.startswith(b"INVITE ") for data, to in sent if to == target)


def test_a_phone_that_registered_without_a_password_rings_all_the_same() -> None:
    site = Signalling()
    bound(site)
    assert rings(site) >= 6  # timer A within timer B


@pytest.mark.parametrize(
    ("field", "proved"), [("", False), ('Authorization: Digest username="a", nonce="n"\r\n', True)]
)
def test_credentials_that_the_provider_took_are_a_proof(field: str, *, proved: bool) -> None:
    site = Signalling()
    register = request("REGISTER", "sip:example.com", more=field + "Expires: 60\r\n").replace(
        b"t:<sip:example.com>", b"t:<sip:a@example.com>"
    )
    site.datagram(register)
    (forwarded,) = site.provider
    assert isinstance(forwarded, Request)
    granted = forwarded.response(200, to_tag="p")
    granted.headers.add("Contact", f"{forwarded.headers.get('Contact')};expires=60")
    site.network.datagrams[TRUNK].arrive(granted.to_bytes(), PROVIDER)
    assert len(site.store) == 1
    assert is_proved(site) is proved


def within(method: str, answer: Message) -> bytes:
    """A request within the dialog of an answer."""
    return addressed(request(method, call="o"), answer.headers.get("To") or "").replace(b"i:o", b"i:c")


def answered_call(site: Signalling, source: Place = PHONE) -> Response:
    """The 200 to a call of a phone that nobody knows."""
    socket = site.network.datagrams[UDP]
    usual = "Allow:" + 200 * "x" + "\r\nSupported:" + 200 * "x" + "\r\nc:application/sdp\r\n"
    site.datagram(request("INVITE", more=usual, body=AVP, via=source[0]), source)
    provider_says(site, 200)
    (answer,) = [parse(data) for data, _ in socket.sent if data.startswith(b"SIP/2.0 200")]
    assert isinstance(answer, Response)
    socket.sent.clear()
    return answer


def test_the_ack_of_an_answer_is_a_proof() -> None:
    site = Signalling()
    answer = answered_call(site)
    assert not is_proved(site)
    site.datagram(
        request("ACK", call="other")
        .replace(b"t:<sip:bob@example.com>", f"t:{answer.headers.get('To')}".encode())
        .replace(b"i:other", b"i:c")
    )
    assert is_proved(site)


def test_where_tags_speak_for_moved_phones_they_are_no_proof() -> None:
    moved = Listener("moved", Side.PHONES, "udp", "192.0.2.1", 5070, moved_phones=MovedPhones.TAGS)
    site = Signalling(more=(moved,))
    place, own = ("192.0.2.1", 5070), ("192.0.2.44", 5060)
    site.datagram(request("INVITE", more="c:application/sdp\r\n", body=AVP, via=own[0]), own, place)
    provider_says(site, 200)
    (answer,) = [parse(data) for data, _ in site.network.datagrams[place].sent if data.startswith(b"SIP/2.0 200")]
    for _ in range(2):
        site.datagram(within("OPTIONS", answer), VICTIM, place)
    assert not is_proved(site, VICTIM, "moved")


def test_what_a_host_has_left_does_not_grow_for_ever() -> None:
    site = Signalling()
    for number in range(200):
        site.datagram(request("ACK", call=str(number), more="X: " + 900 * "x" + "\r\n"))
    flow = site.transport.flow(FlowKey("phones", Transport.UDP, Address(*PHONE)))
    assert flow is not None
    assert flow.allowance.left == MOST


# A phone that is there, not registered, and loses datagrams.


def test_a_lost_challenge_is_sent_again_for_the_copy_of_the_invite() -> None:
    """The phone goes on with its INVITE until it hears something, and each copy earns the answer."""
    forger = Forger()
    invite = request("INVITE", via=PHONE[0])
    forger.send(invite, PHONE)
    provider_says(forger.site, 407)
    assert forger.statuses == [407]
    for wait in (0.5, 1, 2, 4):
        forger.site.network.pump([wait])
        forger.count()
        forger.send(invite, PHONE)
        assert forger.datagrams[PHONE[0]] > 0
    assert forger.datagrams[PHONE[0]] >= 5


def test_a_100_waits_for_the_first_copy_of_the_invite() -> None:
    """With a 100 at once the phone would stop its copies, and a lost refusal could not be earned again."""
    forger = Forger()
    invite = request("INVITE", via=PHONE[0])
    forger.send(invite, PHONE)
    forger.site.network.pump([0.3])
    assert forger.statuses == []
    forger.site.network.datagrams[UDP].arrive(invite, PHONE)
    assert forger.statuses == [100]


def test_a_phone_that_is_proved_gets_its_100_after_200_ms() -> None:
    site = Signalling()
    site.datagram(ack(refused_invite(site).headers.get("To") or ""))
    site.network.datagrams[UDP].sent.clear()
    site.datagram(request("INVITE", call="next", via=PHONE[0]))
    site.network.pump([0.3])
    assert [data[8:11] for data, _ in site.network.datagrams[UDP].sent] == [b"100"]


def test_a_phone_that_is_proved_gets_every_copy_of_a_refusal() -> None:
    site = Signalling()
    site.datagram(ack(refused_invite(site).headers.get("To") or ""))
    site.datagram(request("INVITE", more="Require:x\r\n", call="next"))
    site.run_out(SECONDS)
    assert len(site.network.datagrams[UDP].sent) >= 10


def test_an_answer_that_is_lost_once_is_sent_again() -> None:
    site = Signalling()
    answered_call(site)
    site.network.pump([0.6])
    assert [data[8:11] for data, _ in site.network.datagrams[UDP].sent] == [b"200"]


@pytest.mark.parametrize("times", [1, 12, 40])
def test_a_call_that_rings_for_long_is_answered_all_the_same(times: int) -> None:
    """The phone has heard that it rings, and sends no copies of its INVITE, whatever the provider says meanwhile."""
    site = Signalling()
    usual = "Allow:" + 200 * "x" + "\r\nSupported:" + 200 * "x" + "\r\nc:application/sdp\r\n"
    site.datagram(request("INVITE", more=usual, body=AVP, via=PHONE[0]), PHONE)
    (invite,) = [message for message in site.provider if isinstance(message, Request)]
    for status in [*[180] * times, 200]:
        response = invite.response(status, to_tag="p")
        response.headers.add("Contact", f"<sip:bob@{PROVIDER[0]}>")
        if status == 200:
            response.headers.add("Content-Type", "application/sdp")
            response.body = AVP
        site.network.datagrams[TRUNK].arrive(response.to_bytes(), PROVIDER)
        site.network.pump([1.0])
    statuses = [data[8:11] for data, _ in site.network.datagrams[UDP].sent]
    assert statuses[0] == b"180"
    assert b"200" in statuses
