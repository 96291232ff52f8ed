"""pcapng: captured messages as a file that Wireshark, tshark and sngrep read.

    section header, then for each listener an interface, and for each message a packet of that interface

Pure: each function gives bytes to be added to a file. Every message gets Ethernet, IP and UDP headers that we make up,
also one that came over TCP or TLS, since its packets there were others; its comment names the transport. The format is
draft-ietf-opsawg-pcapng. The link type is Ethernet: libpcap (tcpdump, sngrep) reads no second interface of raw IP.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final

LONGEST: Final = 65_507
"""Bytes of a payload in one UDP datagram over IPv4."""

_ETHERNET: Final = 1
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_NO_MACS: Final = bytes(12)
_NAME, _RESOLUTION, _COMMENT, _APPLICATION = 2, 9, 1, 4


def section(application: str) -> bytes:
    """The beginning of a file."""
    head = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(0x0A0D0D0A, head + _options((_APPLICATION, application.encode())))


def interface(name: str) -> bytes:
    """An interface; the first one has number 0."""
    head = struct.pack("<HHI", _ETHERNET, 0, 0)
    return _block(1, head + _options((_NAME, name.encode()), (_RESOLUTION, b"\x06")))


def packet(
    number: int, at: float, source: tuple[str, int], destination: tuple[str, int], payload: bytes, comment: str
) -> bytes:
    """A message on interface `number`, at seconds since the epoch. Addresses are numeric: ValueError for a name."""
    if len(payload) > LONGEST:
        comment += f"; cut: it has {len(payload)} bytes"
        payload = payload[:LONGEST]
    data = _datagram(source, destination, payload)
    micros = round(at * 1e6)
    head = struct.pack("<IIIII", number, micros >> 32, micros & 0xFFFFFFFF, len(data), len(data))
    return _block(6, head + _padded(data) + _options((_COMMENT, comment.encode())))


def _datagram(source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> bytes:
    sender, receiver = ip_address(source[0]), ip_address(destination[0])
    length = len(payload) + 8
    if sender.version == receiver.version == 4:
        ports = struct.pack("!HHHH", source[1], destination[1], length, 0)  # checksum 0: none (RFC 768)
        head = struct.pack("!BBHHHBBH", 0x45, 0, length + 20, 0, 0, 64, 17, 0) + sender.packed + receiver.packed
        return _NO_MACS + _IPV4 + head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + ports + payload
    ends = _mapped(sender.packed) + _mapped(receiver.packed)
    ports = struct.pack("!HHHH", source[1], destination[1], length, 0)
    checksum = _checksum(ends + struct.pack("!IxxxB", length, 17) + ports + payload) or 0xFFFF  # RFC 8200 section 8.1
    ports = ports[:6] + struct.pack("!H", checksum)
    return _NO_MACS + _IPV6 + struct.pack("!IHBB", 6 << 28, length, 17, 64) + ends + ports + payload


def _mapped(packed: bytes) -> bytes:
    return packed if len(packed) == 16 else b"\0" * 10 + b"\xff\xff" + packed


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _options(*options: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options) + b"\0\0\0\0"


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _padded(value: bytes) -> bytes:
    return value + b"\0" * (-len(value) % 4)
