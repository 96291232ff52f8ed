"""The server of phones' files without a network: bodies, time, connections."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.provisioning.servers.web_server import (
    CONNECTIONS,
    CONNECTIONS_OF_ONE,
    IDLE_SECONDS,
    REQUEST_SECONDS,
    UPLOAD_BYTES,
    PhoneSite,
    PhoneTlsFactory,
)
from tests.provisioning.support import PHONE, House
from tests.support.http_connection import HttpConnection


class Client(HttpConnection):
    """A connection to a site, over HTTP."""

    def says(self, data: bytes) -> bytes:
        """The answer to bytes."""
        self.transport.clear()
        self.channel.dataReceived(data)
        return bytes(self.transport.value())


class Served:
    """A site, and its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.site = PhoneSite(House().provisioner, self.clock)

    def connect(self, host: str = "192.0.2.7") -> Client | None:
        address = IPv4Address("TCP", host, 40000)
        channel = self.site.buildProtocol(address)
        return None if channel is None else Client(channel, StringTransport(peerAddress=address))

    def client(self, host: str = "192.0.2.7") -> Client:
        client = self.connect(host)
        assert client is not None
        return client


GET = b"GET /%s.cfg HTTP/1.1\r\nHost: x\r\n\r\n" % PHONE.encode()


def put(length: bytes) -> bytes:
    return b"PUT /x.log HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%s\r\n\r\n" % length


def test_nothing_of_a_body_is_kept_and_the_connection_goes_on() -> None:
    client = Served().client()
    assert client.says(put(b"Content-Length: %d" % UPLOAD_BYTES)) == b""
    assert client.says(b"x" * (UPLOAD_BYTES - 1)) == b""
    assert client.kept == 0
    assert client.says(b"x").startswith(b"HTTP/1.1 404 ")
    assert not client.is_closed
    assert client.says(GET).startswith(b"HTTP/1.1 404 ")


def test_a_body_that_is_too_long_or_of_no_told_length_is_not_waited_for() -> None:
    for length in (b"Content-Length: %d" % (UPLOAD_BYTES + 1), b"Transfer-Encoding: chunked"):
        client = Served().client()
        answer = client.says(put(length))
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert client.is_closed


def test_a_request_that_does_not_come_whole_in_time_is_cut() -> None:
    served = Served()
    silent, slow, late = served.client(), served.client(), served.client()
    late.says(GET)
    late.says(GET[:10])
    for _ in range(int(REQUEST_SECONDS)):
        slow.says(b"G")
        served.clock.advance(1)
    assert slow.is_closed
    assert silent.is_closed
    assert late.is_closed
    assert served.clock.seconds() == REQUEST_SECONDS


def test_a_connection_without_a_request_is_idle_for_a_while() -> None:
    served = Served()
    client = served.client()
    client.says(GET)
    served.clock.advance(IDLE_SECONDS - 1)
    assert not client.is_closed
    served.clock.advance(2)
    assert client.is_closed


def test_one_source_has_so_many_connections_and_all_have_so_many() -> None:
    served = Served()
    first = [served.client() for _ in range(CONNECTIONS_OF_ONE)]
    assert served.connect() is None
    others = [served.client(f"198.51.100.{number % 250}") for number in range(CONNECTIONS - CONNECTIONS_OF_ONE)]
    assert served.connect("203.0.113.1") is None
    first[0].ends()
    assert served.connect("203.0.113.1") is not None
    others[0].ends()
    assert served.connect() is not None


def test_handshakes_of_one_source_have_a_rate_and_room_to_begin() -> None:
    served = Served()

    def none_yet() -> SSL.Connection:
        raise AssertionError("no handshake begins before there is a connection")

    factory = PhoneTlsFactory(served.site, none_yet, 2, asks=True, clock=served.clock)

    def taken(host: str, times: int) -> int:
        return [factory.buildProtocol(IPv4Address("TCP", host, 1)) is not None for _ in range(times)].count(True)

    assert taken("192.0.2.1", 30) == 20
    assert taken("192.0.2.2", 30) == 20
    served.clock.advance(1)
    assert taken("192.0.2.1", 30) == 2
    for number in range(CONNECTIONS - 42):
        served.client(f"198.51.100.{number % 250}")
    assert taken("192.0.2.3", 3) == 0
