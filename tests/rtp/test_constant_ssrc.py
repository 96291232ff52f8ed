"""One SSRC and one sequence out of several streams, and RTCP that agrees with it."""

from __future__ import annotations

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.constant_ssrc import SteadyStream
from gateway.rtp.packet import Header, read_header, write_header
from gateway.rtp.rtcp import read_reports, without_goodbye

OURS = 0xC0FFEE


def sent(steady: SteadyStream, sequence: int, ssrc: int, marker: bool = False) -> Header:
    packet = bytearray(write_header(Header(0, marker, sequence & 0xFFFF, 5, ssrc)) + b"payload")
    steady.rewrite(packet)
    assert packet[12:] == b"payload"
    header = read_header(packet)
    assert header is not None
    return header


def test_the_first_stream_keeps_its_sequence() -> None:
    steady = SteadyStream(OURS)
    found = [sent(steady, number, 1) for number in (65_534, 65_535, 0, 2, 1)]
    assert [header.sequence for header in found] == [65_534, 65_535, 0, 2, 1]
    assert {header.ssrc for header in found} == {OURS}
    assert not any(header.marker for header in found)


def test_another_stream_goes_on_where_the_last_one_was_and_is_marked() -> None:
    steady = SteadyStream(OURS)
    sent(steady, 100, 1)
    sent(steady, 101, 1)
    assert [sent(steady, number, 2).sequence for number in (40_000, 40_001, 40_003)] == [102, 103, 105]
    again = sent(steady, 7, 2)
    assert (again.sequence, again.marker) == (106, True)
    assert not sent(steady, 8, 2).marker


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(1, 3)), min_size=1, max_size=20))
def test_whatever_comes_new_streams_never_go_back(starts: list[tuple[int, int]]) -> None:
    steady = SteadyStream(OURS)
    found = [sent(steady, start + step, ssrc).sequence for start, ssrc in starts for step in range(3)]
    assert all((after - before) & 0xFFFF < 32_768 or before - after <= 2_999 for before, after in pairwise(found))


def report(kind: int, ssrc: int, about: int, highest: int) -> bytearray:
    head = struct.pack("!BBHI", 0x81, kind, 12 if kind == 200 else 7, ssrc) + (bytes(20) if kind == 200 else b"")
    return bytearray(head + struct.pack("!IIIIII", about, 0, highest, 0, 0, 0))


def test_control_packets_name_what_the_party_knows() -> None:
    steady = SteadyStream(OURS)
    sent(steady, 100, 1)
    sent(steady, 40_000, 2)  # is sent as 101
    toward = report(200, 2, 77, 5)
    steady.rewrite_sources(toward, len(toward))
    assert toward == report(200, OURS, 77, 5)
    back = report(201, 77, OURS, 101) + report(200, 77, 88, 101)
    steady.restore_blocks(back, len(back))
    assert [(block.ssrc, block.highest & 0xFFFF) for block in read_reports(back).blocks] == [(2, 40_000), (88, 101)]


@given(st.binary(max_size=120))
def test_no_control_packet_raises_or_changes_its_length(data: bytes) -> None:
    steady = SteadyStream(OURS)
    sent(steady, 1, 1)
    packet = bytearray(b"\x9f\xc8" + data + bytes(8))
    steady.rewrite_sources(packet, len(data))
    steady.restore_blocks(packet, len(data))
    assert len(packet) == len(data) + 10
    without_goodbye(data)


def test_goodbyes_are_left_out_and_what_does_not_add_up_is_nothing() -> None:
    bye = struct.pack("!BBHI", 0x81, 203, 1, 1)
    whole = bytes(report(201, 1, 2, 3))
    assert without_goodbye(whole + bye) == whole
    assert without_goodbye(bye) == b""
    assert without_goodbye(whole + b"1234") is None
    assert without_goodbye(whole[:-1]) is None
    assert without_goodbye(bytes([0x80, 0, 0, 1]) + bytes(4)) is None
