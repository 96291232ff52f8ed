"""A list over HTTP: servers that hang, lie, cut off, lead elsewhere, and one that answers."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from gateway.security.blocklists.list_fetch import LARGEST, PATIENCE, list_fetch
from gateway.security.blocklists.list_text import NoList

URL = "http://127.0.0.1:8000/s3cret/list"


class Server:
    """A server, asked over a connection without a network."""

    def __init__(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.answer: Deferred[bytes] = list_fetch(self.reactor)(URL)
        self.factory: Any
        host, port, self.factory, *_ = self.reactor.tcpClients[0]
        assert (host, port) == ("127.0.0.1", 8000)
        self.results: list[Any] = []
        self.answer.addBoth(self.results.append)

    def connect(self) -> None:
        self.protocol: Any = self.factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def close(self) -> None:
        self.protocol.connectionLost(Failure(error.ConnectionDone()))

    def why(self) -> str:
        (failure,) = self.results
        assert failure.check(NoList), failure
        told = str(failure.value)
        assert "s3cret" not in told
        return told


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_whole_answer_is_given(server: Server) -> None:
    server.connect()
    assert server.transport.value().startswith(b"GET /s3cret/list HTTP/1.1\r\n")
    server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n192.0.")
    assert server.results == []
    server.say(b"2.1\n")
    server.close()
    assert server.results == [b"192.0.2.1\n"]


@pytest.mark.parametrize(
    "said", [None, b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n192"]
)
def test_a_server_that_hangs_is_left(server: Server, said: bytes | None) -> None:
    if said is not None:
        server.connect()
        server.say(said)
    server.reactor.advance(PATIENCE)
    if said is not None:
        assert server.transport.disconnecting
        server.close()
    assert "127.0.0.1: no whole answer within 30 s" in server.why() or said is None


def test_an_answer_that_is_too_large_is_not_read_to_its_end(server: Server) -> None:
    server.connect()
    server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
    for _ in range(LARGEST // 100_000 + 1):
        server.say(b"x" * 100_000)
    assert server.transport.disconnecting
    server.close()
    assert "larger than 5 MB" in server.why()


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.66/\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", "answered 404"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 10000000\r\n\r\nxx", "answered 500"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "127.0.0.1: "),
    ],
)
def test_any_other_answer_is_refused(server: Server, head: bytes, told: str) -> None:
    server.connect()
    server.say(head)
    server.close()
    assert told in server.why()
    assert len(server.reactor.tcpClients) == 1, "nobody is followed elsewhere"


def test_an_answer_that_is_cut_off_is_none(server: Server) -> None:
    server.connect()
    server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n192.0.2.1\n")
    server.close()
    assert "cut off" in server.why()


def test_nobody_there_is_told(server: Server) -> None:
    server.factory.clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))
    server.reactor.advance(1)
    assert "refused" in server.why()
