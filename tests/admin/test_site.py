"""Requests that are judged by their head and bounded: bodies, time, connections."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.admin.api import admin_resource
from gateway.admin.hardening import BODY_BYTES
from gateway.admin.site import CONNECTIONS, CONNECTIONS_OF_ONE, IDLE_SECONDS, REQUEST_SECONDS, BoundedSite
from gateway.admin.turns import Turns
from gateway.observe.metrics import Metrics
from tests.admin.test_api import FakeControl, FakeInspection, FakePermission
from tests.support.http_connection import HttpConnection

CHANGE = b'{"security": "off"}'


class Served:
    """A site without a network."""

    def __init__(self, author: str | None = "alice (uid 1000)", *, in_turns: bool = False) -> None:
        self.clock = Clock()
        turns = Turns(self.clock) if in_turns else None
        self.control = FakeControl()
        self.permission = FakePermission(author)
        resource = admin_resource(FakeInspection(), self.control, Metrics(CollectorRegistry()), self.permission)
        self.site = BoundedSite(resource, self.clock, turns)

    def connect(self, host: str = "127.0.0.1") -> Client | None:
        address = IPv4Address("TCP", host, 40000)
        channel = self.site.buildProtocol(address)
        return None if channel is None else Client(channel, StringTransport(peerAddress=address))


class Client(HttpConnection):
    """A connection to it."""

    def sends(self, data: bytes) -> None:
        if not self.is_closed:
            self.channel.dataReceived(data)

    def asks(self, *fields: bytes, method: bytes = b"POST", host: bytes = b"localhost", body: bytes = b"") -> None:
        head = [method + b" /api/domains/example.com HTTP/1.1", b"Host: " + host, *fields]
        self.sends(b"\r\n".join([*head, b"", b""]) + body)

    def status(self) -> int | None:
        """That of the last answer."""
        answers = self.transport.value().split(b"HTTP/1.1 ")[1:]
        return int(answers[-1][:3]) if answers else None


def connected(served: Served, host: str = "127.0.0.1") -> Client:
    client = served.connect(host)
    assert client is not None
    return client


JSON = b"Content-Type: application/json"


def test_a_change_is_kept_as_it_arrives_and_made() -> None:
    client = connected(served := Served())
    client.asks(JSON, b"Content-Length: %d" % len(CHANGE), body=CHANGE[:5])
    assert (client.kept, client.status()) == (5, None)
    client.sends(CHANGE[5:])
    assert client.status() == 200
    assert served.control.asked == [("example.com", "off", "alice (uid 1000)")]
    assert not client.is_closed


@pytest.mark.parametrize(
    ("fields", "how", "status"),
    [
        ((JSON,), {"host": b"evil.example"}, 421),
        ((JSON, b"Origin: http://evil.example"), {}, 403),
        ((b"Content-Type: text/plain",), {}, 415),
        ((JSON,), {"method": b"PUT"}, 405),
        ((JSON,), {"method": b"GET"}, 200),
    ],
)
def test_nothing_is_kept_of_a_body_that_no_answer_needs(
    fields: tuple[bytes, ...], how: dict[str, bytes], status: int
) -> None:
    client = connected(served := Served())
    client.asks(*fields, b"Content-Length: 1000", b"Expect: 100-continue", body=b"x" * 999, **how)
    assert (client.kept, client.status()) == (0, None)
    client.sends(b"x")
    assert client.status() == status
    assert served.control.asked == []
    assert not client.is_closed


def test_nothing_is_kept_of_a_user_without_the_right_to_change() -> None:
    client = connected(Served(author=None))
    client.asks(JSON, b"Content-Length: 1000", body=b"x" * 999)
    assert client.kept == 0
    client.sends(b"x")
    assert client.status() == 403


def test_a_change_that_was_refused_by_its_head_stays_refused() -> None:
    """Its body is gone: with a right that came meanwhile it would be answered as no JSON."""
    served = Served(author=None)
    client = connected(served)
    client.asks(JSON, b"Content-Length: %d" % len(CHANGE), body=CHANGE[:5])
    served.permission.author = "alice (uid 1000)"
    client.sends(CHANGE[5:])
    assert client.status() == 403
    assert ("example.com", "off", "alice (uid 1000)") not in served.control.asked


@pytest.mark.parametrize("method", [b"POST", b"GET", b"PUT"])
@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"Content-Length: %d" % (BODY_BYTES + 1), 413),
        (b"Content-Length: 300000000", 413),
        (b"Content-Length: " + b"9" * 4000, 413),
        (b"Transfer-Encoding: chunked", 411),
    ],
)
def test_a_body_that_is_too_long_or_of_unknown_length_is_cut_off_at_its_head(
    method: bytes, field: bytes, status: int
) -> None:
    client = connected(served := Served())
    client.asks(JSON, field, b"Expect: 100-continue", method=method, body=b"5\r\nhello\r\n0\r\n\r\n")
    assert client.status() == status
    assert client.is_closed
    assert served.control.asked == []


@pytest.mark.parametrize("host", [b"evil.example", b"localhost"])
def test_a_long_body_for_a_foreign_host_is_told_that_first(host: bytes) -> None:
    client = connected(Served())
    client.asks(b"Content-Length: 300000000", host=host)
    assert client.status() == (421 if host == b"evil.example" else 413)
    assert client.is_closed


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 20_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3_000 + b"\r\n",
    ],
)
def test_a_long_head_is_cut_off(head: bytes) -> None:
    client = connected(Served())
    client.sends(head)
    assert client.is_closed


@pytest.mark.parametrize(
    "begin", [b"", b"GE", b"POST /api/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"]
)
def test_a_request_that_comes_byte_by_byte_is_cut_off_in_time(begin: bytes) -> None:
    client = connected(served := Served())
    client.sends(begin)
    for _ in range(int(REQUEST_SECONDS) - 1):
        served.clock.advance(1)
        assert not client.is_closed
        client.sends(b"x" if begin else b"")
    served.clock.advance(1)
    assert client.is_closed
    client.ends()
    assert not served.clock.getDelayedCalls()


def test_a_connection_lasts_from_one_request_to_the_next() -> None:
    client = connected(served := Served())
    for _ in range(3):
        client.asks(method=b"GET")
        assert client.status() == 200
        served.clock.advance(IDLE_SECONDS - 1)
        assert not client.is_closed
    client.sends(b"GET ")
    served.clock.advance(REQUEST_SECONDS)
    assert client.is_closed
    client.ends()
    assert not served.clock.getDelayedCalls()


def test_an_idle_connection_is_closed() -> None:
    client = connected(served := Served())
    client.asks(method=b"GET")
    served.clock.advance(IDLE_SECONDS)
    assert client.is_closed


def test_strangers_do_not_take_the_connections_of_this_machine() -> None:
    served = Served()
    far = [served.connect(f"192.0.2.{number}") for number in range(CONNECTIONS + 5)]
    assert [client is not None for client in far] == [True] * CONNECTIONS + [False] * 5
    near = [served.connect() for _ in range(CONNECTIONS + 1)]
    assert [client is not None for client in near] == [True] * CONNECTIONS + [False]
    assert far[0] is not None
    far[0].ends()
    assert served.connect("192.0.2.99") is not None
    assert served.connect("192.0.2.99") is None


def test_one_stranger_does_not_take_the_connections_of_all() -> None:
    served = Served()
    for hosts in (["192.0.2.66"], ["2001:db8::1", "2001:db8::2"]):
        mine = [served.connect(hosts[number % len(hosts)]) for number in range(CONNECTIONS)]
        assert [client is not None for client in mine].count(True) == CONNECTIONS_OF_ONE
        assert served.connect("192.0.2.1") is not None
        for client in mine:
            if client is not None:
                client.ends()


def test_a_request_is_looked_at_in_its_turn_and_nothing_is_read_before() -> None:
    client = connected(served := Served(in_turns=True))
    client.asks(JSON, b"Content-Length: %d" % len(CHANGE), body=CHANGE[:5])
    client.sends(CHANGE[5:])  # TLS hands over several pieces of one read
    assert (client.status(), client.transport.producerState) == (None, "paused")
    served.clock.advance(0)
    assert (client.status(), client.transport.producerState) == (200, "producing")
    assert served.control.asked == [("example.com", "off", "alice (uid 1000)")]
    client.asks(JSON, b"Content-Length: %d" % len(CHANGE), body=CHANGE)
    served.clock.advance(0)
    assert len(served.control.asked) == 2


def test_a_connection_that_ends_before_its_turn_asks_for_nothing() -> None:
    client = connected(served := Served(in_turns=True))
    client.asks(JSON, b"Content-Length: %d" % len(CHANGE), body=CHANGE)
    client.ends()
    served.clock.advance(0)
    assert (client.status(), served.control.asked) == (None, [])
