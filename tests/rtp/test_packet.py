"""RTP headers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.packet import Header, is_control, read_header, sequence_distance, write_header

headers = st.builds(
    Header,
    payload_type=st.integers(0, 127),
    marker=st.booleans(),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
)


@given(headers, st.binary(max_size=20))
def test_header_reads_back(header: Header, payload: bytes) -> None:
    assert read_header(write_header(header) + payload) == header


@given(st.binary(max_size=40))
def test_any_bytes_are_a_header_or_none(data: bytes) -> None:
    header = read_header(data)
    assert (header is None) == (len(data) < 12 or data[0] >> 6 != 2)


def test_rfc_5761_4_control_is_known_by_its_type() -> None:
    assert [kind for kind in range(256) if is_control(kind)] == list(range(192, 224))


@given(st.integers(0, 0xFFFF), st.integers(-0x8000, 0x7FFF))
def test_distance_wraps(start: int, step: int) -> None:
    assert sequence_distance(start, (start + step) & 0xFFFF) == step
