"""SIP over WebSocket over TLS (RFC 7118): the connection as the layers above see it, its pings, limits and end."""

from pathlib import Path

import pytest
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from gateway.config.model import Side
from gateway.sip.message import Request
from gateway.transport.flow import Address, FlowKey, Target, Transport
from gateway.transport.stream.accept import ConnectionLimits
from gateway.transport.tap import TappedMessage
from gateway.transport.way import Strength, may_answer, may_ask
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.tls_peer import GATEWAY_NAME as NAME
from tests.support.transport_gateways import Site, options
from tests.support.web_peer import ORIGIN, WebPeer, asking, frame


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def site_of(network: MemoryNetwork, authority: Authority, limits: ConnectionLimits | None = None) -> Site:
    certificate, key = authority.issue("gateway", NAME)
    return Site(
        network,
        "wss",
        side=Side.PHONES,
        origins=(ORIGIN,),
        limits=limits,
        certificate=certificate,
        private_key=key,
    )


@pytest.fixture
def site(network: MemoryNetwork, authority: Authority) -> Site:
    return site_of(network, authority)


@pytest.fixture
def peer(network: MemoryNetwork, site: Site, authority: Authority) -> WebPeer:
    return WebPeer(network, site, authority.file).opened()


def pass_time(network: MemoryNetwork, seconds: int) -> None:
    for _ in range(seconds):
        network.advance(1)
        network.settle()


def test_a_message_goes_each_way(peer: WebPeer, site: Site) -> None:
    site.answers = True
    peer.send(TextMessage(options("1", via="df7jal23ls0d.invalid").decode()))
    assert site.call_ids == ["1"]
    (answer,) = peer.events
    assert isinstance(answer, TextMessage)
    assert answer.data.startswith("SIP/2.0 200 OK\r\n")


def test_rfc7118_5_no_content_length_is_needed(peer: WebPeer, site: Site) -> None:
    message = options("1", body=b"v=0\r\n").replace(b"Content-Length: 5\r\n", b"")
    peer.send(BytesMessage(message))
    assert site.messages[0].body == b"v=0\r\n"


def test_the_flow_is_secure_and_names_itself_as_rfc7118_says(peer: WebPeer, site: Site) -> None:
    peer.send(TextMessage(options("1").decode()))
    (flow,) = site.flows
    assert flow.is_secure
    assert flow.is_reliable
    assert flow.sent_by.startswith("SIP/2.0/WSS ")
    assert flow.contact.endswith(";transport=ws")
    assert flow.terms.startswith("TLS 1.3, ")
    assert Strength.of(flow) is Strength.TLS
    assert FlowKey.parse(str(flow.key)) == flow.key
    assert site.layer.flow(flow.key) is flow


def test_a_phone_is_reached_over_its_connection_and_no_other(peer: WebPeer, site: Site) -> None:
    peer.send(TextMessage(options("1").decode()))
    flow = site.layer.flow(site.flows[0].key)
    assert flow is not None
    flow.send(options("2"))
    peer.hear()
    assert [type(one) for one in peer.events] == [TextMessage]
    to_nowhere = site.layer.flow_to(Target(Transport.WSS, Address("192.0.2.1", 443), "a.invalid"), Side.PROVIDER)
    failures: list[object] = []
    to_nowhere.watch(failures.append)
    pass_time(site.network, 1)
    assert failures


def test_messages_in_a_row_and_in_pieces(peer: WebPeer, site: Site) -> None:
    data = frame(1, options("1")) + frame(1, options("2")[:50], is_last=False) + frame(0, options("2")[50:])
    peer.say(data[:300])
    peer.say(data[300:])
    assert site.call_ids == ["1", "2"]


def test_a_message_that_cannot_be_read_is_answered_and_the_next_one_understood(peer: WebPeer, site: Site) -> None:
    peer.send(TextMessage(options("1").replace(b"CSeq: 1 OPTIONS", b"CSeq: one").decode()))
    peer.send(TextMessage(options("2").decode()))
    assert site.call_ids == ["2"]
    assert any("SIP/2.0 400" in one.data for one in peer.events if isinstance(one, TextMessage))


def test_rfc5626_a_double_crlf_is_answered(peer: WebPeer) -> None:
    peer.send(TextMessage("\r\n\r\n"))
    (answer,) = peer.events
    assert isinstance(answer, TextMessage)
    assert answer.data == "\r\n"


def test_the_gateway_pings_every_30_seconds(network: MemoryNetwork, peer: WebPeer, site: Site) -> None:
    peer.send(TextMessage(options("1").decode()))
    for _ in range(3):
        pass_time(network, 32)
        peer.hear()
        ping = peer.events.pop()
        assert isinstance(ping, Ping)
        peer.send(ping.response())
    assert site.layer.connection_count == 1


def test_a_browser_that_has_answered_pings_and_does_not_any_more_is_gone(
    network: MemoryNetwork, peer: WebPeer, site: Site
) -> None:
    ended: list[FlowKey] = []
    site.ended = ended.append
    peer.send(TextMessage(options("1").decode()))
    pass_time(network, 32)
    peer.hear()
    ping = peer.events.pop()
    assert isinstance(ping, Ping)
    peer.send(ping.response())
    pass_time(network, 45)
    assert site.layer.connection_count == 0
    assert ended == [site.flows[0].key]


def test_pongs_do_not_stretch_the_time_of_a_message(network: MemoryNetwork, peer: WebPeer, site: Site) -> None:
    peer.say(frame(1, b"OPTIONS", is_last=False))
    for _ in range(5):
        pass_time(network, 8)
        if site.layer.connection_count:
            peer.say(frame(10, b""))
    assert site.layer.connection_count == 0


def test_a_connection_without_a_message_ends(network: MemoryNetwork, peer: WebPeer, site: Site) -> None:
    for _ in range(7):
        pass_time(network, 10)
        if site.layer.connection_count:
            peer.say(frame(10, b""))
    assert site.layer.connection_count == 0


def test_a_request_that_drips_in_ends(network: MemoryNetwork, site: Site, authority: Authority) -> None:
    peer = WebPeer(network, site, authority.file)
    peer.say(asking()[:40])
    pass_time(network, 33)
    assert site.layer.connection_count == 0


def test_a_close_is_answered_and_ends_the_flow(peer: WebPeer, site: Site) -> None:
    ended: list[FlowKey] = []
    site.ended = ended.append
    peer.send(TextMessage(options("1").decode()))
    peer.send(CloseConnection(1001))
    assert isinstance(peer.events[-1], CloseConnection)
    assert ended == [site.flows[0].key]
    assert peer.tls.raw.is_closed


def test_the_gateways_own_end_is_a_close(peer: WebPeer, site: Site) -> None:
    peer.send(TextMessage(options("1").decode()))
    site.flows[0].close()
    peer.hear()
    (closed,) = peer.events
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1001


@pytest.mark.parametrize(
    "data",
    [frame(1, b"OPTIONS", is_masked=False), frame(9, b"?", is_last=False), frame(2, b"x" * 70_000)],
    ids=["no mask", "ping in parts", "too large"],
)
def test_frames_that_are_wrong_end_the_connection_with_their_code(peer: WebPeer, site: Site, data: bytes) -> None:
    peer.say(data)
    assert site.layer.connection_count == 0
    assert isinstance(peer.events[-1], CloseConnection)


@pytest.mark.parametrize(
    ("data", "status", "is_counted"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404, True),
        (asking(Origin="https://evil.example.com"), 403, False),
        (asking(Sec_WebSocket_Protocol="chat"), 400, False),
        (options("1"), 400, True),
    ],
)
def test_other_requests_are_refused_and_the_connection_ends(
    network: MemoryNetwork, site: Site, authority: Authority, data: bytes, status: int, is_counted: bool
) -> None:
    peer = WebPeer(network, site, authority.file)
    peer.tls.say(data)
    assert peer.answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert site.layer.connection_count == 0
    assert site.call_ids == []
    assert site.count("malformed_messages", transport="wss", reason="dropped") == int(is_counted)


def test_limits_of_connections_hold_as_for_tls(network: MemoryNetwork, authority: Authority) -> None:
    site = site_of(network, authority, limits=ConnectionLimits(per_source=2))
    WebPeer(network, site, authority.file).opened()
    WebPeer(network, site, authority.file).opened()
    assert network.connect(site.place).is_closed
    assert site.layer.connection_count == 2


def test_a_banned_source_is_turned_away_before_tls(network: MemoryNetwork, site: Site) -> None:
    site.layer.banned.keep_out("127.0.0.9")
    assert network.connect(site.place, source="127.0.0.9").is_closed
    assert site.layer.banned.dropped["wss"] == 1


def test_the_tap_sees_messages_and_neither_http_nor_frames(peer: WebPeer, site: Site) -> None:
    class Reader:
        def __init__(self) -> None:
            self.seen: list[TappedMessage] = []

        def tapped(self, message: TappedMessage) -> None:
            self.seen.append(message)

    reader = Reader()
    site.layer.tap.add(reader)
    site.answers = True
    peer.send(TextMessage(options("1").decode()))
    assert [(one.is_sent, one.data[:7]) for one in reader.seen] == [(False, b"OPTIONS"), (True, b"SIP/2.0")]
    assert {one.transport for one in reader.seen} == {Transport.WSS}
    assert all(one.tls is not None for one in reader.seen)


def test_rfc7118_a_name_that_is_none_is_noted_with_its_source(peer: WebPeer, site: Site) -> None:
    peer.send(TextMessage(options("1", via="df7jal23ls0d.invalid;rport").decode()))
    (message,) = site.messages
    assert isinstance(message, Request)
    assert message.top_via.received == "127.0.0.1"


def test_another_connection_of_the_same_host_may_ask_and_may_not_answer(
    network: MemoryNetwork, site: Site, authority: Authority, peer: WebPeer
) -> None:
    peer.send(TextMessage(options("1").decode()))
    other = WebPeer(network, site, authority.file).opened()
    other.send(TextMessage(options("2").decode()))
    one, two = site.flows
    assert may_ask(one, two)
    assert not may_answer(one, two)
