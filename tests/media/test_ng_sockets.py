"""The socket to an rtpengine hears from the kernel that the relay has its port closed. On real sockets and a reactor of
its own, since Twisted's handling of such an error is the reactor's."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.pollreactor import PollReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.udp import Port
from twisted.python.failure import Failure

from gateway.media.ng_sockets import udp_client, unix_client
from gateway.media.relay import RelayFailure

WITHIN = 20.0
"""Seconds; a machine may be busy. Silence alone would take three of the reactor's."""


@pytest.fixture(params=[EPollReactor, PollReactor, SelectReactor])
def reactor(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: Any = request.param()
    yield made
    made.removeAll()
    made.fireSystemEvent("shutdown")
    made.iterate(0)


def until(reactor: Any, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < end
        reactor.iterate(0.02)


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_relay_that_ended_is_refused_and_one_that_came_again_answers(reactor: Any, host: str) -> None:
    port = free_port(host)
    client = udp_client(reactor, reactor, host, port)
    client.start()
    found: list[object] = []
    # Copies would be sent for an hour.
    client.request({"command": "offer"}, waits=(60.0,) * 60).addBoth(found.append)
    until(reactor, lambda: bool(found))
    assert isinstance(found[0], Failure)
    assert found[0].check(RelayFailure)
    assert found[0].getErrorMessage() == f"offer: the relay at {(host, port)} has its port closed"
    relay = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind((host, port))
    relay.settimeout(WITHIN)
    client.request({"command": "ping"}, insists=True).addBoth(found.append)
    datagram, source = relay.recvfrom(4096)
    relay.sendto(datagram.partition(b" ")[0] + b' {"result": "pong"}', source)
    until(reactor, lambda: len(found) == 2)
    assert found[1] == {"result": "pong"}
    client.stop()
    relay.close()


def test_a_workers_replies_are_taken_whole_whatever_their_size_and_order(reactor: Any, tmp_path: Path) -> None:
    relay = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    relay.bind(str(tmp_path / "relay"))
    relay.settimeout(WITHIN)
    relay.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
    client = unix_client(reactor, reactor, tmp_path / "own", tmp_path / "relay")
    client.start()
    found: dict[str, object] = {}
    for name in ("list", "offer", "query"):
        client.request({"command": name}, waits=(60.0,)).addBoth(partial(found.__setitem__, name))
    cookies = [relay.recv(4096).partition(b" ")[0] for _ in range(3)]
    long = "x" * 150_000
    for cookie, words in zip(cookies, (long, "short", "shorter"), strict=True):
        relay.sendto(cookie + b' {"result": "ok", "sdp": "' + words.encode() + b'"}', str(tmp_path / "own"))
    until(reactor, lambda: len(found) == 3)
    replies = [{"result": "ok", "sdp": words} for words in (long, "short", "shorter")]
    assert [found[name] for name in ("list", "offer", "query")] == replies
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o600
    client.stop()
    relay.close()


@pytest.mark.parametrize("code", [errno.EMSGSIZE, errno.EHOSTUNREACH, errno.ENOPROTOOPT])
def test_what_routers_between_say_leaves_the_socket_open(reactor: Any, code: int) -> None:
    """RFC 1812 section 5.2.7.1: a router's word is about the way."""
    relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(("127.0.0.1", 0))
    relay.settimeout(WITHIN)
    client = udp_client(reactor, reactor, *relay.getsockname())
    client.start()
    (port,) = (one for one in reactor.getReaders() if isinstance(one, Port))
    port.socket = _Erring(port.socket, code)  # type: ignore[assignment]
    found: list[object] = []
    client.request({"command": "ping"}).addBoth(found.append)
    datagram, source = relay.recvfrom(4096)
    relay.sendto(datagram.partition(b" ")[0] + b' {"result": "pong"}', source)
    until(reactor, lambda: bool(found))
    assert found == [{"result": "pong"}]
    assert port in reactor.getReaders()
    assert not client.is_refused
    client.stop()
    relay.close()


class _Erring:
    """A socket whose next reading brings an error."""

    def __init__(self, real: socket.socket, code: int) -> None:
        self._real = real
        self._code = code

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        if self._code:
            code, self._code = self._code, 0
            raise OSError(code, os.strerror(code))
        found: tuple[bytes, Any] = self._real.recvfrom(size)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
