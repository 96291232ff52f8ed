"""Generated messages into the whole signalling: nothing raises, nothing is left over, and an honest phone is served.

What is damaged is not noise but the messages of calls: of every method, in and out of dialogs, with the provider's
answers among them. Some 40,000 inputs an entry: datagrams of phones, datagrams of the provider, and streams.
"""

from __future__ import annotations

import gc
import random
import re
import tracemalloc
from collections.abc import Iterator

import attrs
import pytest

from gateway.b2bua.call import CallState
from gateway.sip.message import Request
from tests.fuzz.generation import SIP_PIECES, damaged, inputs
from tests.support.ladder import AVP, BINDING, SAVP
from tests.support.rfc4475 import MESSAGES
from tests.support.signalling import PHONE, PROVIDER, TCP, TRUNK, UDP, OurFailures, Signalling

COUNT = 40_000

TO_TAG = re.compile(rb"\r\nTo: [^\r]*;tag=([0-9a-f]{16})")

METHODS = "INVITE ACK BYE CANCEL REGISTER OPTIONS SUBSCRIBE NOTIFY MESSAGE INFO PUBLISH REFER UPDATE PRACK".split()


def message(method: str, number: int, body: bytes = b"", to_tag: str = "", host: str = "192.0.2.11:5070") -> bytes:
    """A request as a phone or a provider sends it."""
    uri = "sip:example.com" if method == "REGISTER" else "sip:alice@example.com"
    body_type = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host};branch=z9hG4bK{method}{number};rport\r\n"
        "Max-Forwards: 70\r\n"
        f'From: "Alice" <sip:alice@example.com>;tag=f{number}\r\n'
        f"To: <sip:alice@example.com>{to_tag}\r\n"
        f"Call-ID: call{number}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"Contact: <sip:alice@{host}>;expires=60\r\n"
        "Supported: 100rel, timer, replaces\r\nEvent: dialog\r\nRefer-To: <sip:bob@example.com>\r\n"
        f"{body_type}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


GOOD = (
    *(message(method, number) for number, method in enumerate(METHODS)),
    *(message(method, 50 + number, to_tag=";tag=0000000000000001") for number, method in enumerate(METHODS)),
    *(message("INVITE", 100 + number, sdp) for number, sdp in enumerate((AVP, SAVP, AVP * 2))),
    *(torture.data for torture in MESSAGES.values()),
)


@pytest.fixture(autouse=True)
def no_bugs() -> Iterator[None]:
    """Whatever arrives, nothing of ours fails."""
    with OurFailures() as failures:
        yield
    assert [event["log_failure"].getTraceback() for event in failures.events] == []


def is_served(site: Signalling) -> bool:
    honest = message("OPTIONS", 999_999).replace(b"sip:alice@example.com SIP", b"sip:example.com SIP")
    return [answer[8:11] for answer in site.datagram(honest, ("192.0.2.99", 5060))] == [b"200"]


def rests(site: Signalling) -> None:
    """Every timer runs out, calls that are up are hung up, and nothing is left."""
    site.run_out(300)
    site.network.pump([60.0] * 100)
    assert {call.state for call in site.calls.active} <= {CallState.ESTABLISHED}
    site.calls.end_all("the test hangs up")
    site.run_out(64)
    assert site.is_empty()


def test_datagrams_of_the_provider() -> None:
    """A peer that is let in, toward a phone that is registered."""
    site = Signalling()
    now = site.network.seconds
    socket, phone = site.network.datagrams[TRUNK], site.network.datagrams[UDP]
    rung = 0
    for number, data in enumerate(inputs(14, COUNT, GOOD, SIP_PIECES)):
        if number % 2000 == 0:
            rests(site)
            site.store.save(attrs.evolve(BINDING, expires_at=now() + 1e6, provider_expires_at=now() + 1e6))
        socket.arrive(data, PROVIDER)
        rung += sum(sent.startswith(b"INVITE ") for sent, _ in phone.sent)
        phone.sent.clear()
        socket.sent.clear()
    rests(site)
    assert rung > 100
    assert is_served(site)


def test_datagrams_of_phones() -> None:
    site = Signalling()
    socket = site.network.datagrams[UDP]
    for number, data in enumerate(inputs(11, COUNT, GOOD, SIP_PIECES)):
        socket.arrive(data, (f"10.0.{number >> 6 & 255}.{number & 63}", 5060))
        if number % 2000 == 1999:
            rests(site)
            socket.sent.clear()
            site.network.datagrams[TRUNK].sent.clear()
    assert is_served(site)


def answers(chance: random.Random, request: Request) -> Iterator[bytes]:
    """What a provider might say to a request, some of it damaged."""
    for status in chance.sample((100, 180, 183, 200, 200, 302, 401, 407, 422, 486, 488, 503), k=2):
        response = request.response(status, to_tag=f"p{chance.randrange(3)}")
        response.headers.add("Contact", f"<sip:bob@{PROVIDER[0]}:{PROVIDER[1]}>;expires=60")
        if status in (183, 200) and request.body:
            response.headers.add("Content-Type", "application/sdp")
            response.body = AVP
        if status in (401, 407):
            response.headers.add("WWW-Authenticate", 'Digest realm="example.com", nonce="1", qop="auth"')
        data = response.to_bytes()
        yield damaged(chance, (data,), SIP_PIECES) if chance.random() < 0.7 else data


def test_calls_whose_messages_are_damaged_on_both_sides() -> None:
    """Each call begins well; then both sides send what is damaged, within it and about it."""
    site = Signalling()
    chance = random.Random(12)
    phone, trunk = site.network.datagrams[UDP], site.network.datagrams[TRUNK]
    count = 0
    for number in range(COUNT // 25):
        method = chance.choice(("INVITE", "INVITE", "INVITE", "SUBSCRIBE", "REGISTER", "MESSAGE", "OPTIONS"))
        sdp = chance.choice((AVP, b"")) if method == "INVITE" else b""
        phone.arrive(message(method, number, sdp), PHONE)
        tags = [f";tag={chance.randrange(1, 6):016x}"]
        for _ in range(2):
            for request in site.provider:
                if isinstance(request, Request) and request.method != "ACK":
                    for data in answers(chance, request):
                        trunk.arrive(data, PROVIDER)
                        count += 1
            for data, _target in phone.sent:
                tags += [f";tag={tag.decode()}" for tag in TO_TAG.findall(data)]
            phone.sent.clear()
            inner = message(chance.choice(METHODS), number, chance.choice((b"", AVP)), chance.choice(tags))
            inner = inner.replace(b"bK", b"bK%d" % chance.randrange(99)).replace(b"CSeq: 1", b"CSeq: 2")
            phone.arrive(damaged(chance, (inner,), SIP_PIECES) if chance.random() < 0.5 else inner, PHONE)
            count += 1
        if number % 500 == 499:
            rests(site)
    rests(site)
    assert count > 5000
    assert is_served(site)


def test_streams_of_phones() -> None:
    """One input after the other on connections that live as long as they can, in pieces of any size."""
    site = Signalling()
    chance = random.Random(13)
    peer = site.network.connect(TCP, PHONE[0])
    connections = 1
    for number, data in enumerate(inputs(13, COUNT, GOOD, SIP_PIECES)):
        cut = chance.randrange(len(data) + 1)
        peer.send(data[:cut])
        peer.send(data[cut:])
        site.network.settle()
        if peer.is_closed:
            peer = site.network.connect(TCP, PHONE[0])
            connections += 1
        if number % 4000 == 3999:
            rests(site)
            site.network.datagrams[TRUNK].sent.clear()
            peer = site.network.connect(TCP, PHONE[0])
    assert connections > 1000
    assert site.transport.connection_count <= 2
    assert is_served(site)


def test_bad_input_leaves_no_memory_behind() -> None:
    site = Signalling()
    socket = site.network.datagrams[UDP]

    def round_of(seed: int) -> int:
        for data in inputs(seed, 2000, GOOD, SIP_PIECES):
            socket.arrive(data, PHONE)
        rests(site)
        socket.sent.clear()
        site.network.datagrams[TRUNK].sent.clear()
        for remembered in (site.relay.asked, site.relay._offered, site.relay.deleted):
            remembered.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        for seed in range(3):  # caches and the records of ended calls fill up
            before = round_of(seed)
        assert round_of(3) - before < 1_000_000
    finally:
        tracemalloc.stop()
