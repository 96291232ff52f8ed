"""RTCP reports about a stream's way (RFC 3550 section 6.4); pure, over bytes that may be anything.

Only sender and receiver reports at the front of a compound packet are read, and of them the fields for loss, jitter and
the round trip. A packet that is cut short yields its whole reports.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

import attrs

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
GOODBYE: Final = 203
DELAY_UNITS: Final = 65_536
"""A second, as `delay` counts."""

_HEADER: Final = Struct("!BBH")
_STAMP_OFFSET: Final = 10
"""The middle 32 bits of a sender report's NTP time."""
_SENDER_BYTES: Final = 28
_RECEIVER_BYTES: Final = 8
_BLOCK: Final = Struct("!IIIIII")


@attrs.frozen
class ReportBlock:
    """The reception of one stream by one party."""

    ssrc: int
    fraction: float
    """Of the packets since its last report that were lost, 0 to 1."""
    lost: int
    """Packets since the beginning; less than 0 when more came than were sent."""
    highest: int
    """The last sequence number, with its wraps above the lower 16 bits."""
    jitter: int
    """In units of the payload's clock."""
    last_report: int
    """`stamp` of the sender report that came last; 0 when none did."""
    delay: int
    """Since that one, in seconds / DELAY_UNITS."""


@attrs.frozen
class Reports:
    """Of one compound packet."""

    stamp: int | None
    """The sender report's: receivers send it back as `last_report`. None when there is no sender report."""
    blocks: tuple[ReportBlock, ...]


def read_reports(packet: bytes | bytearray | memoryview) -> Reports:
    """The reports in an RTCP packet in clear."""
    stamp: int | None = None
    blocks: list[ReportBlock] = []
    start = 0
    while start + _HEADER.size <= len(packet):
        first, kind, words = _HEADER.unpack_from(packet, start)
        end = start + 4 * (words + 1)
        if first >> 6 != 2 or end > len(packet):
            break
        head = {SENDER_REPORT: _SENDER_BYTES, RECEIVER_REPORT: _RECEIVER_BYTES}.get(kind)
        if head is not None and end - start >= head:
            if kind == SENDER_REPORT:
                stamp = int.from_bytes(packet[start + _STAMP_OFFSET : start + _STAMP_OFFSET + 4], "big")
            whole = min(first & 0x1F, (end - start - head) // _BLOCK.size)
            blocks += [_block(packet, start + head + index * _BLOCK.size) for index in range(whole)]
        start = end
    return Reports(stamp, tuple(blocks))


def _block(packet: bytes | bytearray | memoryview, start: int) -> ReportBlock:
    ssrc, losses, highest, jitter, last_report, delay = _BLOCK.unpack_from(packet, start)
    lost = losses & 0xFFFFFF
    return ReportBlock(ssrc, (losses >> 24) / 256, lost - (1 << 24) * (lost >> 23), highest, jitter, last_report, delay)


def without_goodbye(packet: bytes) -> bytes | None:
    """A compound of RTCP in clear without its BYEs; None when it is no such compound: its lengths do not add up.

    SRTCP never adds up: an index and a tag follow the bytes that its length fields count (RFC 3711 section 3.4).
    """
    kept = b""
    start = 0
    while start < len(packet):
        if len(packet) - start < _HEADER.size:
            return None
        first, kind, words = _HEADER.unpack_from(packet, start)
        end = start + 4 * (words + 1)
        if first >> 6 != 2 or end > len(packet) or not 192 <= kind <= 223:
            return None
        kept += b"" if kind == GOODBYE else packet[start:end]
        start = end
    return kept
