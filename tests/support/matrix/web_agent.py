"""A scripted web phone: SIP over WebSockets (RFC 7118), and media by ICE, DTLS and SRTP as a browser has them.

The frames are read and written by wsproto, the handshake is pyOpenSSL's and the packets libsrtp's (media_browser):
nothing of the gateway.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from typing import Final

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, Ping, Request, TextMessage

from tests.support.calls.wire import SipMessage
from tests.support.matrix.agent import Agent, Answering
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.sound import PACKETS, PERIOD, RTP_HEADER, Heard, Key, Sound
from tests.support.matrix.wires import Framer, Receive, TlsStream, Wire
from tests.support.media_browser import Browser

ORIGIN: Final = "https://intranet.example.com"
HEAR_WITHIN: Final = 4.0
"""Seconds in which media have to come: a quarter of one, but on a busy machine."""


class WebStream(TlsStream):
    """One connection of a page at a place; `opened` is done once the gateway has let it in."""

    def __init__(self, context: ssl.SSLContext, receive: Receive, place: str) -> None:
        super().__init__(context, receive, is_server=False)
        self.wire = Wire("WSS", self._say)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._web = WSConnection(ConnectionType.CLIENT)
        self._framer = _Frames(self)
        self._take = receive
        self._part = b""
        self._send(
            self._web.send(Request(place, "/", subprotocols=["sip"], extra_headers=[(b"Origin", ORIGIN.encode())]))
        )

    def feed(self, data: bytes) -> None:
        """Bytes of the WebSocket."""
        self._web.receive_data(data)
        for event in self._web.events():
            if isinstance(event, AcceptConnection):
                self.opened.set_result(None)
            elif isinstance(event, Ping):
                self._send(self._web.send(event.response()))
            elif isinstance(event, TextMessage | BytesMessage):
                self._part += event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
                if event.message_finished:
                    message, self._part = self._part, b""
                    self._deliver(message)

    def _deliver(self, message: bytes) -> None:
        if message.strip():
            self._take(SipMessage.parse(*self._remote, message), self.wire)

    def _say(self, message: bytes) -> None:
        self._send(self._web.send(TextMessage(message.decode())))


class _Frames(Framer):
    """Stands where a stream is cut by Content-Length."""

    def __init__(self, stream: WebStream) -> None:
        super().__init__(lambda _: None)
        self._stream = stream

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)


class WebSound(Sound):
    """A browser's media in a call."""

    def __init__(self, mark: str, browser: Browser) -> None:
        super().__init__(mark)
        self.browser = browser
        self.port = browser.own.getsockname()[1]
        self._opened: list[bytes | None] = []
        self._is_closed = False

    def close(self) -> None:
        self._is_closed = True
        self.browser.close()

    def converse(self, sdp: bytes) -> None:
        """Check, shake hands, talk, and listen; in a thread. Nothing of it is judged here."""
        payload = (self._mark * 160)[:160]
        try:
            self.browser.connect(sdp)
            for number in range(1, PACKETS + 1):
                self.browser.send(struct.pack("!BBHII", 0x80, 0, number, 160 * number, self._source) + payload)
                time.sleep(PERIOD)
            deadline = time.monotonic() + HEAR_WITHIN
            while len(self.received) < PACKETS and time.monotonic() < deadline and not self._is_closed:
                self._note(self.browser.receive_wire(max(deadline - time.monotonic(), 0.001)))
        except (AssertionError, OSError):
            return  # nothing came, or the call was over: the exchange tells

    def heard(self, key: Key | None, mark: str) -> Heard:
        """See Sound: the key is the handshake's."""
        wanted = (mark.encode() * 160)[:160]
        if not self.received:
            return Heard.NOTHING
        if any(mark.encode() in packet for packet in self.received):
            return Heard.NEITHER
        return Heard.SRTP if all(one is not None and one == wanted for one in self._opened) else Heard.NEITHER

    def _note(self, packet: bytes) -> None:
        if packet[1] & 0x7F == 0:
            opened = self.browser.opens(packet)
            self.received.append(packet)
            self._opened.append(None if opened is None else opened[RTP_HEADER:])


class WebAgent(Agent):
    """The pages of one host. A call whose domain is in `plain` has media without DTLS."""

    def __init__(self, name: str, address: str, port: int, answering: Answering) -> None:
        super().__init__(name, address, port, answering)
        self.browsers: dict[int, Browser] = {}
        """By the port of their media."""
        self.plain: set[str] = set()

    def contact(self, wire: Wire, user: str = "") -> str:
        """It is reached over its connection alone (RFC 7118 section 5)."""
        return f"<sip:{user or self.name}@{self.name}.invalid;transport=ws>"

    async def _open_sound(self, domain: str) -> Sound:
        if domain in self.plain:
            return await super()._open_sound(domain)
        sound = WebSound(self.mark(domain), await asyncio.to_thread(Browser, self.address))
        self.browsers[sound.port] = sound.browser
        return sound

    async def _talk(self, exchange: Exchange) -> None:
        if isinstance(exchange.sound, WebSound) and exchange.theirs:
            await asyncio.to_thread(exchange.sound.converse, exchange.theirs)
        else:
            await super()._talk(exchange)
