"""SRTP in place: the RFCs' vectors, wraps, replay, failures by cause, and the fallback."""

from __future__ import annotations

import pytest

from gateway.rtp.srtp import Cause, PacketBuffer, Receiver, Sender, cause_of, in_place_works
from tests.support import srtp_reference
from tests.support.media_party import KEY_BYTES, SUITES, rtcp, rtp

MASTER = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6")


def key_for(suite: str) -> bytes:
    return bytes(range(1, KEY_BYTES[suite] + 1))


class Ends:
    """A sender and a receiver with one key, in buffers of their own."""

    def __init__(self, suite: str, in_place: bool = True) -> None:
        self.out, self.back = PacketBuffer(in_place), PacketBuffer(in_place)
        self.sender = Sender(suite, key_for(suite), self.out)
        self.receiver = Receiver(suite, key_for(suite), self.back)

    def protect(self, packet: bytes) -> bytes:
        self.out.memory[: len(packet)] = packet
        return bytes(self.out.slices[self.sender.protect(len(packet))])

    def unprotect(self, packet: bytes) -> bytes | Cause:
        self.back.memory[: len(packet)] = packet
        length = self.receiver.unprotect(len(packet))
        return cause_of(length) if length < 0 else bytes(self.back.slices[length])


def test_rfc_3711_b2_keystream() -> None:
    key, salt = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"), bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000")
    assert srtp_reference.keystream(key, salt, 16).hex().upper() == "E03EAD0935C95E80E166B16DD92B4EB4"


def test_rfc_3711_b3_key_derivation() -> None:
    key, salt = MASTER[:16], MASTER[16:]
    assert srtp_reference.derive(key, salt, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert srtp_reference.derive(key, salt, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert srtp_reference.derive(key, salt, 1, 20).hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


@pytest.mark.parametrize(
    ("size", "sealed"),
    [
        (
            16,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            32,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ],
)
def test_rfc_7714_16_1_aead(size: int, sealed: str) -> None:
    header = bytes.fromhex("8040f17b8041f8d35501a0b2")
    text = bytes.fromhex("47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573")
    found = srtp_reference.gcm(
        bytes(range(size)), bytes.fromhex("517569642070726f2071756f"), 0x5501A0B2, 0xF17B, header, text
    )
    assert found.hex() == sealed


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("suite", SUITES)
def test_protects_as_the_rfcs_say(suite: str, in_place: bool) -> None:
    packet = rtp(0x1234, b"\xab" * 16, ssrc=0xCAFEBABE)
    ends = Ends(suite, in_place)
    expected = srtp_reference.protect(suite, key_for(suite), packet, 0)
    assert ends.protect(packet) == expected
    assert ends.unprotect(expected) == packet


def test_libsrtp_s_own_vector() -> None:
    buffer = PacketBuffer()
    packet = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    buffer.memory[: len(packet)] = packet
    length = Sender("AES_CM_128_HMAC_SHA1_80", MASTER, buffer).protect(len(packet))
    assert buffer.slices[length].hex() == (
        "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"
    )


@pytest.mark.parametrize("suite", SUITES)
def test_rollover_counter_follows_several_wraps(suite: str) -> None:
    ends = Ends(suite)
    for number in range(65_000, 65_536 * 3 + 100, 37):
        packet = rtp(number & 0xFFFF, b"x" * 20)
        wire = ends.protect(packet)
        assert ends.unprotect(wire) == packet
    assert wire == srtp_reference.protect(suite, key_for(suite), packet, number >> 16)


@pytest.mark.parametrize("suite", SUITES)
def test_several_sources_have_counters_of_their_own(suite: str) -> None:
    ends = Ends(suite)
    for number in (65_534, 65_535, 65_536, 65_537):
        for ssrc in (1, 2, 3):
            packet = rtp((number + ssrc) & 0xFFFF, ssrc=ssrc)
            assert ends.unprotect(ends.protect(packet)) == packet


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("suite", SUITES)
def test_failures_are_told_by_cause(suite: str, in_place: bool) -> None:
    ends = Ends(suite, in_place)
    wire = ends.protect(rtp(1))
    assert ends.unprotect(wire[:-1] + bytes([wire[-1] ^ 1])) is Cause.AUTHENTICATION
    assert ends.unprotect(wire) == rtp(1)
    assert ends.unprotect(wire) is Cause.REPLAY
    assert ends.unprotect(b"\x80\x00\x00\x02") is Cause.OTHER


@pytest.mark.parametrize("suite", SUITES)
def test_junk_does_not_disturb_the_session(suite: str) -> None:
    ends = Ends(suite)
    assert ends.unprotect(ends.protect(rtp(1))) == rtp(1)
    for number in range(2, 2_000):
        assert isinstance(ends.unprotect(rtp(number, b"junk" * 40)), Cause)
    assert ends.unprotect(ends.protect(rtp(2))) == rtp(2)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("suite", SUITES)
def test_control_packets(suite: str, in_place: bool) -> None:
    ends = Ends(suite, in_place)
    packet = rtcp()
    ends.out.memory[: len(packet)] = packet
    length = ends.sender.protect_control(len(packet))
    wire = bytes(ends.out.slices[length])
    assert packet[8:] not in wire
    ends.back.memory[:length] = wire
    assert bytes(ends.back.slices[ends.receiver.unprotect_control(length)]) == packet
    ends.back.memory[:length] = wire
    assert cause_of(ends.receiver.unprotect_control(length)) is Cause.REPLAY


def test_suites_that_are_not_implemented_and_short_keys_are_refused() -> None:
    for suite in ("AES_256_CM_HMAC_SHA1_80", "NULL_HMAC_SHA1_80", ""):
        with pytest.raises(ValueError, match="not implemented"):
            Sender(suite, bytes(46), PacketBuffer())
    with pytest.raises(ValueError, match="key"):
        Receiver("AEAD_AES_256_GCM", bytes(30), PacketBuffer())


def test_this_pylibsrtp_can_be_called_in_place() -> None:
    assert in_place_works()


def test_a_changed_binding_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed:
        """A binding without the functions."""

    monkeypatch.setattr("gateway.rtp.srtp.lib", Changed())
    assert not in_place_works()
