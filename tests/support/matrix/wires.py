"""Carriers of signalling between the gateway and the scripted parties, which keep every byte of it.

A ``Wire`` is one connection, or one remote address of a UDP socket. TLS runs over a ``MemoryBIO``, so that ``raw``
holds the bytes as the kernel gave them, before any decryption. Whether that was TLS is judged from ``raw``.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import cast

import attrs

from tests.support.calls.wire import SipMessage

Receive = Callable[[SipMessage, "Wire"], None]

CLIENT_HELLO = 1
RECORDS = range(20, 24)  # change cipher spec, alert, handshake, application data


@attrs.define(eq=False)
class Wire:
    """One way to the gateway, and everything that came from it."""

    transport: str  # "UDP" | "TLS": what was meant; what it was, ``raw`` says
    send: Callable[[bytes], None]
    raw: bytearray = attrs.field(factory=bytearray, repr=False)
    is_closed: bool = False

    @property
    def is_tls(self) -> bool:
        """Whether all that came is TLS records from the first byte to the last, a handshake first."""
        at, kinds = 0, []
        while at + 5 <= len(self.raw):
            kinds.append(self.raw[at] if self.raw[at + 1] == 3 else 0)
            at += 5 + int.from_bytes(self.raw[at + 3 : at + 5], "big")
        return bool(kinds) and kinds[0] == 22 and all(kind in RECORDS for kind in kinds)


class Framer:
    """Cuts a stream into messages."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._data = b""

    def feed(self, data: bytes) -> None:
        self._data = (self._data + data).lstrip(b"\r\n")
        while b"\r\n\r\n" in self._data:
            head, _, rest = self._data.partition(b"\r\n\r\n")
            length = re.search(rb"^Content-Length:\s*(\d+)", head, re.MULTILINE | re.IGNORECASE)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self._data = rest[size:].lstrip(b"\r\n")
            self._receive(head + b"\r\n\r\n" + rest[:size])


class TlsStream(asyncio.Protocol):
    """One TLS connection, as server or as client."""

    def __init__(self, context: ssl.SSLContext, receive: Receive, *, is_server: bool) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_server)
        self._tcp: asyncio.Transport | None = None
        self._remote = ("", 0)
        self._queued: list[bytes] = []
        self._up = False
        self.wire = Wire("TLS", self._send)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._framer = Framer(lambda data: receive(SipMessage.parse(*self._remote, data), self.wire))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast("asyncio.Transport", transport)
        self._remote = transport.get_extra_info("peername")[:2]
        self._advance()

    def data_received(self, data: bytes) -> None:
        self.wire.raw += data
        self._incoming.write(data)
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tcp, self.wire.is_closed = None, True
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        """End it at once."""
        if self._tcp is not None:
            self._tcp.abort()

    def _send(self, data: bytes) -> None:
        self._queued.append(data)
        self._advance()

    def _advance(self) -> None:
        try:
            self._step()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            self._flush()
            if self._tcp is not None:
                self._tcp.close()

    def _step(self) -> None:
        if not self._up:
            self._tls.do_handshake()
            self._up = True
        while self._queued:
            self._tls.write(self._queued.pop(0))
        self._flush()
        while data := self._tls.read(65536):
            self._framer.feed(data)
            self._flush()

    def _flush(self) -> None:
        if self._tcp is not None and self._outgoing.pending:
            self._tcp.write(self._outgoing.read())


class UdpSocket(asyncio.DatagramProtocol):
    """One UDP port; a wire for each who sends to it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._socket: asyncio.DatagramTransport | None = None
        self.wires: dict[tuple[str, int], Wire] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        wire = self.wire_to(addr)
        wire.raw += data
        if data.strip():
            self._receive(SipMessage.parse(*addr, data), wire)

    def wire_to(self, remote: tuple[str, int]) -> Wire:
        """The way to somebody."""
        socket = self._socket
        assert socket is not None
        return self.wires.setdefault(remote, Wire("UDP", lambda data: socket.sendto(data, remote)))
