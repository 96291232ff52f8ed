"""The active attacker between gateway and provider: a TCP port and a UDP port in the provider's place.

Before it strikes it passes everything on as it is. An ``Attack`` is its treatment of TLS and of clear text from then
on. It has no certificate that the gateway trusts for the provider, and nobody's key but its own.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import cast

from tests.support.matrix.wires import Receive, TlsStream
from tests.support.messages import crypto_line

APPLICATION_DATA = 0x17
PLAIN = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class OnTls(StrEnum):
    """What is done to the TLS port."""

    REFUSES = "refuses"
    DROPS = "drops"
    SILENT = "silent"
    PLAIN = "plain"
    CUTS = "cuts"
    GARBLES = "garbles"
    CERTIFICATE = "certificate"


class InClear(StrEnum):
    """What is done to an answer that passes in clear."""

    NOTHING = "nothing"
    REFUSES = "488"
    ADDS_KEY = "key"
    SAYS_SRTP = "savp"


class TlsPort:
    """The TCP port that the gateway takes for the provider's."""

    def __init__(self, place: tuple[str, int], provider: tuple[str, int]) -> None:
        self._place = place
        self._provider = provider
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._held: list[socket.socket] = []
        self._garbles = False

    async def pass_on(self) -> None:
        """Be as the provider is."""
        await self._serve(self._relay)

    async def strike(self, how: OnTls, impostor: Callable[[], TlsStream]) -> None:
        """End what is up, and be an enemy from now on; ``impostor`` serves TLS with a certificate of its own."""
        self.close()
        if how in (OnTls.REFUSES, OnTls.DROPS):
            self._hold(drops=how is OnTls.DROPS)
        elif how is OnTls.CERTIFICATE:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(impostor, *self._place, reuse_address=True)
        else:
            self._garbles = how is OnTls.GARBLES
            serve = {OnTls.SILENT: _silent, OnTls.PLAIN: _plain, OnTls.CUTS: _cut, OnTls.GARBLES: self._relay}[how]
            await self._serve(serve)

    def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for held in self._held:
            held.close()
        self._server, self._writers, self._held = None, [], []

    async def _serve(self, serve: Served) -> None:
        async def began(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            try:
                await serve(reader, writer)
            except (OSError, asyncio.CancelledError):
                pass
            writer.close()

        self._server = await asyncio.start_server(began, *self._place, reuse_address=True)

    def _hold(self, *, drops: bool) -> None:
        """A port that refuses; or one whose queue is full, so that the kernel drops every SYN."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(self._place)
        self._held = [held]
        if drops:
            held.listen(0)
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(self._place)
                self._held.append(filler)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection(*self._provider)
        self._writers.append(out)
        await asyncio.gather(self._pump(reader, out), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            is_touched = self._garbles and data[0] == APPLICATION_DATA
            writer.write(data[:-1] + bytes([data[-1] ^ 1]) if is_touched else data)
            await writer.drain()
        writer.close()


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def _plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        writer.write(PLAIN)


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


class UdpPort(asyncio.DatagramProtocol):
    """The UDP port that the gateway takes for the provider's; what comes back may be rewritten."""

    def __init__(self, in_clear: InClear) -> None:
        self.in_clear = InClear.NOTHING
        self.seen: list[bytes] = []
        """What the gateway sent in clear."""
        self._then = in_clear
        self._gateway: tuple[str, int] = ("", 0)
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None

    async def open(self, place: tuple[str, int], provider: tuple[str, int]) -> None:
        """Take the provider's place."""
        loop = asyncio.get_running_loop()
        self._far, _ = await loop.create_datagram_endpoint(
            lambda: _Back(self._answered), local_addr=(place[0], 0), remote_addr=provider
        )
        await loop.create_datagram_endpoint(lambda: self, local_addr=place)

    def strike(self) -> None:
        self.in_clear = self._then

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._near = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._gateway = addr
        self.seen.append(data)
        if self._far is not None:
            self._far.sendto(data)

    def close(self) -> None:
        for transport in (self._near, self._far):
            if transport is not None:
                transport.close()

    def _answered(self, data: bytes) -> None:
        if self._near is not None:
            self._near.sendto(rewritten(data, self.in_clear), self._gateway)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data)


def rewritten(data: bytes, how: InClear) -> bytes:
    """An answer to an INVITE as the attacker passes it on."""
    head, _, body = data.partition(b"\r\n\r\n")
    if how is InClear.NOTHING or not head.startswith(b"SIP/2.0 200") or not body:
        return data
    if how is InClear.REFUSES:
        head, body = head.replace(b"SIP/2.0 200 Said", b"SIP/2.0 488 Not Acceptable Here", 1), b""
        head = re.sub(rb"\r\nContent-Type:[^\r]*", b"", head)
    else:
        body += crypto_line(1, "AES_CM_128_HMAC_SHA1_80").encode()
        body = body.replace(b"RTP/AVP", b"RTP/SAVP") if how is InClear.SAYS_SRTP else body
    head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body


def impostor(context: object, receive: Receive) -> Callable[[], TlsStream]:
    """Serves TLS in the provider's place."""
    return lambda: TlsStream(context, receive, is_server=True)  # type: ignore[arg-type]
