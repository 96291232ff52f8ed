"""SIP messages out of the frames of a WebSocket connection, and into them (RFC 6455 section 5, RFC 7118 section 5).

    plaintext of TLS -> receive -> messages and keep-alives        message -> framed -> plaintext for TLS
                           `-> outgoing: the answer to the upgrade, pongs, the goodbye

Each WebSocket message is one SIP message, of text or binary frames; so Content-Length is needed by nobody. A message
of several frames is put together up to the size that any message may have. A frame without a mask, a fragmented control
frame, bits of extensions and text that is no UTF-8 end the connection (wsproto finds them).

Here: bytes and pieces, no I/O. Not here: the connection (web_connection.py), the upgrade (upgrade.py).
"""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from gateway.sip.errors import MalformedMessage
from gateway.sip.framing import KeepAlive
from gateway.sip.parser import LIMITS, Limits
from gateway.transport.websocket.upgrade import Origins, Upgrade

_KEEP_ALIVES = {b"\r\n\r\n": KeepAlive.PING, b"\r\n": KeepAlive.PONG}


class WebFrames:
    """Both directions of one connection. Holds at most one unfinished message, `limits.message` bytes."""

    # fmt: off
    __slots__ = (
        "_is_unfinished", "_limits", "_output", "_parts", "_size", "_upgrade", "_web", "broken", "end", "has_ponged",
    )
    # fmt: on

    def __init__(self, origins: Origins, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._upgrade: Upgrade | None = Upgrade(origins)  # until it is answered
        self._web: Connection | None = None
        self._parts: list[bytes] = []  # of a message that is not whole; empty ones would cost, and count for nothing
        self._is_unfinished = False
        self._size = 0
        self._output = b""
        self.broken: MalformedMessage | None = None
        """The error of bytes that are no WebSocket of ours; the next `receive` raises it."""
        self.end = ""
        """Why the connection ends, in words; empty while it goes on."""
        self.has_ponged = False
        """Whether the peer has answered a ping."""

    @property
    def is_idle(self) -> bool:
        """Whether the upgrade is done, and the connection stands between two messages."""
        return self._web is not None and not self._is_unfinished

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._web is not None and self._web.state is ConnectionState.OPEN

    def receive(self, data: bytes) -> list[bytes | KeepAlive]:
        """The messages and keep-alives that data completes, in order. Raises MalformedMessage for a peer that is no
        web phone."""
        if self._upgrade is not None:
            answer = self._upgrade.receive(data)
            if answer is None:
                return []
            self._upgrade = None
            self._output += answer.data
            if answer.is_foreign:
                self.broken = MalformedMessage(answer.refusal)
            self.end = answer.refusal
            if not answer.refusal:
                self._web = Connection(ConnectionType.SERVER)
            data = answer.rest
        if self.broken is not None:
            raise self.broken
        return self._messages(self._web, data) if self._web is not None and not self.end else []

    def framed(self, message: bytes) -> bytes:
        """A message as one frame: of text, but where it has bytes that are none. Empty once nothing can be sent."""
        if self._web is None or not self.is_open:
            return b""
        try:
            return self._web.send(TextMessage(message.decode()))
        except UnicodeDecodeError:
            return self._web.send(BytesMessage(message))

    def ping(self) -> bytes:
        """A ping (RFC 6455 section 5.5.2); empty before the upgrade and after the end."""
        return self._web.send(Ping()) if self._web is not None and self.is_open else b""

    def goodbye(self) -> bytes:
        """The frame that ends the connection, unless it was sent."""
        return self._closing(CloseReason.GOING_AWAY)

    def outgoing(self) -> bytes:
        """Bytes that the peer is to have before anything else."""
        output, self._output = self._output, b""
        return output

    def _closing(self, code: int, reason: str | None = None) -> bytes:
        if self._web is None or self._web.state not in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            return b""
        return self._web.send(CloseConnection(code, reason))

    def _messages(self, web: Connection, data: bytes) -> list[bytes | KeepAlive]:
        pieces: list[bytes | KeepAlive] = []
        web.receive_data(data)
        for event in web.events():
            piece = self._piece(web, event)
            if piece is not None:
                pieces.append(piece)
            if self.end:
                break
        return pieces

    def _piece(self, web: Connection, event: Event) -> bytes | KeepAlive | None:
        match event:
            case TextMessage() | BytesMessage():
                return self._whole(event)
            case Ping():
                self._output += web.send(event.response())
            case Pong():
                self.has_ponged = True
            case CloseConnection(code=code, reason=reason):
                is_polite = web.state is ConnectionState.REMOTE_CLOSING
                self.end = "closed by the peer" if is_polite else f"no WebSocket: {reason}"
                self._output += self._closing(code, None if is_polite else reason)
            case _:  # no other event is of a server
                return None
        return None

    def _whole(self, event: TextMessage | BytesMessage) -> bytes | KeepAlive | None:
        """The message that a frame, or a part of one, completes."""
        data = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
        self._size += len(data)
        if self._size > self._limits.message:
            self.end = "a message that is too large"
            self._output += self._closing(CloseReason.MESSAGE_TOO_BIG)
            return None
        self._is_unfinished = not event.message_finished
        if self._is_unfinished:
            if data:  # frames without a byte could be sent for ever
                self._parts.append(data)
            return None
        message = b"".join((*self._parts, data))
        self._parts, self._size = [], 0
        return _KEEP_ALIVES.get(message, message) if message else None
