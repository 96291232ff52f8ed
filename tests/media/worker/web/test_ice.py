"""Binding requests of ICE, judged and answered: RFC 8489, RFC 5769's form, RFC 8445."""

from __future__ import annotations

import hmac
import ipaddress
import zlib
from struct import pack, unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.worker.web import ice
from gateway.media.worker.web.ice import IceCredentials

# RFC 5769 section 2.1: a sample request with all that ICE asks for, its password known.
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e2074657374"
    "20636c69656e74002400046e0001ff80290008932ff9b151263b36000600096576746a"
    "3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
SOURCES = [("192.0.2.1", 32_853), ("2001:db8:1234:5678:11:2233:4455:6677", 32_853)]


def request(password: str = PASSWORD, *attributes: tuple[int, bytes], user: bytes = b"evtj:h6vY") -> bytes:
    body = b"".join(pack("!HH", kind, len(data)) + data + bytes(-len(data) % 4) for kind, data in attributes)
    body = pack("!HH", 0x0006, len(user)) + user + bytes(-len(user) % 4) + body
    head = pack("!HH", 1, len(body) + 24) + ice.MAGIC + bytes(12) + body
    whole = head + pack("!HH", 8, 20) + hmac.digest(password.encode(), head, "sha1")
    whole = whole[:2] + pack("!H", len(whole) - 12) + whole[4:]
    return whole + pack("!HHI", 0x8028, 4, zlib.crc32(whole) ^ 0x5354554E)


def test_sample_request_rfc_5769_2_1() -> None:
    found = ice.read(SAMPLE)
    assert found is not None
    assert (found.ours, found.theirs) == ("evtj", "h6vY")
    assert found.is_authentic(PASSWORD)
    assert not found.is_authentic(PASSWORD + "x")
    assert not found.is_nominating


@pytest.mark.parametrize("source", SOURCES)
def test_answer_has_the_source_rfc_8489_14_2(source: tuple[str, int]) -> None:
    found = ice.read(SAMPLE)
    assert found is not None
    answer = ice.answer(found, PASSWORD, source)
    assert answer[:2] == b"\x01\x01"
    assert answer[4:20] == SAMPLE[4:20]
    kind, length, _, family, port = unpack_from("!HHBBH", answer, 20)
    raw = bytes(one ^ other for one, other in zip(answer[28 : 24 + length], answer[4:20], strict=False))
    assert (kind, family, port ^ 0x2112) == (0x0020, 1 if length == 8 else 2, source[1])
    assert ipaddress.ip_address(raw) == ipaddress.ip_address(source[0])
    integrity = answer[:2] + pack("!H", len(answer) - 28) + answer[4:-32]
    assert hmac.digest(PASSWORD.encode(), integrity, "sha1") == answer[-28:-8]
    assert unpack_from("!I", answer, len(answer) - 4)[0] == zlib.crc32(answer[:-8]) ^ 0x5354554E


def test_answer_rfc_5769_2_2() -> None:
    """The sample response's mapped address, byte by byte."""
    found = ice.read(SAMPLE)
    assert found is not None
    assert bytes.fromhex("002000080001a147e112a643") in ice.answer(found, PASSWORD, SOURCES[0])


def test_nomination_and_unknown_attributes_rfc_8489_6_3_1() -> None:
    nominating = ice.read(request(PASSWORD, (0x0025, b"")))
    assert nominating is not None
    assert nominating.is_nominating
    asked = ice.read(request(PASSWORD, (0x7FF1, b"ab"), (0x7FF0, b""), (0xC057, b"1234")))
    assert asked is not None
    assert asked.unknown == (0x7FF0, 0x7FF1)
    answer = ice.answer(asked, PASSWORD, SOURCES[0])
    assert answer[:2] == b"\x01\x11"
    assert b"\0\0\x04\x14" in answer
    assert b"\x7f\xf0\x7f\xf1" in answer


def test_attributes_after_the_integrity_count_for_nothing_rfc_8489_14_5() -> None:
    head = request()[:-8] + pack("!HH", 0x0025, 0)
    whole = head[:2] + pack("!H", len(head) - 12) + head[4:]
    found = ice.read(whole + pack("!HHI", 0x8028, 4, zlib.crc32(whole) ^ 0x5354554E))
    assert found is not None
    assert found.is_authentic(PASSWORD)
    assert not found.is_nominating


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        SAMPLE[:19],
        SAMPLE[:-1],
        SAMPLE + bytes(4),
        b"\x01\x01" + SAMPLE[2:],
        SAMPLE[:4] + bytes(4) + SAMPLE[8:],
        SAMPLE[:-4] + bytes(4),
        request(user=b"no colon"),
        SAMPLE[:20] + bytes(2_000),
    ],
)
def test_all_else_is_no_check(packet: bytes) -> None:
    assert ice.read(packet) is None


def test_no_fingerprint_no_check_rfc_8445_7_1_1() -> None:
    bare = SAMPLE[:-8]
    assert ice.read(bare[:2] + pack("!H", len(bare) - 20) + bare[4:]) is None


@given(st.binary(max_size=200), st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_nothing_raises_and_no_changed_byte_is_authentic(data: bytes, place: int, octet: int) -> None:
    ice.read(data)
    ice.read(b"\0\1" + pack("!H", len(data) & ~3) + ice.MAGIC + data)
    changed = SAMPLE[:place] + bytes([octet]) + SAMPLE[place + 1 :]
    found = ice.read(changed)
    # FINGERPRINT covers every byte, so a change is seen before the HMAC is counted.
    assert changed == SAMPLE or found is None


def test_credentials_are_long_enough_rfc_8839_5_4() -> None:
    made = IceCredentials.made(lambda size: bytes(range(size)))
    assert (len(made.ufrag), len(made.password)) == (8, 32)
    assert IceCredentials.unpacked(made.packed()) == made
    assert made.password not in repr(made)
