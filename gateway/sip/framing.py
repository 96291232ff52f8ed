"""Cuts a TCP or TLS stream into messages by Content-Length (RFC 3261 section 18.3) and keep-alives (RFC 5626
section 4.4.1).

Bytes go in, whole messages come out; nothing is parsed further. A stream whose next boundary cannot be known is
beyond repair: messages before it still come out, then `receive` raises for ever, Answerable where the request can be
answered (section 18.3), and its owner closes the connection.
"""

from __future__ import annotations

import enum
import re
from typing import Protocol

from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request
from gateway.sip.parser import LIMITS, Answerable, Limits, parse

_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_FOLD = re.compile(rb"\r\n[ \t]+")
_END = b"\r\n\r\n"
_TOKEN_BYTES = frozenset(b"-.!%*_+`'~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class KeepAlive(enum.Enum):
    """The bytes between messages: a double CRLF asks, a single one answers."""

    PING = "ping"
    PONG = "pong"


class Framer(Protocol):
    """One direction of one connection, cut into messages."""

    @property
    def broken(self) -> MalformedMessage | None:
        """The error that put the stream beyond repair; the next `receive` raises it."""

    @property
    def is_idle(self) -> bool:
        """Whether the stream stands between two messages."""

    def receive(self, data: bytes) -> list[bytes | KeepAlive]:
        """The pieces that data completes, in order. Raises MalformedMessage when the stream is beyond repair."""


class StreamFramer:
    """One direction of one connection. Holds at most one unfinished message, `limits.message` bytes."""

    __slots__ = ("_buffer", "_limits", "_pong_was_last", "_searched", "_wanted", "broken")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        self._wanted = 0
        self._pong_was_last = False
        self.broken: MalformedMessage | None = None
        """The error that put the stream beyond repair; the next `receive` raises it."""

    def receive(self, data: bytes) -> list[bytes | KeepAlive]:
        """The pieces that data completes, in order.

        Raises MalformedMessage when the stream is beyond repair; if pieces came before that in the same data, they are
        returned, `broken` is set and the next call raises.
        """
        if self.broken is not None:
            raise self.broken
        self._buffer += data
        pieces: list[bytes | KeepAlive] = []
        try:
            while self._buffer:
                piece = self._next_keep_alive() if self._buffer[0] in b"\r\n" else self._next_message()
                if piece is None:
                    break
                pieces.append(piece)
        except MalformedMessage as malformed:
            self.broken = malformed
            self._buffer.clear()
            if not pieces:
                raise
        return pieces

    @property
    def is_idle(self) -> bool:
        """Whether the stream stands between two messages."""
        return not self._buffer

    def _next_keep_alive(self) -> KeepAlive | None:
        if self._buffer.startswith(_END):
            return self._take_keep_alive(4, KeepAlive.PING)
        if self._buffer.startswith(b"\r\n\r") and len(self._buffer) == 3:
            return None
        if self._buffer.startswith(b"\r\n"):
            second_half = self._pong_was_last
            return self._take_keep_alive(2, KeepAlive.PING if second_half else KeepAlive.PONG)
        if self._buffer == b"\r":
            return None
        raise MalformedMessage("a bare CR or LF between messages")

    def _take_keep_alive(self, size: int, kind: KeepAlive) -> KeepAlive:
        del self._buffer[:size]
        self._pong_was_last = kind is KeepAlive.PONG
        return kind

    def _next_message(self) -> bytes | None:
        if self._buffer[0] not in _TOKEN_BYTES:  # a TLS hello, say: no need to wait for its end
            raise MalformedMessage("no SIP message begins like this")
        if not self._wanted and not self._find_end():
            return None
        if len(self._buffer) < self._wanted:
            return None
        message = bytes(self._buffer[: self._wanted])
        del self._buffer[: self._wanted]
        self._wanted = self._searched = 0
        self._pong_was_last = False
        return message

    def _find_end(self) -> bool:
        end = self._buffer.find(_END, max(0, self._searched - 3))
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > self._limits.head:
                raise MalformedMessage("a head without an end", self._searched, status=513)
            return False
        head = bytes(self._buffer[:end])
        try:
            self._wanted = end + 4 + self._content_length(head)
        except MalformedMessage as malformed:
            request = _request_of(head)
            raise malformed if request is None else Answerable(malformed, request) from None
        return True

    def _content_length(self, head: bytes) -> int:
        if b"\r\n " in head or b"\r\n\t" in head:
            head = _FOLD.sub(b" ", head)
        values = _CONTENT_LENGTH.findall(head)
        if len(values) != 1:
            raise MalformedMessage(f"{len(values)} Content-Length headers")
        value = values[0].strip(b" \t")
        if not value.isdigit() or len(value) > 10 or int(value) > self._limits.message:
            raise MalformedMessage("a Content-Length that is no number in range")
        return int(value)


def _request_of(head: bytes) -> Request | None:
    """The request with that head, if its sender can be answered."""
    try:
        message = parse(head + _END)
    except Answerable as malformed:
        return malformed.request
    except MalformedMessage:
        return None
    return message if isinstance(message, Request) else None
