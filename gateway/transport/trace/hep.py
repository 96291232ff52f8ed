"""HEP version 3: one captured message as a packet for Homer, Kamailio's sipcapture and their like.

    "HEP3", length of all (2 bytes), then chunks: vendor (2), type (2), length with its head (2), value

Pure. Chunks of vendor 0 are the protocol's own; ours carry the security of the message and a remark.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final

import attrs

LONGEST: Final = 65_535
"""Bytes of a packet: its length has two bytes."""
SIP: Final = 1
CDR: Final = 100
"""Kinds of payload: a SIP message, and a log line, which a call's record goes as."""
VENDOR: Final = 0x7A53
"""Ours: nobody has given out numbers of vendors since long."""
SECURITY_CHUNK: Final = 1
REMARK_CHUNK: Final = 2
"""Kinds of chunks of ours."""
_ROOM: Final = 1_024
"""Bytes for the head and all chunks but the payload."""
_SHORT: Final = 255


@attrs.frozen
class HepMessage:
    """One message, as it went from a source to a destination. Addresses are numeric."""

    at: float
    """Seconds since the epoch."""
    source: tuple[str, int]
    destination: tuple[str, int]
    is_udp: bool
    payload: bytes
    correlation: str = ""
    """The same for both legs of a call."""
    security: str = ""
    """Such as `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty in clear."""
    kind: int = SIP


def packet(message: HepMessage, capture_id: int, password: str = "") -> bytes:
    """The packet. A payload that would not fit is cut, and a remark says so. Raises ValueError for a name in the place
    of an address."""
    source, destination = ip_address(message.source[0]), ip_address(message.destination[0])
    is_ipv6 = source.version == 6 or destination.version == 6
    seconds = int(message.at)
    payload = message.payload[: LONGEST - _ROOM]
    chunks = [
        _chunk(1, bytes([10 if is_ipv6 else 2])),
        _chunk(2, bytes([17 if message.is_udp else 6])),
        _chunk(5 if is_ipv6 else 3, _packed(source, is_ipv6)),
        _chunk(6 if is_ipv6 else 4, _packed(destination, is_ipv6)),
        _chunk(7, struct.pack("!H", message.source[1])),
        _chunk(8, struct.pack("!H", message.destination[1])),
        _chunk(9, struct.pack("!I", seconds)),
        _chunk(10, struct.pack("!I", min(999_999, round((message.at - seconds) * 1e6)))),
        _chunk(11, bytes([message.kind])),
        _chunk(12, struct.pack("!I", capture_id)),
    ]
    if password:
        chunks.append(_chunk(14, password.encode()[:_SHORT]))
    if message.correlation:
        chunks.append(_chunk(17, message.correlation.encode()[:_SHORT]))
    if message.security:
        chunks.append(_chunk(SECURITY_CHUNK, message.security.encode()[:_SHORT], VENDOR))
    if len(payload) < len(message.payload):
        remark = f"cut: {len(message.payload)} bytes"
        chunks.append(_chunk(REMARK_CHUNK, remark.encode(), VENDOR))
    chunks.append(_chunk(15, payload))
    body = b"".join(chunks)
    return b"HEP3" + struct.pack("!H", len(body) + 6) + body


def _chunk(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack("!HHH", vendor, kind, len(value) + 6) + value


def _packed(address: object, is_ipv6: bool) -> bytes:
    packed: bytes = address.packed  # type: ignore[attr-defined]
    if is_ipv6 and len(packed) == 4:
        return b"\0" * 10 + b"\xff\xff" + packed
    return packed
