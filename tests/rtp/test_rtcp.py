"""RTCP reports are read out of compound packets, whole ones and cut ones (RFC 3550 sections 6.4.1 and 6.4.2)."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.rtcp import ReportBlock, Reports, read_reports

BLOCK = struct.pack("!IIIIII", 0xA, 0x40 << 24 | 7, 0x10002, 80, 0x11223344, 32_768)
READ = ReportBlock(0xA, 0.25, 7, 0x10002, 80, 0x11223344, 32_768)


def sender_report(blocks: bytes = b"") -> bytes:
    count = len(blocks) // 24
    head = struct.pack("!BBHI", 0x80 | count, 200, 6 + 6 * count, 0x5EED)
    return head + bytes.fromhex("00001111 22223333") + bytes(12) + blocks


def receiver_report(blocks: bytes = b"") -> bytes:
    count = len(blocks) // 24
    return struct.pack("!BBHI", 0x80 | count, 201, 1 + 6 * count, 0x5EED) + blocks


def test_a_sender_report_has_a_stamp_and_blocks() -> None:
    assert read_reports(sender_report(BLOCK)) == Reports(0x11112222, (READ,))
    assert read_reports(memoryview(sender_report())) == Reports(0x11112222, ())


def test_a_receiver_report_has_blocks_alone() -> None:
    assert read_reports(receiver_report(BLOCK + BLOCK)) == Reports(None, (READ, READ))


def test_other_packets_of_a_compound_are_passed_over() -> None:
    described = struct.pack("!BBHI", 0x81, 202, 2, 0x5EED) + bytes(4)
    assert read_reports(receiver_report(BLOCK) + described + sender_report(BLOCK)) == Reports(0x11112222, (READ, READ))


def test_a_negative_loss_is_one() -> None:
    block = struct.pack("!IIIIII", 0xA, 0xFFFFFE, 0, 0, 0, 0)
    assert read_reports(receiver_report(block)).blocks[0].lost == -2


def test_what_is_cut_short_yields_what_was_whole() -> None:
    assert read_reports(receiver_report(BLOCK)[:-1]) == Reports(None, ())
    lying = bytearray(receiver_report(BLOCK))
    lying[0] = 0x9F  # 31 blocks
    assert read_reports(lying) == Reports(None, (READ,))


@given(st.binary(max_size=200))
def test_nothing_raises(packet: bytes) -> None:
    read_reports(packet)
    read_reports(b"\x9f\xc8\x00\x10" + packet)
