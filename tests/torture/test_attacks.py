"""Attacks on signalling as a phone, or whoever reaches the phones' listeners, can make them.

Each goes through everything from the transport up. What must hold: nothing of the attacker's making crosses to the
provider, tables and memory stay bounded, and an honest phone is served during the attack and after it.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gateway.config.model import SourceLimits
from gateway.sip.message import Request
from gateway.sip.parser import parse
from gateway.transaction.room import Ceiling
from gateway.transport.stream.accept import ConnectionLimits
from tests.support.ladder import AVP
from tests.support.memory_network import RawPeer
from tests.support.signalling import PHONE, PROVIDER, TCP, TLS, TRUNK, UDP, OurFailures, Signalling
from tests.support.tls_authority import Authority
from tests.support.tls_peer import GATEWAY_NAME, TlsPeer

CONTENT_LENGTHS = (
    "Content-Length: 4294967328",  # 2**32 + 32
    "Content-Length: 18446744073709551648",  # 2**64 + 32
    "Content-Length: -1",
    "Content-Length: +5",
    "Content-Length: 0x20",
    "Content-Length: 5 5",
    "Content-Length: 5, 5",
    "Content-Length:",
    "Content-Length: \N{ARABIC-INDIC DIGIT FIVE}",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nl: 500",
    "l: 0\r\nX: y\r\nCONTENT-LENGTH : 40",
    "Content-Length: 0\r\nContent-Length:\r\n 40",
)

IDENTITY = "P-Asserted-Identity: <sip:ceo@example.com>"


@pytest.fixture(autouse=True)
def no_bugs() -> Iterator[None]:
    """Whatever arrives, nothing of ours fails."""
    with OurFailures() as failures:
        yield
    assert failures.events == []


def request(
    method: str = "INVITE", number: int = 0, *fields: str, length: str = "", to: str = "bob", body: bytes = b""
) -> bytes:
    """One phone's request, unlike any other that has another number."""
    uri = "sip:example.com" if method == "REGISTER" else f"sip:{to}@example.com"
    head = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.11:5070;branch=z9hG4bK{method}{number};rport",
        "Max-Forwards: 70",
        f"From: <sip:alice{number}@example.com>;tag=f{number}",
        f"To: <sip:{'alice' + str(number) if method == 'REGISTER' else to}@example.com>",
        f"Call-ID: call-{method}-{number}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:alice{number}@192.0.2.11:5070>",
        *fields,
    ]
    if method == "SUBSCRIBE":
        head.append("Event: message-summary")
    if body:
        head.append("Content-Type: application/sdp")
    head.append(length or f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def first_lines(data: bytes) -> list[bytes]:
    return [line[8:11] for line in data.split(b"\r\n") if line.startswith(b"SIP/2.0 ")]


def is_served(site: Signalling, source: str = "192.0.2.99") -> bool:
    """Whether an honest phone's OPTIONS is answered."""
    honest = request("OPTIONS", 7).replace(b"sip:bob@example.com SIP", b"sip:example.com SIP")
    return first_lines(b"".join(site.datagram(honest, (source, 5060)))) == [b"200"]


# -- framing of streams


@pytest.mark.parametrize("length", CONTENT_LENGTHS)
def test_a_content_length_that_could_be_read_in_two_ways_is_answered_400_and_closes(length: str) -> None:
    site = Signalling()
    peer = site.network.connect(TCP, PHONE[0])
    smuggled = request("REGISTER", 2)
    peer.send(request("OPTIONS", 1, length=length) + smuggled)
    site.network.settle()
    assert first_lines(peer.received) == [b"400"]
    assert peer.is_closed
    assert site.provider == []
    assert site.transport.connection_count == 0


def test_the_same_over_tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    site = Signalling(authority.issue("gateway", GATEWAY_NAME))
    for length in CONTENT_LENGTHS:
        peer = TlsPeer(site.network, site, authority.file).shake_hands()  # type: ignore[arg-type]  # asks for `place` only
        peer.say(request("OPTIONS", 1, length=length) + request("REGISTER", 2))
        assert first_lines(peer.received) == [b"400"]
        assert peer.raw.is_closed
    assert site.provider == []


@pytest.mark.parametrize("length", CONTENT_LENGTHS)
def test_the_same_in_a_datagram(length: str) -> None:
    site = Signalling()
    if length != "Content-Length: 5\r\nContent-Length: 5":
        site.datagram(request("OPTIONS", 1, length=length) + request("REGISTER", 2))
    assert site.provider == []


# -- what crosses

SMUGGLED = (
    "X-Bypass-me : yes",
    "X-Bypass-me:yes",
    "X-Bypass-me\t:\tyes",
    f"X-Other: y\r\n {IDENTITY}",
    IDENTITY,
    IDENTITY.replace(":", " :", 1),
    IDENTITY.replace(":", "\t:", 1),
    IDENTITY.lower(),
    "P-Asserted-Identity:\r\n <sip:ceo@example.com>",
    "Remote-Party-ID: <sip:ceo@example.com>",
    "Diversion: <sip:ceo@example.com>",
    "History-Info: <sip:ceo@example.com>",
    "P-Charging-Vector: icid-value=1",
    "Route: <sip:203.0.113.66;lr>",
    "Record-Route: <sip:203.0.113.66;lr>",
    "Path: <sip:203.0.113.66;lr>",
    "Service-Route: <sip:203.0.113.66;lr>",
    "User-Agent: Phone/1.0 (192.0.2.11)",
    "Server: Phone/1.0",
    "Subject: fine\r\n folded",
)


@pytest.mark.parametrize("field", SMUGGLED)
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "REGISTER", "OPTIONS"])
def test_what_is_not_declared_does_not_cross(method: str, field: str) -> None:
    site = Signalling()
    site.datagram(request(method, 1, field))
    (onward,) = site.provider
    text = onward.to_bytes().decode()
    for word in ("ypass", "ceo@", "203.0.113.66", "icid", "Phone/1.0", "192.0.2.11"):
        assert word not in text
    assert "\r\n " not in text
    assert "\r\n\t" not in text
    assert " :" not in text.split("\r\n\r\n")[0].replace("sip :", "")


NAMES = (
    f'"Bob\r\n{IDENTITY}\r\nX: " <sip:alice@example.com>;tag=1',
    f"Bob\r\n{IDENTITY}\r\nX: <sip:alice@example.com>;tag=1",
    f'"Bob\n{IDENTITY}\n" <sip:alice@example.com>;tag=1',
    f'"Bob\r{IDENTITY}\r" <sip:alice@example.com>;tag=1',
    f'"Bob\\\r\\\n{IDENTITY}" <sip:alice@example.com>;tag=1',
    f'"Bob\r\n {IDENTITY}" <sip:alice@example.com>;tag=1',
    f'"Bob" <sip:alice%0d%0a{IDENTITY.replace(" ", "%20").replace("<", "").replace(">", "")}@example.com>;tag=1',
    f"<sip:alice@example.com>;tag=1\r\n{IDENTITY}",
    f'"Bob\0{IDENTITY}" <sip:alice@example.com>;tag=1',
    f'"Bob\x0b{IDENTITY}" <sip:alice@example.com>;tag=1',
    f'"Bob\u2028{IDENTITY}\u0085" <sip:alice@example.com>;tag=1',
)


@pytest.mark.parametrize("name", NAMES)
def test_a_line_break_in_a_display_name_makes_no_header(name: str) -> None:
    site = Signalling()
    answers = site.datagram(request("MESSAGE", 1).replace(b"<sip:alice1@example.com>;tag=f1", name.encode(), 1))
    for sent in [*answers, *(message.to_bytes() for message in site.provider)]:
        lines = sent.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        assert not [line for line in lines if line.lower().startswith(b"p-asserted-identity")]


def test_a_spoofed_identity_does_not_cross_within_a_call_either() -> None:
    site = Signalling()
    site.datagram(request("INVITE", 1, IDENTITY, body=AVP))
    (invite,) = site.provider
    assert isinstance(invite, Request)
    answer = invite.response(200, to_tag="provider")
    answer.headers.add("Contact", f"<sip:bob@{PROVIDER[0]}:{PROVIDER[1]}>")
    answer.headers.add("Content-Type", "application/sdp")
    answer.body = AVP
    site.network.datagrams[UDP].sent.clear()
    site.network.datagrams[TRUNK].arrive(answer.to_bytes(), PROVIDER)
    to = parse(site.network.datagrams[UDP].sent[-1][0]).headers.get("To") or ""
    for method, number in (("ACK", 1), ("INFO", 2), ("BYE", 3)):
        data = request(method, 1, IDENTITY).replace(b"To: <sip:bob@example.com>", f"To: {to}".encode())
        data = data.replace(b"CSeq: 1", b"CSeq: %d" % number).replace(b"bK" + method.encode(), b"bK%d" % number)
        data = data.replace(b"Call-ID: call-" + method.encode(), b"Call-ID: call-INVITE")
        site.datagram(data)
    sent = site.provider
    assert [one.method for one in sent if isinstance(one, Request)] == ["ACK", "INFO", "BYE"]
    assert not [one for one in sent if "P-Asserted-Identity" in one.headers]


def test_an_identity_that_the_provider_asserts_does_cross() -> None:
    """Else nothing above would show that it is the side that counts."""
    site = Signalling()
    site.datagram(request("MESSAGE", 1))
    (message,) = site.provider
    assert isinstance(message, Request)
    answer = message.response(200, to_tag="t")
    answer.headers.add("P-Asserted-Identity", "<sip:ceo@example.com>")
    site.network.datagrams[UDP].sent.clear()
    site.network.datagrams[TRUNK].arrive(answer.to_bytes(), PROVIDER)
    assert b"P-Asserted-Identity: <sip:ceo@" in site.network.datagrams[UDP].sent[-1][0]


# -- floods


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Tells the bytes of Python objects that were made since, and are still there."""

    def left() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        yield left
    finally:
        tracemalloc.stop()


def burst(site: Signalling) -> None:
    """500 INVITEs on one connection, which then closes, and all the time that anything could wait for."""
    peer = site.network.connect(TCP, PHONE[0])
    for number in range(500):
        peer.send(request("INVITE", number, body=AVP))
    site.network.settle()
    assert len(site.calls) == UNANSWERED
    assert peer.connection is not None
    peer.connection.abortConnection()
    assert len(site.calls) == 0
    site.network.datagrams[TRUNK].sent.clear()
    site.run_out(300)
    assert site.is_empty()
    assert site.transport.connection_count == 0
    site.network.datagrams[TRUNK].sent.clear()
    site.relay.forget()  # what the test's relay remembers is no business of the gateway's


def test_a_burst_of_invites_on_a_connection_that_closes_leaves_nothing_behind() -> None:
    site = Signalling()
    with traced() as left:
        # Two tables fill up: the records of the last 1,000 calls that ended, and for ten minutes the INVITEs that the
        # provider never answered, as its answer may come late and is hung up then.
        for _ in range(4):
            burst(site)
        assert UNANSWERED <= len(site.forgotten) <= 3 * UNANSWERED  # no more than come within ten minutes
        before = left()
        tracemalloc.reset_peak()
        burst(site)
        assert left() - before < 200_000
        assert tracemalloc.get_traced_memory()[1] - before < 500 * 50_000


UNANSWERED = SourceLimits().unanswered_calls_per_source


def flood(site: Signalling, first: int, count: int) -> int:
    """Distinct requests of all kinds and garbage, from as many sources; the most server transactions there were."""
    kinds = ("INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE", "garbage")
    socket = site.network.datagrams[UDP]
    most = 0
    for number in range(first, first + count):
        method = kinds[number % len(kinds)]
        data = b"\x00" * 200 if method == "garbage" else request(method, number, body=AVP * (method == "INVITE"))
        socket.arrive(data, (f"10.{number % 7}.{number >> 8 & 255}.{number & 255}", 5060))
        if number % 500 == 499:
            most = max(most, len(site.transactions._servers))
            socket.sent.clear()
            site.network.datagrams[TRUNK].sent.clear()
    return most


def test_a_flood_of_distinct_requests_is_bounded() -> None:
    """What comes above the ceiling is answered 503 and leaves nothing."""
    site = Signalling(ceiling=Ceiling(server_transactions=2000))
    assert flood(site, 0, 20_000) == 2000
    assert len(site.calls) + len(site.subscriptions) <= 2000
    assert site.transactions.refused[503] > 10_000
    with traced() as left:
        assert flood(site, 20_000, 5000) == 2000
        assert left() < 8_000_000  # flows of addresses and their allowances, which are bounded too
    site.run_out(4000)
    assert site.is_empty()
    assert is_served(site)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "SUBSCRIBE", "BYE", "CANCEL", "ACK", "PUBLISH"])
def test_a_flood_that_nobody_answers_is_over_when_its_timers_are(method: str) -> None:
    site = Signalling()
    for number in range(1500):
        site.datagram(request(method, number, body=AVP * (method == "INVITE")))
    assert method in ("BYE", "CANCEL", "ACK") or len(site.provider) == (UNANSWERED if method == "INVITE" else 1500)
    site.run_out(4000)
    assert site.is_empty()
    assert is_served(site)


def test_a_flood_of_half_understood_requests_keeps_nothing() -> None:
    """No Contact, no SDP that can be read, a dialog that is not there: answered at once, and forgotten."""
    site = Signalling()
    for number in range(1500):
        bare = request("INVITE", number).replace(f"Contact: <sip:alice{number}@192.0.2.11:5070>\r\n".encode(), b"")
        site.datagram(bare)
        site.datagram(request("INVITE", number + 5000, body=b"m=?"))
        site.datagram(request("BYE", number).replace(b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=x"))
    assert len(site.calls) == 0
    assert len(site.dialogs) == 0
    site.run_out(64)
    assert site.is_empty()


# -- slots


def connect(site: Signalling, count: int, data: bytes = b"", place: tuple[str, int] = TCP) -> list[RawPeer]:
    """That many connections from as many sources, each saying that and no more."""
    peers = []
    for number in range(count):
        peer = site.network.connect(place, f"10.1.{number >> 8}.{number & 255}")
        if data:
            peer.send(data)
        site.network.settle()
        peers.append(peer)
    return peers


@pytest.mark.parametrize("data", [b"", b"INVITE sip:bob@example.com SIP/2.0\r\nVia: ", b"\r\n\r\n"])
@pytest.mark.parametrize("place", [TCP, TLS])
def test_silent_and_half_read_connections_cannot_take_all_slots(
    data: bytes, place: tuple[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    site = Signalling(authority.issue("gateway", GATEWAY_NAME), limits=ConnectionLimits(per_listener=50, per_source=10))
    hello = b"\x16\x03\x01\x02\x00\x01" if data and place == TLS else data
    peers = connect(site, 80, hello, place)
    assert site.transport.connection_count == 50
    assert sum(peer.is_closed for peer in peers) == 30
    if place == TLS:
        honest = TlsPeer(site.network, site, authority.file).shake_hands()  # type: ignore[arg-type]
        honest.say(request("OPTIONS", 1).replace(b"sip:bob@example.com SIP", b"sip:example.com SIP"))
        assert first_lines(honest.received) == [b"200"]
    else:
        raw = site.network.connect(place, PHONE[0])
        raw.send(request("OPTIONS", 1).replace(b"sip:bob@example.com SIP", b"sip:example.com SIP"))
        site.network.settle()
        assert first_lines(raw.received) == [b"200"]
    site.network.pass_time(70, step=5)
    assert site.transport.connection_count <= 1


def test_one_source_cannot_take_the_slots_of_others() -> None:
    site = Signalling(limits=ConnectionLimits(per_listener=50, per_source=10))
    mine = [site.network.connect(TCP, "10.2.2.2") for _ in range(60)]
    site.network.settle()
    assert sum(not peer.is_closed for peer in mine) == 10
    other = site.network.connect(TCP, "10.3.3.3")
    other.send(request("OPTIONS", 1).replace(b"sip:bob@example.com SIP", b"sip:example.com SIP"))
    site.network.settle()
    assert first_lines(other.received) == [b"200"]


def test_a_message_that_drips_in_is_given_up() -> None:
    site = Signalling()
    peer = site.network.connect(TCP, PHONE[0])
    for byte in request("INVITE", 1)[:120]:
        peer.send(bytes([byte]))
        site.network.pass_time(1)
    assert peer.is_closed
    assert site.transport.connection_count == 0
