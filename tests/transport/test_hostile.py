"""Generated nonsense into every entry: nothing raises, nothing piles up, and an honest peer is still served."""

import gc
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.transport.stream.keepalive import Patience
from gateway.transport.udp import DatagramListener
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.tls_peer import GATEWAY_NAME, TlsPeer
from tests.support.transport_gateways import LogLines, Site, options

COUNT = 40_000
PIECES = (
    b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"\0", b" ", b":", b";", b",", b'"', b"<", b">", b"Content-Length: ", b"Via: ",
    b"Content-Length: 4294967328\r\n", b"l: 5\r\n", b"SIP/2.0", b"SIP/2.0 200 OK\r\n", b"INVITE sip:a@b SIP/2.0\r\n",
    b"CSeq: ", b";rport", b";received=", b"[::1", b"%00", b"\xff\xfe", b"\xc3\x28", b"9" * 30, b"A" * 300, b"-1", b"\t",
)  # fmt: skip


def nonsense(seed: int, count: int = COUNT) -> Iterator[bytes]:
    """Random bytes, random tokens, and messages with pieces cut out, put in or doubled."""
    chance = random.Random(seed)
    good = [options(str(number), body=b"v=0\r\n" * number) for number in range(3)]
    for number in range(count):
        kind = number % 4
        if kind == 0:
            yield chance.randbytes(chance.randrange(200))
        elif kind == 1:
            yield b"".join(chance.choices(PIECES, k=chance.randrange(1, 12)))
        else:
            yield _damaged(chance, bytearray(chance.choice(good)))


def _damaged(chance: random.Random, message: bytearray) -> bytes:
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(message) + 1)
        end = min(len(message), place + chance.randrange(1, 30))
        match chance.randrange(4):
            case 0:
                del message[place:end]
            case 1:
                message[place:place] = chance.choice(PIECES)
            case 2:
                message[place:end] = chance.randbytes(end - place)
            case _:
                message[place:place] = message[place:end]
        if not message:
            break
    return bytes(message)


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


def grown(before: int) -> int:
    """Bytes of Python objects since a measurement."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


def test_datagrams(network: MemoryNetwork) -> None:
    site = Site(network, "udp")
    site.answers = True
    socket = network.datagrams[site.place]
    with LogLines("critical") as log:
        for number, data in enumerate(nonsense(1)):
            socket.arrive(data, (f"10.0.{number >> 8 & 255}.{number & 255}", 5060))
    assert log.events == []
    port = site.layer.port("main")
    assert isinstance(port, DatagramListener)
    assert port.flow_count <= COUNT
    answers = {data[8:11] for data, _ in socket.sent if data != b"\r\n"}
    assert answers <= {b"200", b"400", b"505", b"513"}
    malformed = sum(
        site.count("malformed_messages", transport="udp", reason=reason) for reason in ("answered", "dropped")
    )
    assert malformed > COUNT / 4
    assert len(site.messages) > 0
    socket.sent.clear()
    socket.arrive(options("honest"), ("10.1.1.1", 5060))
    assert socket.sent[0][0].startswith(b"SIP/2.0 200 ")


def test_streams(network: MemoryNetwork) -> None:
    """Each input on a connection of its own, of which every second is left open."""
    site = Site(network, patience=Patience(idle=60))
    site.receiver = lambda message, flow: None
    with LogLines("critical") as log:
        for number, data in enumerate(nonsense(2)):
            peer = network.connect(site.place, f"10.0.{number >> 8 & 255}.{number & 255}")
            peer.send(data)
            network.settle()
            if number % 2 and peer.connection is not None and not peer.is_closed:
                peer.connection.abortConnection()
            if number % 200 == 199:
                network.pass_time(70, step=10)
                assert site.layer.connection_count == 0
    assert log.events == []
    assert site.layer.connection_count == 0
    _is_still_serving(network, site)


def test_one_stream_of_everything(network: MemoryNetwork) -> None:
    """The same inputs one after the other on connections that live as long as they can."""
    site = Site(network)
    site.receiver = lambda message, flow: None
    peer = network.connect(site.place)
    connections = 1
    with LogLines("critical") as log:
        for data in nonsense(3, COUNT // 2):
            peer.send(data)
            network.settle()
            if peer.is_closed:
                peer = network.connect(site.place)
                connections += 1
    assert log.events == []
    assert connections > 100
    assert site.layer.connection_count <= 1
    _is_still_serving(network, site)


def test_tls_handshakes(network: MemoryNetwork, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway", GATEWAY_NAME)
    site = Site(network, "tls", certificate=certificate, private_key=key)
    site.answers = True
    chance = random.Random(4)
    with LogLines("critical") as log:
        for number, data in enumerate(nonsense(4, 3000)):
            peer = network.connect(site.place, f"10.0.{number >> 8 & 255}.{number & 255}")
            record = bytes([chance.choice((20, 21, 22, 23, 255)), 3, chance.randrange(5)]) + len(data).to_bytes(
                2, "big"
            )
            peer.send(record + data)
            network.settle()
    assert log.events == []
    network.pass_time(15)
    assert site.layer.connection_count == 0
    honest = TlsPeer(network, site, authority.file).shake_hands()
    honest.say(options("honest"))
    assert honest.received.startswith(b"SIP/2.0 200 ")


def test_connections_leave_nothing_behind(network: MemoryNetwork, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("gateway", "gateway.example.com")
    site = Site(network, "tls", certificate=certificate, private_key=key)
    site.receiver = lambda message, flow: None

    def burst(count: int) -> None:
        for number in range(count):
            peer = network.connect(site.place, f"10.0.0.{number % 250}")
            peer.send(b"\x16\x03\x01\x00\x05hello")
            network.settle()

    burst(200)
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        burst(1000)
        network.pass_time(15)
        assert grown(before) < 200_000
    finally:
        tracemalloc.stop()


def _is_still_serving(network: MemoryNetwork, site: Site) -> None:
    site.receiver = site._receive
    site.answers = True
    peer = network.connect(site.place, "10.9.9.9")
    peer.send(options("honest"))
    network.settle()
    assert site.call_ids == ["honest"]
    assert peer.received.startswith(b"SIP/2.0 200 ")
