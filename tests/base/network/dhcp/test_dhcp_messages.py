"""DHCP messages against RFC 2131 and RFC 2132, and all that is no message."""

from __future__ import annotations

import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.base.network.dhcp.dhcp_messages import (
    LARGEST,
    DhcpOption,
    DhcpRequest,
    ReplyKind,
    RequestKind,
    reply_of,
)
from gateway.base.network.dhcp.lease import NoLease, lease_of, objection
from tests.support.network.dhcp_server import FIRST, MAC, SERVER, SERVER_MAC, payload


def test_rfc2131_section_2_the_fields_of_a_request_stand_where_they_belong() -> None:
    asked = DhcpRequest(RequestKind.REQUEST, 0x01020304, MAC, FIRST, 7, {DhcpOption.HOST_NAME: b"gw1"}).encoded()
    assert asked[:4] == bytes((1, 1, 6, 0))
    assert asked[4:8] == b"\1\2\3\4"
    assert asked[8:12] == b"\0\7\0\0"
    assert asked[12:16] == socket.inet_aton(FIRST)
    assert asked[16:28] == bytes(12)
    assert asked[28:44] == MAC + bytes(10)
    assert asked[236:240] == b"\x63\x82\x53\x63"
    assert asked[240:].rstrip(b"\0") == b"\x35\1\3" + b"\x3d\7\1" + MAC + b"\x0c\3gw1\xff"


def test_rfc1542_section_2_1_no_request_is_shorter_than_300_bytes() -> None:
    assert len(DhcpRequest(RequestKind.DISCOVER, 1, MAC).encoded()) == 300


def test_rfc2131_section_3_a_reply_is_read() -> None:
    found = reply_of(payload(ReplyKind.ACK, 99, DNS=socket.inet_aton("10.78.0.7") + socket.inet_aton("10.78.0.8")))
    assert found is not None
    assert (found.kind, found.xid, found.mac, found.address, found.server) == (ReplyKind.ACK, 99, MAC, FIRST, SERVER)
    assert found.addresses(DhcpOption.DNS) == ("10.78.0.7", "10.78.0.8")
    assert found.number(DhcpOption.LEASE_SECONDS) == 3600


def test_rfc3396_section_5_a_long_option_is_put_together() -> None:
    data = payload(ReplyKind.ACK, 1)[:-1] + b"\x2b\2ab" + b"\x2b\1c\xff"
    found = reply_of(data)
    assert found is not None
    assert found.options[DhcpOption.VENDOR] == b"abc"


@pytest.mark.parametrize(("overload", "texts"), [(1, b"F"), (2, b"S"), (3, b"FS")])
def test_rfc2131_section_4_1_file_and_sname_may_hold_options(overload: int, texts: bytes) -> None:
    data = bytearray(payload(ReplyKind.ACK, 1, OVERLOAD=bytes((overload,))))
    data[44:48] = b"\x2b\1S\xff"
    data[108:112] = b"\x2b\1F\xff"
    found = reply_of(bytes(data))
    assert found is not None
    assert found.options[DhcpOption.VENDOR] == texts


@pytest.mark.parametrize(
    "data",
    [
        b"",
        payload(ReplyKind.ACK, 1)[:239],
        bytes((1,)) + payload(ReplyKind.ACK, 1)[1:],
        payload(ReplyKind.ACK, 1)[:236] + b"\0\0\0\0" + payload(ReplyKind.ACK, 1)[240:],
        payload(1, 1),
        payload(ReplyKind.ACK, 1, KIND=b"\5\5"),
        payload(ReplyKind.ACK, 1, KIND=b""),
        payload(ReplyKind.ACK, 1).ljust(LARGEST + 1, b"\0"),
    ],
)
def test_anything_else_is_no_reply(data: bytes) -> None:
    assert reply_of(data) is None


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=60))
@example(b"\x35", 240, b"")
@example(b"\xff\xff\xff", 242, b"\x34\1\3")
def test_no_datagram_is_more_than_refused(tail: bytes, cut: int, more: bytes) -> None:
    """Whatever stands behind the fixed fields, and wherever a message is cut."""
    for data in (payload(ReplyKind.OFFER, 1)[:240] + tail, payload(ReplyKind.ACK, 1)[:cut] + more + tail):
        found = reply_of(data)
        if found is None:
            continue
        try:
            objection(lease_of(found, SERVER_MAC, 0.0), {"10.0.0.1"})
        except NoLease:
            continue
