"""The one HTTP request of a WebSocket connection, and its answer (RFC 6455 section 4.2, RFC 7118 section 4).

    bytes -> Upgrade.receive -> None: its end is not here yet
                             -> Answer 101, and the bytes behind it that are frames already
                             -> Answer 400, 403, 404 or 426: the connection ends

Here: HTTP. Not here: frames (web_frames.py), TLS and the connection (web_connection.py).

A browser says in Origin which page's script asks, and a script cannot say otherwise. Pages that are not listed are
refused: a page that somebody was lured to would reach the gateway from inside the house. A client without Origin is no
browser, and has TLS and TCP. No extension is ever agreed on: permessage-deflate costs memory for each connection, and
lets a few bytes become many.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection
from typing import Final

import attrs
import h11
from twisted.logger import Logger

from gateway.observe.clean_text import clean

log = Logger()

SUBPROTOCOL: Final = "sip"

_LONGEST: Final = 16 * 1024
"""Bytes of a request: browsers send cookies of the page's host with it."""

_KEY_SALT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = "13"
_PHRASES: Final = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 426: "Upgrade Required"}

_TOLD: Final = 100
"""Origins that the log was told of; beyond, it is told of no more."""


@attrs.frozen
class Answer:
    """The answer to a request; ``refusal`` says for people why it is one, and is empty where the frames begin."""

    data: bytes
    rest: bytes = b""
    """Bytes behind the request."""
    refusal: str = ""
    is_foreign: bool = False
    """Whether it was no request of a web phone at all: such bytes tell of a scanner."""


class Origins:
    """The pages that may connect to a listener, as browsers name them."""

    def __init__(self, listener: str, allowed: Collection[str]) -> None:
        self._listener = listener
        self._allowed = frozenset(allowed)
        self._told: set[str] = set()

    def allows(self, origin: str) -> bool:
        """Whether the page may; the log is told once of each that may not."""
        if origin.lower() in self._allowed:
            return True
        shown = clean(origin[:200])
        if shown not in self._told and len(self._told) < _TOLD:
            self._told.add(shown)
            log.warn(
                "{listener}: a page at {origin} is refused, which is none of the listener's origins",
                listener=self._listener,
                origin=shown or "no origin",
            )
        return False


class Upgrade:
    """Reads the request of one connection."""

    __slots__ = ("_http", "_origins")

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST)

    def receive(self, data: bytes) -> Answer | None:
        """The answer, once the whole request is here."""
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError:
            return _refused(400, "no HTTP request", is_foreign=True)
        if event is h11.NEED_DATA:
            return None
        if not isinstance(event, h11.Request):
            return _refused(400, "no HTTP request", is_foreign=True)
        answer = self._answer(event, [(bytes(name), value.decode("latin-1")) for name, value in event.headers])
        return answer if answer.refusal else attrs.evolve(answer, rest=self._http.trailing_data[0])

    def _answer(self, request: h11.Request, headers: list[tuple[bytes, str]]) -> Answer:
        upgrades = [one.lower() for one in _listed(headers, b"upgrade")]
        connection = [one.lower() for one in _listed(headers, b"connection")]
        if request.method != b"GET" or "websocket" not in upgrades or "upgrade" not in connection:
            return _refused(404, "an HTTP request that is none for a WebSocket", is_foreign=True)
        if _all(headers, b"sec-websocket-version") != [_VERSION]:
            return _refused(426, "another version of WebSockets", f"Sec-WebSocket-Version: {_VERSION}\r\n")
        keys = _all(headers, b"sec-websocket-key")
        if len(keys) != 1 or not _is_key(keys[0]):
            return _refused(400, "no Sec-WebSocket-Key")
        named = _all(headers, b"origin")
        if len(named) > 1 or not self._origins.allows("".join(named)):
            return _refused(403, "its page is none of the listener's origins")
        if SUBPROTOCOL not in [one.lower() for one in _listed(headers, b"sec-websocket-protocol")]:
            return _refused(400, "not the subprotocol sip (RFC 7118 section 4)")
        return Answer(_accepted(keys[0]))


def _all(headers: list[tuple[bytes, str]], name: bytes) -> list[str]:
    return [value.strip() for one, value in headers if one == name]


def _listed(headers: list[tuple[bytes, str]], name: bytes) -> list[str]:
    return [one.strip() for value in _all(headers, name) for one in value.split(",")]


def _is_key(key: str) -> bool:
    """Whether it is 16 bytes in base64 (RFC 6455 section 4.2.1)."""
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _accepted(key: str) -> bytes:
    digest = hashlib.sha1(key.encode() + _KEY_SALT, usedforsecurity=False).digest()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode()


def _refused(status: int, why: str, more: str = "", *, is_foreign: bool = False) -> Answer:
    head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n"
    return Answer(head.encode(), refusal=why, is_foreign=is_foreign)
