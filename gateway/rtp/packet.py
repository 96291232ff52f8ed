"""The fields at the front of an RTP or RTCP packet (RFC 3550 sections 5.1 and 6.4, RFC 5761).

Pure functions over bytes. A relay looks at as little as it can: the kind of a packet, and the few header fields for
loss and jitter. Payloads, header extensions and CSRCs pass untouched and are never parsed.
"""

from __future__ import annotations

from struct import Struct

import attrs

HEADER_BYTES = 12
"""The fixed header of an RTP packet."""
CONTROL_HEADER_BYTES = 8
"""The header and sender SSRC of the first RTCP packet of a compound."""
VERSION = 2

_HEADER = Struct("!BBHII")


@attrs.frozen
class Header:
    """The fixed RTP header. `timestamp` is in units of the payload's clock."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int


def is_control(second_byte: int) -> bool:
    """Whether a packet with this second byte is RTCP: types 192 to 223 (RFC 5761 section 4)."""
    return 192 <= second_byte <= 223


def read_header(packet: bytes | bytearray | memoryview) -> Header | None:
    """The header of an RTP packet; None when it is too short or of another version."""
    if len(packet) < HEADER_BYTES or packet[0] >> 6 != VERSION:
        return None
    _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    return Header(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc)


def write_header(header: Header) -> bytes:
    """Twelve bytes: no padding, no extension, no CSRC."""
    second = header.payload_type | (0x80 if header.marker else 0)
    return _HEADER.pack(VERSION << 6, second, header.sequence, header.timestamp, header.ssrc)


def sequence_distance(earlier: int, later: int) -> int:
    """How far `later` is ahead of `earlier`, -32768 to 32767 (sequence numbers wrap at 65,536)."""
    return ((later - earlier + 0x8000) & 0xFFFF) - 0x8000
