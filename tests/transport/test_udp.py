"""UDP: sources, answers, keep-alives, flows, and what cannot be sent."""

import errno
import socket

import pytest
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import LogLevel, capturedLogs

from gateway.config.model import Side
from gateway.sip.message import Request
from gateway.transport.crowd import LOOKS_OF_CALM
from gateway.transport.flow import Address, FlowKey, Target, Transport
from gateway.transport.udp import A_FEW, ALL, LARGEST_DATAGRAM, MAX_FLOWS, OPEN_AGAIN, DatagramListener
from tests.support.memory_network import MemoryDatagrams, MemoryNetwork
from tests.support.transport_gateways import Site, options

PHONE = ("127.0.0.11", 5070)


class UdpSite(Site):
    """A site with a UDP listener, and its socket."""

    def __init__(self, host: str = "127.0.0.1", **more: str) -> None:
        super().__init__(MemoryNetwork(), "udp", host, side=Side.PHONES, **more)
        self.answers = True

    @property
    def socket(self) -> MemoryDatagrams:
        return self.network.datagrams[self.place]

    @property
    def answered_to(self) -> tuple[str, int]:
        """Where the one answer went."""
        ((_, place),) = self.socket.sent
        return (place[0], place[1])

    @property
    def via(self) -> str:
        """The top Via of the one request, as the layers above see it."""
        (request,) = self.messages
        assert isinstance(request, Request)
        return str(request.top_via)


@pytest.mark.parametrize(
    ("sent_by", "noted", "answered"),
    [
        # RFC 3581 section 4: both are filled in, and the answer goes to the source.
        ("192.0.2.9:5060;rport", "received=127.0.0.11 rport=5070", PHONE),
        ("127.0.0.11:5070;rport", "received=127.0.0.11 rport=5070", PHONE),
        ("phone.example.com;rport=1", "received=127.0.0.11 rport=5070", PHONE),
        ("phone.example.com;Rport = nonsense;rported=1", "received=127.0.0.11 rport=5070 rported=1", PHONE),
        ('phone.example.com;x=";rport";rport', 'received=127.0.0.11 rport=5070 x=";rport"', PHONE),
        # RFC 3261 section 18.2.1: another address or a name gets received.
        ("192.0.2.9:5060", "received=127.0.0.11", PHONE),
        ("phone.example.com", "received=127.0.0.11", PHONE),
        ("192.0.2.9;received=198.51.100.1", "received=127.0.0.11", PHONE),
        # Section 18.2.2: a phone that listens on another port than it sends from.
        ("127.0.0.11:5060", None, ("127.0.0.11", 5060)),
        ("127.0.0.11", None, ("127.0.0.11", 5060)),
        ("127.0.0.11:5070", None, PHONE),
        # maddr would let anybody send our answers anywhere.
        ("127.0.0.11:5070;maddr=198.51.100.1", None, PHONE),
    ],
)
def test_the_source_is_noted_and_answered(sent_by: str, noted: str | None, answered: tuple[str, int]) -> None:
    site = UdpSite()
    site.socket.arrive(options(via=sent_by), PHONE)
    assert site.answered_to == answered
    if noted is None:
        assert "received" not in site.via
    else:
        assert all(f";{parameter}" in site.via for parameter in noted.split())
        assert "198.51.100.1" not in site.via


def test_the_other_vias_and_headers_stay_as_they_are() -> None:
    site = UdpSite()
    request = options(via="192.0.2.9;rport").replace(
        b"Max-Forwards",
        b"Via: SIP/2.0/UDP second.example.com;branch=z9hG4bK2, SIP/2.0/UDP third;branch=x\r\nMax-Forwards",
    )
    site.socket.arrive(request, PHONE)
    vias = site.messages[0].headers.values("Via")
    assert len(vias) == 3
    assert vias[1] == "SIP/2.0/UDP second.example.com;branch=z9hG4bK2"
    assert [value for name, value in site.messages[0].headers.items() if name == "Call-ID"] == ["1"]


def test_a_response_is_handed_up_with_its_flow() -> None:
    site = UdpSite()
    answer = b"SIP/2.0 200 OK\r\n" + options().split(b"\r\n", 1)[1]
    site.socket.arrive(answer, PHONE)
    assert len(site.messages) == 1
    assert site.flows[0].remote == Address(*PHONE)
    assert site.socket.sent == []


@pytest.mark.parametrize("keep_alive", [b"\r\n", b"\0", b"\0\0\0\0", b" ", b""])
def test_keep_alives_are_ignored(keep_alive: bytes) -> None:
    site = UdpSite()
    site.socket.arrive(keep_alive, PHONE)
    assert (site.messages, site.socket.sent) == ([], [])
    assert site.count("malformed_messages", transport="udp", reason="dropped") == 0


def test_a_ping_is_answered() -> None:
    site = UdpSite()
    site.socket.arrive(b"\r\n\r\n", PHONE)
    assert site.socket.sent == [(b"\r\n", PHONE)]


def test_a_malformed_request_is_answered_and_counted() -> None:
    site = UdpSite()
    site.socket.arrive(options().replace(b"CSeq: 1", b"CSeq: x"), PHONE)
    ((data, place),) = site.socket.sent
    assert data.startswith(b"SIP/2.0 400 ")
    assert place == PHONE
    assert site.messages == []
    assert site.count("malformed_messages", transport="udp", reason="answered") == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SIP/2.0 200 OK\r\n\r\n",
        options().replace(b"OPTIONS", b"ACK").replace(b"CSeq: 1", b"CSeq: x"),
        options().replace(b"Via:", b"X-Via:"),
    ],
)
def test_what_cannot_or_must_not_be_answered_is_dropped_and_counted(nonsense: bytes) -> None:
    site = UdpSite()
    site.socket.arrive(nonsense, PHONE)
    assert (site.messages, site.socket.sent) == ([], [])
    assert site.count("malformed_messages", transport="udp", reason="dropped") == 1


def test_flows_of_one_peer_are_the_same_and_found_by_key() -> None:
    site = UdpSite()
    site.socket.arrive(options(via="x;rport"), PHONE)
    flow = site.flows[0]
    assert site.layer.flow(FlowKey.parse(str(flow.key))) is flow
    assert site.layer.flow_to(Target(Transport.UDP, Address(*PHONE), "phone"), Side.PHONES) is flow
    assert (flow.is_open, flow.is_reliable, flow.is_secure, flow.message_limit) == (True, False, False, 1300)
    assert str(flow.advertised) == "127.0.0.1:5060"


def test_a_stored_key_gives_a_flow_after_a_restart() -> None:
    key = FlowKey.parse("main/udp/127.0.0.11:5070")
    site = UdpSite()
    flow = site.layer.flow(key)
    assert flow is not None
    flow.allowance.fill()
    flow.send(b"hello")
    assert site.socket.sent == [(b"hello", PHONE)]
    assert site.layer.flow(FlowKey.parse("gone/udp/127.0.0.11:5070")) is None


def test_a_peer_without_flow_on_this_side_is_not_reached_from_the_other() -> None:
    site = UdpSite()
    flow = site.layer.flow_to(Target(Transport.UDP, Address(*PHONE), "phone"), Side.PROVIDER)
    told: list[object] = []
    flow.watch(told.append)
    site.network.settle()
    assert len(told) == 1


def test_the_table_of_flows_is_bounded() -> None:
    site = UdpSite()
    port = site.layer.port("main")
    assert isinstance(port, DatagramListener)
    for number in range(MAX_FLOWS + 10):
        site.socket.arrive(b"\r\n", (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060))
    assert 0 < port.flow_count <= MAX_FLOWS


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EMSGSIZE, errno.EAGAIN, errno.EPERM])
def test_a_datagram_that_cannot_be_sent_raises_nothing(number: int) -> None:
    site = UdpSite()
    site.socket.socket.error = OSError(number, "no")
    site.socket.arrive(options(), PHONE)
    port = site.layer.port("main")
    assert isinstance(port, DatagramListener)
    assert port.unsent == 1


def test_a_firewall_that_lets_nothing_out_is_told_of_and_does_not_flood_the_log() -> None:
    site = UdpSite()
    site.socket.socket.error = OSError(errno.EPERM, "Operation not permitted")
    with capturedLogs() as events:
        for _ in range(25):
            site.socket.arrive(options(), PHONE)
    assert [event["count"] for event in events if event["log_level"] is LogLevel.warn] == [1, 10]


def test_stopping_tells_the_watchers_and_closes_the_flows() -> None:
    site = UdpSite()
    flow = site.layer.flow_to(Target(Transport.UDP, Address(*PHONE), "phone"), Side.PHONES)
    told: list[object] = []
    flow.watch(told.append)
    unwatch = flow.watch(told.append)
    unwatch()
    site.layer.stop()
    assert len(told) == 1
    assert not flow.is_open
    flow.send(b"too late")


def test_ipv6() -> None:
    site = UdpSite("::1")
    site.socket.arrive(options(via="[2001:db8::1]:5060;rport"), ("::2", 5070))
    assert site.answered_to == ("::2", 5070)
    assert "received=::2" in site.via
    assert str(site.flows[0].key) == "main/udp/[::2]:5070"
    assert str(site.flows[0].advertised) == "[::1]:5060"


def test_ipv4_peers_of_an_ipv6_socket_are_shown_as_ipv4() -> None:
    site = UdpSite("::")
    site.socket.arrive(options(via="127.0.0.11:5070"), ("::ffff:127.0.0.11", 5070))
    assert site.flows[0].remote == Address(*PHONE)
    assert site.answered_to == ("::ffff:127.0.0.11", 5070)
    flow = site.layer.flow(FlowKey.parse("main/udp/127.0.0.11:5080"))
    assert flow is not None
    flow.send(b"hello")
    assert site.socket.sent[-1] == (b"hello", ("::ffff:127.0.0.11", 5080))


def test_a_wildcard_listener_advertises_the_address_that_reaches_the_peer() -> None:
    site = UdpSite("0.0.0.0")
    site.socket.arrive(options(), PHONE)
    assert str(site.flows[0].advertised) == "127.0.0.1:5060"


def test_an_advertised_host_replaces_the_address() -> None:
    site = UdpSite(advertised_host="sip.example.com")
    site.socket.arrive(options(), PHONE)
    assert str(site.flows[0].advertised) == "sip.example.com:5060"


def test_a_banned_source_leaves_no_trace_and_gets_no_answer() -> None:
    site = UdpSite()
    site.layer.banned.keep_out(PHONE[0])
    for datagram in (options(), b"no SIP at all", b"\r\n\r\n"):
        site.socket.arrive(datagram, PHONE)
    site.socket.arrive(options("2"), ("127.0.0.12", 5070))
    port = site.layer.port("main")

    assert isinstance(port, DatagramListener)
    assert (site.call_ids, port.flow_count) == (["2"], 1)
    assert len(site.socket.sent) == 1
    assert site.count("banned_packets", transport="udp") == 3
    assert site.count("malformed_messages", transport="udp", reason="answered") == 0


class Noting(DatagramProtocol):
    """Notes all that is read."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self.came.append(datagram)


@pytest.mark.parametrize(("is_crowd", "most"), [(False, 21), (True, 100)])
def test_a_burst_is_read_in_parts_unless_it_only_takes_its_place(is_crowd: bool, most: int) -> None:
    """Each message that is worked on at once keeps timers and other sockets waiting."""
    site, noting = UdpSite(), Noting()
    port = Port(0, noting, "127.0.0.1", LARGEST_DATAGRAM)
    port._bindSocket()
    (listener,) = site.layer._ports.values()
    assert isinstance(listener, DatagramListener)
    listener.transport = port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        for _ in range(100):
            phone.sendto(bytes(400), ("127.0.0.1", port._realPortNumber))
        listener.read_for(is_crowd)
        port.doRead()
    port.socket.close()
    assert len(noting.came) == most


def test_it_is_read_at_once_while_messages_take_their_place_in_the_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    site, full = UdpSite(), [1.0]
    (listener,) = site.layer._ports.values()
    assert isinstance(listener, DatagramListener)
    monkeypatch.setattr(DatagramListener, "filling", property(lambda _: full[0]))
    assert site.socket.maxThroughput == A_FEW, "from the first datagram on"
    site.layer.crowd.look()
    assert site.socket.maxThroughput == ALL, "from the look that finds it full"
    full[0] = 0.0
    for _ in range(LOOKS_OF_CALM):
        site.layer.crowd.look()
    assert site.socket.maxThroughput == A_FEW


def test_a_socket_that_is_opened_again_is_read_as_the_crowd_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    site = UdpSite()
    monkeypatch.setattr(DatagramListener, "filling", property(lambda _: 1.0))
    site.layer.crowd.look()
    (listener,) = site.layer._ports.values()
    assert isinstance(listener, DatagramListener)
    site.network.datagrams.pop(site.place).stopListening()
    site.network.advance(OPEN_AGAIN)
    assert listener.is_open
    assert site.socket.maxThroughput == ALL
