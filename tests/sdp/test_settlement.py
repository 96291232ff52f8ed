"""The settlement of an offer and its answer, m-line by m-line (RFC 3264, RFC 4568)."""

from __future__ import annotations

import pytest

from gateway.sdp.description import Direction
from gateway.sdp.settlement import Settlement, settles

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
OTHER = "MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm"
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"
AUDIO = "m=audio 4000 RTP/SAVP 0 8\r\n" + CRYPTO
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def sdp(*lines: str) -> bytes:
    return (HEAD + "".join(lines)).encode()


@pytest.mark.parametrize(
    ("offer", "answer", "encrypted"),
    [
        (sdp(AUDIO), sdp(AUDIO), True),
        (sdp("m=audio 4000 RTP/AVP 0\r\n"), sdp("m=audio 4000 RTP/AVP 0\r\n", CRYPTO), False),
        (sdp(AUDIO), sdp("m=audio 4000 RTP/AVP 0\r\n"), False),
        (sdp(AUDIO), sdp(AUDIO.replace("crypto:1", "crypto:9")), False),
        (sdp(AUDIO), sdp(AUDIO.replace("SHA1_80", "SHA1_32")), False),
        (sdp(AUDIO), sdp(AUDIO, CRYPTO.replace("crypto:1", "crypto:2")), False),
        (sdp(AUDIO), sdp("m=audio 0 RTP/SAVP 0\r\n"), None),
        (sdp(AUDIO, "m=image 5000 udptl t38\r\n"), sdp(AUDIO, "m=image 5000 udptl t38\r\n"), False),
        (sdp(AUDIO, "m=image 5000 udptl t38\r\n"), sdp(AUDIO), True),
    ],
)
def test_rfc_4568_section_5_1_3_answer_encrypts_by_a_key_that_it_takes(
    offer: bytes, answer: bytes, encrypted: bool | None
) -> None:
    assert settles(offer, answer) is encrypted
    assert Settlement(offer, answer, we_offered=True).encrypted is encrypted
    assert Settlement(answer, offer, we_offered=False).encrypted is encrypted


def test_a_description_that_cannot_be_read_encrypts_nothing() -> None:
    settlement = Settlement(sdp(AUDIO), b"v=1\r\n", we_offered=True)
    assert settlement.encrypted is False
    assert settlement.lines == ()


def test_lines_say_profile_suite_ends_and_fingerprints() -> None:
    answer = sdp("m=audio 6000 RTP/SAVP 8\r\na=rtpmap:8 PCMA/8000\r\na=recvonly\r\n", CRYPTO.replace(KEY, OTHER))
    (line,) = Settlement(sdp(AUDIO), answer, we_offered=True).lines
    assert (line.kind, line.protocol, line.suite) == ("audio", "RTP/SAVP", "AES_CM_128_HMAC_SHA1_80")
    assert line.formats == ("8 pcma/8000",)
    assert (line.ours.port, line.theirs.port, line.theirs.direction) == (4000, 6000, Direction.RECVONLY)
    assert len({line.ours.key, line.theirs.key, ""}) == 3
    assert not any(secret in repr(line) for secret in (KEY, OTHER))
    assert not line.may_rtcp_be_clear


@pytest.mark.parametrize(
    ("changed", "is_heard"),
    [
        (CRYPTO.replace(KEY, OTHER), False),
        (CRYPTO + "a=sendonly\r\n", True),
        (CRYPTO + "c=IN IP4 0.0.0.0\r\n", True),
        (CRYPTO + "c=IN IP4 192.0.2.77\r\n", False),
    ],
)
def test_other_leg_hears_of_codecs_and_hold_and_not_of_keys_and_addresses(changed: str, is_heard: bool) -> None:
    before = Settlement(sdp(AUDIO), sdp("m=audio 6000 RTP/SAVP 0\r\n", CRYPTO), we_offered=True)
    after = Settlement(sdp(AUDIO), sdp("m=audio 6002 RTP/SAVP 0\r\n", changed), we_offered=True)
    assert after.sounds_like(before) is not is_heard
    codec = Settlement(sdp(AUDIO), sdp("m=audio 6000 RTP/SAVP 8\r\n", CRYPTO), we_offered=True)
    assert not codec.sounds_like(before)
