"""A web phone's connection in a memory network: TLS, then the upgrade of RFC 6455, then frames of the test's choice."""

from __future__ import annotations

import struct
from pathlib import Path

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Event, RejectConnection, Request

from tests.support.memory_network import MemoryNetwork
from tests.support.tls_peer import TlsPeer
from tests.support.transport_gateways import Site

ORIGIN = "https://office.example.com"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPTED = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""Key and answer of RFC 6455 section 1.3."""


def asking(**changes: str | None) -> bytes:
    """The request of a web phone; a field's value changed, or left out by None. Dashes are written as underscores."""
    fields: dict[str, str | None] = {
        "Host": "gateway.example.com:8443",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "sip",
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
        "Origin": ORIGIN,
    }
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = (f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return ("GET / HTTP/1.1\r\n" + "".join(lines) + "\r\n").encode()


def frame(opcode: int, payload: bytes, *, is_last: bool = True, is_masked: bool = True, bits: int = 0) -> bytes:
    """A frame as bytes (RFC 6455 section 5.2): 1 text, 2 binary, 0 continuation, 8 close, 9 ping, 10 pong."""
    head = bytes([(0x80 if is_last else 0) | bits << 4 | opcode])
    masked = 0x80 if is_masked else 0
    if len(payload) < 126:
        head += bytes([masked | len(payload)])
    elif len(payload) < 65536:
        head += bytes([masked | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", len(payload))
    if not is_masked:
        return head + payload
    mask = b"\x01\x02\x03\x04"
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


class WebPeer:
    """A browser's end: what arrives is read by wsproto."""

    def __init__(self, network: MemoryNetwork, site: Site, trust: Path) -> None:
        self.network = network
        self.tls = TlsPeer(network, site, trust).shake_hands()
        self.events: list[Event] = []
        self._web = WSConnection(ConnectionType.CLIENT)
        self._read = 0

    def opened(self) -> WebPeer:
        """Complete the upgrade."""
        request = Request(
            "gateway.example.com:8443", "/", subprotocols=["sip"], extra_headers=[(b"Origin", ORIGIN.encode())]
        )
        self.say(self._web.send(request))
        assert isinstance(self.events[0], AcceptConnection), self.events
        assert self.events[0].subprotocol == "sip"
        self.events.clear()
        return self

    def say(self, data: bytes) -> None:
        """Send bytes over TLS, and read the answer."""
        self.tls.say(data)
        self.hear()

    def send(self, event: Event) -> None:
        """Send an event as a browser does: masked, whole."""
        self.say(self._web.send(event))

    def hear(self) -> None:
        """Read all that has come."""
        self.tls.carry()
        arrived, self._read = self.tls.received[self._read :], len(self.tls.received)
        if arrived:
            self._web.receive_data(arrived)
            self.events += self._web.events()

    @property
    def answer(self) -> bytes:
        """All bytes that came, as they are."""
        return self.tls.received

    @property
    def rejection(self) -> int:
        """The status of a refused upgrade."""
        (found,) = [one for one in self.events if isinstance(one, RejectConnection)]
        return found.status_code
