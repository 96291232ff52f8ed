"""Requests that are too long for UDP, from the phone's datagram to the provider's TCP (RFC 3261 section 18.1.1)."""

from __future__ import annotations

import pytest
from twisted.internet.protocol import Factory

from gateway.config.model import Listener, Side
from gateway.sip.message import Message, Request
from gateway.sip.parser import parse
from tests.support.memory_network import RawPeer
from tests.support.signalling import PHONE, PROVIDER, TRUNK, UDP, Signalling


@pytest.fixture
def site() -> Signalling:
    """A gateway with UDP and TCP toward its provider, who is configured with UDP."""
    site = Signalling(more=(Listener("provider-tcp", Side.PROVIDER, "tcp", *TRUNK),))
    del site.network.connectTCP  # here somebody is connected to
    return site


def message(number: int, size: int) -> bytes:
    """A phone's MESSAGE."""
    head = (
        "MESSAGE sip:bob@example.com SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {PHONE[0]}:{PHONE[1]};branch=z9hG4bKm{number};rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=from\r\nTo: <sip:bob@example.com>\r\n"
        f"Call-ID: m{number}\r\nCSeq: {number} MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode() + b"x" * size


def told(site: Signalling) -> list[int]:
    """The statuses that the phone was sent."""
    messages = [parse(data) for data, target in site.network.datagrams[UDP].sent if target == PHONE]
    return [one.status for one in messages if not isinstance(one, Request)]


def request_of(data: bytes | Message) -> Request:
    """The request."""
    found = parse(data) if isinstance(data, bytes) else data
    assert isinstance(found, Request)
    return found


def test_a_long_message_goes_over_tcp_and_its_answer_comes_back(site: Signalling) -> None:
    peers: list[RawPeer] = []

    class Provider(RawPeer):
        def connectionMade(self) -> None:
            peers.append(self)

    site.network.listenTCP(PROVIDER[1], Factory.forProtocol(Provider), interface=PROVIDER[0])
    site.datagram(message(1, 1300))
    site.network.settle()
    assert site.provider == []
    (peer,) = peers
    onward = request_of(peer.received)
    assert onward.top_via.transport == "TCP"
    assert len(onward.body) == 1300
    assert peer.transport is not None
    peer.transport.write(onward.response(200, to_tag="provider").to_bytes())
    site.network.settle()
    assert told(site) == [200]

    site.datagram(message(2, 100))
    site.network.settle()
    assert [request_of(one).top_via.transport for one in site.provider] == ["UDP"]


def test_where_the_provider_takes_no_tcp_the_message_arrives_over_udp(site: Signalling) -> None:
    for number in (1, 2):
        site.datagram(message(number, 1300))
        site.network.settle()
        (sent,) = site.provider
        onward = request_of(sent)
        assert (onward.top_via.transport, len(onward.body)) == ("UDP", 1300)
        site.answer(onward, 200)
        assert told(site) == [200]
    assert site.network.connected == [PROVIDER]  # the second did not wait for TCP
    site.run_out()
    assert site.is_empty()
