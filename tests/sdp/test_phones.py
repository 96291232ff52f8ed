"""Offers in the shapes that phones and relays are known to send, and what may be taken of them."""

import base64

import pytest

from gateway.sdp.crypto import SUITES
from gateway.sdp.description import Description
from gateway.sdp.negotiation import choose, crypto_lines, media_encrypted, media_security

NAMES = [suite.name for suite in SUITES]
KEYS = {size: base64.b64encode(bytes(range(size))).decode() for size in (16, 28, 30, 38, 44, 46)}
HEAD = "v=0\r\no=- 20800 20800 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"

CISCO_SPA = (
    HEAD + "m=audio 16402 RTP/SAVP 0 8 18 101\r\n"
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{KEYS[30]}\r\n"
    f"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
)
CISCO_MPP = (
    HEAD + "m=audio 16384 RTP/SAVP 0 8 101\r\n"
    f"a=crypto:1 AEAD_AES_256_GCM inline:{KEYS[44]}\r\n"
    f"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
)
YEALINK_OPTIONAL = (
    HEAD + "m=audio 11780 RTP/AVP 0 8 101\r\n"
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
    f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEYS[30]}\r\n"
    f"a=crypto:3 F8_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
)
DUAL = (
    HEAD + "m=audio 2222 RTP/SAVP 0 101\r\n"
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
    f"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]} UNAUTHENTICATED_SRTP\r\n"
    f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]} UNENCRYPTED_SRTP\r\n"
    "m=audio 2222 RTP/AVP 0 101\r\n"
)
POLYCOM_VVX = (  # one port for both lines, the key before the formats, another address in o= than in c=
    "v=0\r\no=- 1429995836 1429995836 IN IP4 192.0.2.9\r\ns=Polycom IP Phone\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n"
    "a=sendrecv\r\n"
    "m=audio 2252 RTP/SAVP 9 0 8 127\r\n"
    f"a=crypto:8 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
    "a=rtpmap:9 G722/8000\r\na=rtpmap:127 telephone-event/8000\r\n"
    "m=audio 2252 RTP/AVP 9 0 8 127\r\na=rtpmap:9 G722/8000\r\na=rtpmap:127 telephone-event/8000\r\n"
)
AUDIOCODES = HEAD + f"m=audio 6000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}|2^31\r\n"
WITH_MKI = (
    HEAD + "m=audio 6000 RTP/SAVP 0\r\n"
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}|2^31|1:1\r\n"
    f"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}|2^31\r\n"
)
RTPENGINE = (
    HEAD + "m=audio 30000 RTP/SAVP 0\r\n"
    f"a=crypto:1 AEAD_AES_256_GCM inline:{KEYS[44].rstrip('=')}\r\n"
    f"a=crypto:2 AEAD_AES_128_GCM inline:{KEYS[28].rstrip('=')}\r\n"
    f"a=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:{KEYS[46].rstrip('=')}\r\n"
    f"a=crypto:5 AES_192_CM_HMAC_SHA1_80 inline:{KEYS[38].rstrip('=')}\r\n"
    f"a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
    f"a=crypto:9 F8_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
    f"a=crypto:11 NULL_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
)
SNOM_TAG_ZERO = HEAD + f"m=audio 6000 RTP/SAVP 0\r\na=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"
NULL_ONLY = HEAD + f"m=audio 6000 RTP/SAVP 0\r\na=crypto:1 NULL_HMAC_SHA1_80 inline:{KEYS[30]}\r\n"


@pytest.mark.parametrize(
    ("offer", "tag", "suite"),
    [
        (CISCO_SPA, 1, "AES_CM_128_HMAC_SHA1_32"),
        (CISCO_MPP, 1, "AEAD_AES_256_GCM"),
        (YEALINK_OPTIONAL, 1, "AES_CM_128_HMAC_SHA1_80"),
        (DUAL, 1, "AES_CM_128_HMAC_SHA1_80"),
        (POLYCOM_VVX, 8, "AES_CM_128_HMAC_SHA1_80"),
        (AUDIOCODES, 1, "AES_CM_128_HMAC_SHA1_80"),
        (WITH_MKI, 2, "AES_CM_128_HMAC_SHA1_80"),
        (RTPENGINE, 1, "AEAD_AES_256_GCM"),
        (SNOM_TAG_ZERO, 0, "AES_CM_128_HMAC_SHA1_80"),
    ],
)
def test_the_key_that_is_taken_of_an_offer(offer: str, tag: int, suite: str) -> None:
    chosen = choose(crypto_lines(Description.parse(offer.encode()).media[0]), NAMES)
    assert chosen is not None
    assert (chosen.tag, chosen.suite) == (tag, suite)


def test_a_null_cipher_is_never_taken() -> None:
    assert choose(crypto_lines(Description.parse(NULL_ONLY.encode()).media[0]), NAMES) is None
    assert media_encrypted(NULL_ONLY.encode()) is False
    assert [suite for suite in media_security(RTPENGINE.encode())[0].suites if "NULL" in suite] == []


def test_weakening_twins_of_a_line_are_skipped() -> None:
    secured, plain = media_security(DUAL.encode())
    assert secured.suites == ("AES_CM_128_HMAC_SHA1_80",)
    assert plain.suites == ()
    assert media_encrypted(DUAL.encode()) is False, "an answer that takes both lines leaves one in clear"


def test_an_osrtp_offer_counts_as_able_to_encrypt() -> None:
    (line,) = media_security(YEALINK_OPTIONAL.encode())
    assert line.is_encrypted
    assert line.protocol == "RTP/AVP"


@pytest.mark.parametrize("offer", [CISCO_SPA, CISCO_MPP, YEALINK_OPTIONAL, DUAL, POLYCOM_VVX, RTPENGINE])
def test_offers_are_written_again_as_they_came(offer: str) -> None:
    assert Description.parse(offer.encode()).to_bytes() == offer.encode()
