"""One SSRC and a continuous sequence in place of changing streams; pure, over one packet in memory.

Some receivers lose audio for good when the SSRC changes within a call (SPA504, firmware 7.6.0). A `SteadyStream` gives
every packet that goes to such a party one SSRC, and sequence numbers that go on where they were when another stream
takes over; its first packet is marked, as a new talkspurt is (RFC 3551 section 4.1), since timestamps do jump. RTCP is
changed to match: sources toward the party, report blocks from it (RFC 3550 section 6.4).
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from gateway.rtp.packet import sequence_distance
from gateway.rtp.rtcp import GOODBYE, RECEIVER_REPORT, SENDER_REPORT

_SEQUENCE: Final = Struct("!H")
_SSRC: Final = Struct("!I")
_SEQUENCE_OFFSET: Final = 2
_SSRC_OFFSET: Final = 8
_BLOCK_BYTES: Final = 24
_HIGHEST_OFFSET: Final = 8
_BLOCKS_AT: Final = {SENDER_REPORT: 28, RECEIVER_REPORT: 8}
_DESCRIPTION: Final = 202
MAXIMUM_STEP: Final = 3_000
"""A jump further than this is a new stream (RFC 3550 A.1's MAX_DROPOUT)."""


class SteadyStream:
    """The stream toward one party: `ssrc` is ours. Sequence numbers wrap as they come."""

    __slots__ = ("_highest", "_offset", "_seen", "source", "ssrc")

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.source: int | None = None
        """The SSRC of the stream that passes now."""
        self._seen = 0
        self._offset = 0
        self._highest = 0

    def rewrite(self, packet: bytearray) -> None:
        """Change the RTP packet at the front of `packet`."""
        (sequence,) = _SEQUENCE.unpack_from(packet, _SEQUENCE_OFFSET)
        (source,) = _SSRC.unpack_from(packet, _SSRC_OFFSET)
        distance = sequence_distance(self._seen, sequence)
        if source != self.source or not -MAXIMUM_STEP < distance < MAXIMUM_STEP:
            self._begin(source, sequence, packet)
        elif distance > 0:
            self._seen = sequence
        changed = (sequence + self._offset) & 0xFFFF
        if sequence_distance(self._highest, changed) > 0:
            self._highest = changed
        _SEQUENCE.pack_into(packet, _SEQUENCE_OFFSET, changed)
        _SSRC.pack_into(packet, _SSRC_OFFSET, self.ssrc)

    def rewrite_sources(self, packet: bytearray, length: int) -> None:
        """In RTCP toward the party: every source becomes our SSRC."""
        for start, kind, count, _ in _packets(packet, length):
            if kind in (SENDER_REPORT, RECEIVER_REPORT) or (kind in (_DESCRIPTION, GOODBYE) and count):
                _SSRC.pack_into(packet, start + 4, self.ssrc)

    def restore_blocks(self, packet: bytearray, length: int) -> None:
        """In RTCP from the party: a report about our SSRC becomes one about the stream that passes."""
        for start, kind, count, end in _packets(packet, length):
            at = start + _BLOCKS_AT.get(kind, end - start)
            for block in range(at, min(at + count * _BLOCK_BYTES, end - _BLOCK_BYTES + 1), _BLOCK_BYTES):
                if self.source is not None and _SSRC.unpack_from(packet, block) == (self.ssrc,):
                    _SSRC.pack_into(packet, block, self.source)
                    (highest,) = _SSRC.unpack_from(packet, block + _HIGHEST_OFFSET)
                    _SSRC.pack_into(packet, block + _HIGHEST_OFFSET, (highest - self._offset) & 0xFFFFFFFF)

    def _begin(self, source: int, sequence: int, packet: bytearray) -> None:
        if self.source is not None:
            self._offset = (self._highest + 1 - sequence) & 0xFFFF
            packet[1] |= 0x80
        else:
            self._highest = (sequence - 1) & 0xFFFF
        self.source, self._seen = source, sequence


def _packets(packet: bytearray, length: int) -> list[tuple[int, int, int, int]]:
    """(start, type, count, end) of the whole packets of a compound that begin with an SSRC."""
    found = []
    start = 0
    while start + 8 <= length:
        end = start + 4 * (int.from_bytes(packet[start + 2 : start + 4], "big") + 1)
        if packet[start] >> 6 != 2 or end > length or end - start < 8:
            break
        found.append((start, packet[start + 1], packet[start] & 0x1F, end))
        start = end
    return found
