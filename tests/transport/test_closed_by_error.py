"""An error while a UDP socket is read: Twisted closes the socket for ever, and it has to be opened again.

On real sockets, with a reactor that no other test has, since the closing is the reactor's own work.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.udp import Port
from twisted.logger import LogLevel, capturedLogs

from gateway.config.model import Listener, Side
from gateway.media.ng import NgClient
from gateway.media.ng_sockets import udp_client, unix_client
from gateway.observe.metrics import Metrics
from gateway.transport.banned import PERSISTENT
from gateway.transport.layer import TransportLayer
from gateway.transport.udp import OPEN_AGAIN
from tests.support.transport_gateways import Ignoring, options

HOST = "127.0.0.1"


class OutOfMemory:
    """A socket that cannot be read."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        raise MemoryError

    def recvfrom_into(self, buffer: memoryview) -> tuple[int, Any]:
        raise MemoryError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def reactor() -> Iterator[Any]:
    made: Any = EPollReactor()
    yield made
    made.removeAll()
    made.fireSystemEvent("shutdown")
    made.iterate(0)


def until(reactor: Any, is_so: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        reactor.iterate(0.02)


def break_readers(reactor: Any) -> None:
    for port in reactor.getReaders():
        if isinstance(port, Port):
            port.socket = OutOfMemory(port.socket)  # type: ignore[assignment]


def test_a_listener_whose_reader_met_an_error_is_opened_again_and_serves_its_flows(reactor: Any) -> None:
    layer = TransportLayer(reactor, [Listener("phones", Side.PHONES, "udp", HOST, 0)], Metrics(CollectorRegistry()))
    layer.start(Ignoring())
    port = layer.address_of("phones").port
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.sendto(options("1"), (HOST, port))
    until(reactor, lambda: layer.message_count == 1)

    break_readers(reactor)
    with capturedLogs() as told:
        phone.sendto(options("2"), (HOST, port))
        until(reactor, lambda: not layer.is_listening)
    assert [one["log_format"] for one in told if one["log_level"] is LogLevel.error]

    until(reactor, lambda: layer.is_listening, 10 * OPEN_AGAIN)
    assert layer.address_of("phones").port == port
    phone.sendto(options("3"), (HOST, port))
    until(reactor, lambda: layer.message_count == 2)
    layer.stop()


def test_a_listener_that_was_opened_again_has_banned_sources_dropped_by_the_kernel(reactor: Any) -> None:
    """The socket that is gone takes no filter, and is no reason to give up on the others."""
    layer = TransportLayer(reactor, [Listener("phones", Side.PHONES, "udp", HOST, 0)], Metrics(CollectorRegistry()))
    layer.start(Ignoring())
    place, banned = (HOST, layer.address_of("phones").port), layer.banned
    phone, scanner = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    scanner.bind(("127.0.0.9", 0))
    break_readers(reactor)
    phone.sendto(options("1"), place)
    until(reactor, lambda: not layer.is_listening)
    until(reactor, lambda: layer.is_listening, 10 * OPEN_AGAIN)

    banned.keep_out("127.0.0.9")
    for _ in range(PERSISTENT):
        scanner.sendto(options("2"), place)
    until(reactor, lambda: banned.dropped["udp"] == PERSISTENT)
    banned.settle()
    scanner.sendto(options("3"), place)
    phone.sendto(options("4"), place)
    until(reactor, lambda: layer.message_count == 1)
    assert banned.dropped["udp"] == PERSISTENT
    layer.stop()


def test_a_port_that_another_program_took_meanwhile_is_tried_again(reactor: Any) -> None:
    layer = TransportLayer(reactor, [Listener("phones", Side.PHONES, "udp", HOST, 0)], Metrics(CollectorRegistry()))
    layer.start(Ignoring())
    port = layer.address_of("phones").port
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    break_readers(reactor)
    phone.sendto(options("1"), (HOST, port))
    until(reactor, lambda: not layer.is_listening)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.bind((HOST, port))
        end = time.monotonic() + 3 * OPEN_AGAIN
        while time.monotonic() < end:
            reactor.iterate(0.02)
        assert not layer.is_listening
    until(reactor, lambda: layer.is_listening, 10 * OPEN_AGAIN)
    layer.stop()


def test_a_listener_that_was_stopped_is_not_opened_again(reactor: Any) -> None:
    layer = TransportLayer(reactor, [Listener("phones", Side.PHONES, "udp", HOST, 0)], Metrics(CollectorRegistry()))
    layer.start(Ignoring())
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    break_readers(reactor)
    phone.sendto(options("1"), (HOST, layer.address_of("phones").port))
    until(reactor, lambda: not layer.is_listening)
    layer.stop()
    assert not reactor.getDelayedCalls()


@pytest.mark.parametrize("is_unix", [False, True])
def test_the_socket_to_a_relay_is_opened_again(reactor: Any, tmp_path: Path, is_unix: bool) -> None:
    relay = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(str(tmp_path / "relay") if is_unix else (HOST, 0))
    relay.setblocking(False)
    client = (
        unix_client(reactor, reactor, tmp_path / "own", tmp_path / "relay")
        if is_unix
        else udp_client(reactor, reactor, HOST, relay.getsockname()[1])
    )
    client.start()
    assert _asks(reactor, client, relay)

    break_readers(reactor)
    client.request({"command": "ping"}).addErrback(lambda failure: None)
    _answer(reactor, relay)
    until(reactor, lambda: not any(isinstance(one, Port) for one in reactor.getReaders()))

    assert _asks(reactor, client, relay)
    client.stop()


def _asks(reactor: Any, client: NgClient, relay: socket.socket) -> bool:
    """Whether a question is answered."""
    found: list[object] = []
    client.request({"command": "ping"}).addBoth(found.append)
    _answer(reactor, relay)
    until(reactor, lambda: bool(found))
    return isinstance(found[0], dict)


def _answer(reactor: Any, relay: socket.socket) -> None:
    taken: list[tuple[bytes, Any]] = []

    def take() -> bool:
        try:
            taken.append(relay.recvfrom(4096))
        except BlockingIOError:
            return False
        return True

    until(reactor, take)
    datagram, source = taken[0]
    relay.sendto(datagram.partition(b" ")[0] + b' {"result": "pong"}', source)
