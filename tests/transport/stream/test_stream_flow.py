"""TCP connections: messages in pieces, queues, pings, time-outs, limits, and their ends."""

from unittest.mock import Mock

import pytest

from gateway.sip.message import Request, Response
from gateway.transport.flow import FailureKind
from gateway.transport.stream.accept import ConnectionLimits
from gateway.transport.stream.keepalive import Patience
from gateway.transport.stream.stream_flow import MAX_QUEUE
from tests.support.memory_network import MemoryNetwork, RawPeer
from tests.support.transport_gateways import LogLines, Site, options

PING, PONG = b"\r\n\r\n", b"\r\n"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def site(network: MemoryNetwork) -> Site:
    return Site(network)


# -- framing


def test_a_message_may_come_byte_by_byte(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    for byte in options("slow", body=b"v=0\r\n"):
        peer.send(bytes([byte]))
        network.settle()
    assert site.call_ids == ["slow"]
    assert site.messages[0].body == b"v=0\r\n"


def test_messages_may_come_together(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(options("1") + options("2", body=b"x" * 5000) + PING + options("3")[:50])
    network.settle()
    assert site.call_ids == ["1", "2"]
    assert peer.received == PONG
    peer.send(options("3")[50:])
    network.settle()
    assert site.call_ids == ["1", "2", "3"]


def test_the_source_is_noted_in_the_top_via(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place, source="127.0.0.5")
    peer.send(options(via="10.1.2.3:5060;rport"))
    network.settle()
    assert isinstance(site.messages[0], Request)
    via = site.messages[0].top_via
    assert (via.received, via.rport) == ("127.0.0.5", site.flows[0].remote.port)


def test_a_malformed_message_is_answered_and_the_next_one_understood(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(options("bad").replace(b"CSeq: 1 OPTIONS", b"CSeq: one OPTIONS") + options("good"))
    network.settle()
    assert site.call_ids == ["good"]
    assert peer.received.startswith(b"SIP/2.0 400 ")
    assert site.count("malformed_messages", transport="tcp", reason="answered") == 1


@pytest.mark.parametrize("length", ["4294967328", "-1", "ten", "5\r\nContent-Length: 6"])
def test_a_broken_content_length_is_answered_400_and_the_connection_ends(
    network: MemoryNetwork, site: Site, length: str
) -> None:
    peer = network.connect(site.place)
    peer.send(options("1").replace(b"Content-Length: 0", f"Content-Length: {length}".encode()) + options("2"))
    network.settle()
    assert site.messages == []
    assert peer.received.startswith(b"SIP/2.0 4")
    assert peer.is_closed
    assert site.layer.connection_count == 0


def test_a_bug_above_is_logged_answered_500_and_harms_nobody_else(
    network: MemoryNetwork, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.receiver = Mock(side_effect=ZeroDivisionError)
    peer = network.connect(site.place)
    with LogLines("critical") as log:
        peer.send(options())
        network.settle()
    assert len(log.events) == 1
    assert peer.received.startswith(b"SIP/2.0 500 ")
    assert not peer.is_closed


# -- connections that we begin


def test_messages_sent_while_connecting_arrive_in_order(network: MemoryNetwork, site: Site) -> None:
    near = Site(network, host="127.0.0.9")
    way = near.to(site)
    for number in range(20):
        way.flow.send(options(str(number)))
    network.settle()
    assert site.call_ids == [str(number) for number in range(20)]
    assert site.flows[0].remote.host == "127.0.0.9"  # it leaves from the listener's address
    assert way.flow.local.port == site.flows[0].remote.port
    assert str(way.flow.advertised) == "127.0.0.9:5060"  # where the listener is, not the connection


def test_a_connection_is_used_again(network: MemoryNetwork, site: Site) -> None:
    near = Site(network, host="127.0.0.9")
    first = near.to(site, "one.example.com").flow
    assert near.to(site, "one.example.com").flow is first
    assert near.to(site, "two.example.com").flow is first  # TCP verifies no names: nothing tells them apart
    network.settle()
    assert near.to(site).flow is first
    assert network.connected == [site.place]


def test_a_lost_connection_is_replaced(network: MemoryNetwork, site: Site) -> None:
    near = Site(network, host="127.0.0.9")
    way = near.to(site)
    network.settle()
    next(one for one in network.connections if not one.is_over).abortConnection()
    assert way.failure.kind is FailureKind.CLOSED
    again = near.to(site)
    assert again.flow is not way.flow
    again.flow.send(options("again"))
    network.settle()
    assert site.call_ids == ["again"]


def test_an_accepted_connection_is_never_taken_for_one_toward_its_source(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(options("1"))
    network.settle()
    remote = site.flows[0].remote
    toward = site.to((remote.host, remote.port)).flow
    assert toward is not site.flows[0]


def test_an_accepted_connection_is_found_by_its_key_while_it_is_open(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(options("1"))
    network.settle()
    flow = site.flows[0]
    assert site.layer.flow(type(flow.key).parse(str(flow.key))) is flow
    site.layer.flow(flow.key).send(options("toward the phone"))  # type: ignore[union-attr]
    network.settle()
    assert b"toward the phone" in peer.received
    flow.close()
    assert site.layer.flow(flow.key) is None


def test_a_key_does_not_find_another_connection_from_the_same_place(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(options("1"))
    network.settle()
    old = site.flows[0].key
    peer.connection.loseConnection()  # type: ignore[union-attr]
    network.settle()
    stranger = RawPeer()
    network._link(stranger, (old.remote.host, old.remote.port), site.place)
    network.settle()
    assert site.layer.connection_count == 1
    assert site.layer.flow(old) is None


def test_too_much_sent_while_connecting_ends_the_flow(network: MemoryNetwork, site: Site) -> None:
    network.silent.add(("127.0.0.7", 5060))
    way = site.to(("127.0.0.7", 5060))
    for _ in range(MAX_QUEUE // 10_000 + 1):
        way.flow.send(b"x" * 10_000)
    assert way.failure.kind is FailureKind.CLOSED
    assert not way.flow.is_open


def test_a_closed_flow_swallows_what_is_sent(network: MemoryNetwork, site: Site) -> None:
    way = site.to(("127.0.0.7", 5060))
    way.flow.close()
    way.flow.send(options())
    network.settle()
    assert way.failure.kind is FailureKind.CLOSED
    assert site.layer.connection_count == 0


def test_a_watch_can_be_ended(network: MemoryNetwork, site: Site) -> None:
    flow = site.to(("127.0.0.7", 5060)).flow
    told: list[object] = []
    unwatch = flow.watch(told.append)
    unwatch()
    network.settle()
    assert told == []


def test_a_watcher_with_a_bug_does_not_keep_the_others_from_hearing(network: MemoryNetwork, site: Site) -> None:
    flow = site.to(("127.0.0.7", 5060)).flow
    told: list[object] = []
    flow.watch(Mock(side_effect=ZeroDivisionError))
    flow.watch(told.append)
    with LogLines("critical") as log:
        network.settle()
    assert len(told) == len(log.events) == 1


@pytest.mark.parametrize("host", ["provider.example.com", "::1"])
def test_a_target_that_no_listener_reaches_fails_soon(network: MemoryNetwork, site: Site, host: str) -> None:
    way = site.to((host, 5060))
    way.flow.send(options())
    assert not way.failures
    network.settle()
    assert way.failure.kind is (FailureKind.TIMEOUT if ":" in host else FailureKind.DNS)


# -- keep-alive


def test_we_ping_every_30_seconds_and_end_a_connection_that_stops_answering(network: MemoryNetwork, site: Site) -> None:
    near = Site(network, host="127.0.0.9")
    way = near.to(site)
    way.flow.send(options())
    network.pass_time(95)
    assert not way.failures
    for connection in network.connections:
        connection.is_reading = False  # the network between them dies
    network.pass_time(43)
    assert way.failure.kind is FailureKind.TIMEOUT
    assert "keep-alive" in way.failure.reason


def test_a_peer_that_never_answered_a_ping_is_kept(network: MemoryNetwork) -> None:
    from twisted.internet.protocol import Factory

    peers: list[RawPeer] = []

    def new_peer() -> RawPeer:
        peers.append(RawPeer())
        return peers[-1]

    factory = Factory()
    factory.buildProtocol = lambda addr: new_peer()  # type: ignore[method-assign]
    network.listenTCP(5060, factory, interface="127.0.0.1")
    near = Site(network, host="127.0.0.9")
    way = near.to(("127.0.0.1", 5060))
    network.pass_time(100)
    assert peers[0].received == PING * 3
    assert not way.failures


def test_a_ping_is_answered(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(PING)
    network.settle()
    peer.send(PING)
    network.settle()
    assert peer.received == PONG * 2
    assert site.count("malformed_messages", transport="tcp", reason="dropped") == 0


# -- time-outs of accepted connections


def test_a_silent_connection_is_closed(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    network.pass_time(40)
    peer.send(PING)  # is no message
    network.pass_time(19)
    assert site.layer.connection_count == 1
    network.pass_time(3)
    assert site.layer.connection_count == 0
    assert peer.is_closed


def test_a_half_sent_message_is_waited_for_30_seconds(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(options("1") + options("2")[:40])
    network.settle()
    for _ in range(6):  # a byte now and then does not help
        network.pass_time(4.0)
        peer.send(b"x")
    assert not peer.is_closed
    network.pass_time(8)
    assert peer.is_closed


def test_a_busy_stream_is_never_half_sent(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    data = options("1")
    peer.send(data[:10])
    for _ in range(60):
        network.pass_time(1)
        peer.send(data[10:] + data[:10])
    network.settle()
    assert not peer.is_closed
    assert len(site.messages) == 60


def test_an_idle_connection_is_closed_after_the_configured_time(network: MemoryNetwork) -> None:
    site = Site(network, patience=Patience(idle=120))
    peer = network.connect(site.place)
    peer.send(options())
    network.pass_time(100)
    peer.send(PING)
    network.pass_time(119)
    assert not peer.is_closed
    network.pass_time(3)
    assert peer.is_closed


def test_a_thousand_idle_connections_share_one_timer(network: MemoryNetwork, site: Site) -> None:
    for _ in range(200):
        network.connect(site.place).send(options())
    network.settle()
    assert len(network.getDelayedCalls()) == 1


# -- limits


def test_a_source_may_have_so_many_connections_and_no_more(network: MemoryNetwork) -> None:
    site = Site(network, limits=ConnectionLimits(per_listener=10, per_source=3))
    peers = [network.connect(site.place, "127.0.0.5") for _ in range(4)]
    other = network.connect(site.place, "127.0.0.6")
    network.settle()
    assert [peer.is_closed for peer in peers] == [False, False, False, True]
    assert not other.is_closed
    peers[0].connection.loseConnection()  # type: ignore[union-attr]
    network.settle()
    again = network.connect(site.place, "127.0.0.5")
    network.settle()
    assert not again.is_closed


def test_neighbours_in_one_ipv6_network_are_one_source(network: MemoryNetwork) -> None:
    site = Site(network, host="2001:db8::1", limits=ConnectionLimits(per_listener=10, per_source=2))
    peers = [network.connect(site.place, f"2001:db8:0:7::{number}") for number in range(1, 5)]
    other = network.connect(site.place, "2001:db8:0:8::1")
    network.settle()
    assert [peer.is_closed for peer in peers] == [False, False, True, True]
    assert not other.is_closed


def test_a_source_that_connects_again_and_again_has_to_wait(network: MemoryNetwork) -> None:
    site = Site(network, limits=ConnectionLimits(per_source=5, new_per_second=2))

    def accepted(count: int, source: str = "127.0.0.5") -> int:
        """Of so many connections one after the other, each ended before the next."""
        found = 0
        for _ in range(count):
            peer = network.connect(site.place, source)
            network.settle()
            found += not peer.is_closed
            assert peer.connection is not None
            peer.connection.loseConnection()
            network.settle()
        return found

    assert accepted(20) == 10
    network.advance(2)
    assert accepted(20) == 4
    assert accepted(3, "127.0.0.6") == 3
    assert site.layer.connection_count == 0


def test_limits_are_those_of_each_listener(network: MemoryNetwork) -> None:
    site = Site(network, connections=2, connections_per_source=1)
    peers = []
    for source in ("127.0.0.5", "127.0.0.5", "127.0.0.6", "127.0.0.7"):
        peers.append(network.connect(site.place, source))
        if not peers[-1].is_closed:
            peers[-1].send(options(source))
        network.settle()
    assert [peer.is_closed for peer in peers] == [False, True, False, True]


def test_a_listener_may_have_so_many_connections_and_no_more(network: MemoryNetwork) -> None:
    site = Site(network, limits=ConnectionLimits(per_listener=3, per_source=3))
    peers = [network.connect(site.place, f"127.0.0.{number}") for number in range(2, 5)]
    for peer in peers:
        peer.send(options())
    network.settle()
    late = network.connect(site.place, "127.0.0.9")
    network.settle()
    assert late.is_closed
    assert [peer.is_closed for peer in peers] == [False, False, False]
    assert site.layer.connection_count == 3


def test_connections_that_say_nothing_give_way_to_new_ones(network: MemoryNetwork) -> None:
    site = Site(network, limits=ConnectionLimits(per_listener=3, per_source=3))
    silent = [network.connect(site.place, f"127.0.0.{number}") for number in range(2, 5)]
    silent[0].send(options())
    network.settle()
    late = network.connect(site.place, "127.0.0.9")
    late.send(options("late"))
    network.settle()
    assert site.call_ids == ["1", "late"]
    assert [peer.is_closed for peer in silent] == [False, True, False]


# -- back pressure


def stopped_reader(network: MemoryNetwork, site: Site) -> RawPeer:
    peer = network.connect(site.place)
    peer.send(options())
    network.settle()
    assert peer.connection is not None
    peer.connection.is_reading = False
    return peer


def test_a_slow_reader_gets_everything_in_order(network: MemoryNetwork, site: Site) -> None:
    peer = stopped_reader(network, site)
    messages = [options(str(number), body=b"x" * 3000) for number in range(100)]
    for message in messages:
        site.flows[0].send(message)
    network.settle()
    assert peer.received == b""
    peer.connection.is_reading = True  # type: ignore[union-attr]
    network.settle()
    assert peer.received == b"".join(messages)
    peer.send(options("still-here"))
    network.settle()
    assert site.call_ids[-1] == "still-here"


def test_a_peer_that_does_not_read_is_not_read_from(network: MemoryNetwork, site: Site) -> None:
    peer = stopped_reader(network, site)
    for _ in range(100):
        site.flows[0].send(b"x" * 3000)
    for _ in range(50):
        peer.send(options("more-work"))
    network.settle()
    assert len(site.messages) == 1


def test_a_queue_that_grows_too_long_ends_the_connection(network: MemoryNetwork, site: Site) -> None:
    peer = stopped_reader(network, site)
    told: list[object] = []
    site.flows[0].watch(told.append)
    for _ in range(2 * MAX_QUEUE // 10_000):
        site.flows[0].send(b"x" * 10_000)
    network.settle()
    assert peer.is_closed
    assert len(told) == 1
    assert site.layer.connection_count == 0


def test_a_peer_that_reads_nothing_for_30_seconds_is_left(network: MemoryNetwork, site: Site) -> None:
    peer = stopped_reader(network, site)
    for _ in range(30):
        site.flows[0].send(b"x" * 3000)
    network.pass_time(28)
    assert not peer.is_closed
    network.pass_time(4)
    assert peer.is_closed


def test_a_message_that_we_did_not_read_on_is_not_late(network: MemoryNetwork, site: Site) -> None:
    peer = stopped_reader(network, site)
    peer.send(options("half")[:100])
    network.settle()
    assert peer.connection is not None
    for _ in range(6):
        for _ in range(30):
            site.flows[0].send(b"x" * 3000)
        peer.connection.is_reading = False
        network.pass_time(10)
        peer.connection.is_reading = True
        network.settle(rounds=10_000)
    peer.send(options("half")[100:])
    network.settle()
    assert site.call_ids[-1] == "half"


def test_last_words_are_sent_before_the_end(network: MemoryNetwork, site: Site) -> None:
    peer = network.connect(site.place)
    peer.send(options())
    network.settle()
    request = site.messages[0]
    assert isinstance(request, Request)
    site.flows[0].send(request.response(503).to_bytes())
    site.flows[0].close()
    network.settle()
    assert peer.received.startswith(b"SIP/2.0 503 ")
    assert peer.is_closed


def test_a_peer_that_does_not_take_our_last_words_is_cut_off(network: MemoryNetwork, site: Site) -> None:
    peer = stopped_reader(network, site)
    site.flows[0].send(options("unread"))
    site.flows[0].close()
    network.pass_time(9)
    assert not peer.is_closed
    network.pass_time(3)
    assert peer.is_closed


# -- the other direction of a response


def test_a_response_reaches_the_receiver_with_its_flow(network: MemoryNetwork, site: Site) -> None:
    site.answers = True
    near = Site(network, host="127.0.0.9")
    way = near.to(site)
    way.flow.send(options("1"))
    network.settle()
    assert isinstance(near.messages[0], Response)
    assert near.flows[0] is way.flow
