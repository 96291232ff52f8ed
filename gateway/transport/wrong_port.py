"""Peers that speak the wrong way to a port: TLS to one without it, or SIP in clear to one of TLS.

    first bytes that are no SIP, or no TLS -> WrongPorts.look -> one line of the log for each source

Such a phone hears nothing that its user could read, and its administrator looks here. A source is told once, however
often it tries, and all sources together have a rate: anybody can send such bytes, and over UDP under any address. Not
here: the answer to the bytes, of which there is none.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from twisted.logger import Logger

from gateway.base.rate import Rate, RateLimit
from gateway.config.model import Listener
from gateway.transport.flow import Flow, Transport

log = Logger()

LINES: Final = Rate(per_second=1 / 60, burst=10)
"""Of all sources together."""

REMEMBERED: Final = 1000
"""Sources that were told; beyond, the one told longest ago is forgotten."""

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_DTLS: Final = (b"\xfe\xff", b"\xfe\xfd")
"""Versions 1.0 and 1.2 (RFC 6347 section 4.1)."""

_SIP = re.compile(rb"[A-Z]{2,20} (?:sips?|tel|urn):", re.IGNORECASE)


class WrongPorts:
    """Tells the log of such peers; ``seconds`` never go back."""

    def __init__(self, listeners: Iterable[Listener], seconds: Callable[[], float]) -> None:
        self._listeners = tuple(listeners)
        self._seconds = seconds
        self._limit = RateLimit(LINES)
        self._told: dict[tuple[str, str], None] = {}

    def look(self, flow: Flow, data: bytes) -> None:
        """The bytes of a peer that were no message, or no TLS, for the listener of its flow."""
        if flow.transport is Transport.WSS:
            if _SIP.match(data):
                self._tell(flow, "speaks SIP without WebSocket", "web phones alone", _is_for_phones)
        elif flow.transport is Transport.TLS:
            if _SIP.match(data):
                self._tell(flow, "speaks SIP without TLS", "TLS alone", _is_clear)
        elif is_client_hello(data):
            self._tell(flow, "speaks TLS", f"SIP over {flow.transport} without TLS", _is_tls)

    def _tell(self, flow: Flow, does: str, takes: str, is_right: Callable[[Listener], bool]) -> None:
        key = flow.listener.name, flow.source
        if key in self._told or not self._limit.allows("all", self._seconds()):
            return
        if len(self._told) >= REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[key] = None
        right = [one for one in self._listeners if one.side is flow.listener.side and is_right(one)]
        log.warn(
            "{source} {does} to listener {listener}, port {port}, which takes {takes}: {remedy}",
            source=flow.remote,
            does=does,
            listener=flow.listener.name,
            port=flow.listener.port,
            takes=takes,
            remedy=_remedy(right),
        )


def is_client_hello(data: bytes) -> bool:
    """Whether bytes begin with a hello of TLS (RFC 8446 section 5.1) or DTLS (RFC 6347 section 4.3.1)."""
    if len(data) < 6 or data[0] != _HANDSHAKE:
        return False
    if data[1] == 3:
        return data[5] == _CLIENT_HELLO
    return data[1:3] in _DTLS and len(data) > 13 and data[13] == _CLIENT_HELLO


def _is_tls(listener: Listener) -> bool:
    return listener.transport == "tls"


def _is_clear(listener: Listener) -> bool:
    return not listener.is_encrypted


def _is_for_phones(listener: Listener) -> bool:
    return listener.transport != "wss"


def _remedy(right: list[Listener]) -> str:
    if not right:
        return "no listener of this side takes that, so set the peer's transport to this one's"
    ports = ", ".join(f"{one.transport} port {one.port} (listener {one.name})" for one in right[:3])
    return f"set the peer's transport to this port's, or let it use {ports}"
