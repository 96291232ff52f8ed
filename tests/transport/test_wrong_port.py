"""Phones that speak TLS to a port without it, or SIP in clear to one of TLS: the log tells the administrator, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from OpenSSL import SSL
from prometheus_client import CollectorRegistry
from twisted.logger import LogEvent, capturedLogs, formatEvent

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.transport.layer import TransportLayer
from gateway.transport.wrong_port import LINES, is_client_hello
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.transport_gateways import HOST, Ignoring, Site, options

CLEAR = (HOST, 5060)
SECURE = (HOST, 5061)
DTLS_HELLO = bytes.fromhex("16fefd0000000000000000003a0100002e0000000000000020fefd") + bytes(40)


def hello() -> bytes:
    """The first bytes of a client of TLS."""
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    return client.bio_read(16_384)


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def open_all(network: MemoryNetwork, authority: Authority) -> None:
    """A gateway with a listener of each kind."""
    certificate, key = authority.issue("own", HOST)
    listeners = [
        Listener("phones", Side.PHONES, "udp", *CLEAR),
        Listener("tcp-phones", Side.PHONES, "tcp", *CLEAR),
        Listener("secure", Side.PHONES, "tls", *SECURE, certificate=certificate, private_key=key),
    ]
    TransportLayer(network, listeners, Metrics(CollectorRegistry())).start(Ignoring())


def told(events: Sequence[LogEvent]) -> list[str]:
    lines = [formatEvent(event) for event in events if event["log_level"].name == "warn"]
    return [line for line in lines if "which takes" in line]


def test_a_hello_of_tls_on_the_tcp_port(network: MemoryNetwork, authority: Authority) -> None:
    open_all(network, authority)
    with capturedLogs() as events:
        for _ in range(3):
            network.connect(CLEAR, "192.0.2.11").send(hello())
            network.settle()
    (line,) = told(events)
    assert line.startswith("192.0.2.11:")
    assert "speaks TLS to listener tcp-phones, port 5060, which takes SIP over tcp without TLS" in line
    assert line.endswith("or let it use tls port 5061 (listener secure)")


def test_a_hello_that_comes_in_pieces(network: MemoryNetwork, authority: Authority) -> None:
    open_all(network, authority)
    data = hello()
    with capturedLogs() as events:
        peer = network.connect(CLEAR, "192.0.2.11")
        peer.send(data[:100])
        network.settle()
        peer.send(data[100:])
        network.settle()
    assert len(told(events)) == 1


@pytest.mark.parametrize("data", [hello(), DTLS_HELLO])
def test_a_hello_of_tls_on_the_udp_port(network: MemoryNetwork, authority: Authority, data: bytes) -> None:
    open_all(network, authority)
    with capturedLogs() as events:
        for _ in range(3):
            network.datagrams[CLEAR].arrive(data, ("192.0.2.12", 5090))
    (line,) = told(events)
    assert "192.0.2.12:5090 speaks TLS to listener phones, port 5060, which takes SIP over udp without TLS" in line


def test_sip_in_clear_on_the_tls_port(network: MemoryNetwork, authority: Authority) -> None:
    open_all(network, authority)
    with capturedLogs() as events:
        for _ in range(3):
            network.connect(SECURE, "192.0.2.13").send(options())
            network.settle()
    (line,) = told(events)
    assert "speaks SIP without TLS to listener secure, port 5061, which takes TLS alone" in line
    assert "udp port 5060 (listener phones), tcp port 5060 (listener tcp-phones)" in line


def test_a_gateway_without_such_a_listener_says_so(network: MemoryNetwork) -> None:
    site = Site(network, "tcp", side=Side.PHONES)
    with capturedLogs() as events:
        network.connect(site.place, "192.0.2.11").send(hello())
        network.settle()
    (line,) = told(events)
    assert line.endswith("no listener of this side takes that, so set the peer's transport to this one's")


def test_noise_is_not_told(network: MemoryNetwork, authority: Authority) -> None:
    open_all(network, authority)
    with capturedLogs() as events:
        for data in (b"\x00" * 40, b"GET / HTTP/1.1\r\n\r\n", b"\x16", b"\x16\x03\x01\x00\x05\x02", b"\x16\xfe\xfd"):
            network.datagrams[CLEAR].arrive(data, ("192.0.2.14", 5090))
            network.connect(SECURE, "192.0.2.14").send(data)
            network.connect(CLEAR, "192.0.2.14").send(data)
            network.settle()
        secure = network.connect(SECURE, "192.0.2.14")
        secure.send(hello())
        network.settle()
    assert not told(events)


def test_a_flood_under_many_addresses_is_few_lines(network: MemoryNetwork, authority: Authority) -> None:
    open_all(network, authority)
    data = hello()
    with capturedLogs() as events:
        for number in range(5000):
            network.datagrams[CLEAR].arrive(data, (f"192.0.{number // 250}.{number % 250}", 5090))
    assert len(told(events)) == LINES.burst


def test_a_server_that_answers_a_hello_with_sip_is_not_a_phone(network: MemoryNetwork, authority: Authority) -> None:
    certificate, key = authority.issue("own", HOST)
    near = Site(network, "tls", certificate=certificate, private_key=key)
    far = Site(network, "tcp", "127.0.0.9")
    with capturedLogs() as events:
        near.to(far)
        network.settle()
    assert [line for line in told(events) if line.startswith(HOST)] == told(events)
    assert all("speaks TLS to listener main" in line for line in told(events))


@pytest.mark.parametrize(
    ("data", "is_hello"), [(b"", False), (b"\x16\x03\x01\x02\x00\x01", True), (b"\x17\x03\x03\x00\x10\x01", False)]
)
def test_hellos(data: bytes, is_hello: bool) -> None:
    assert is_client_hello(data) is is_hello
