"""The a=crypto attribute (RFC 4568 section 9.1 grammar, RFC 7714 suites) and what must be skipped."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdp.crypto import MAXIMUM_TAG, SUITES, CryptoAttribute, generate, only_suites, suite_named, usable
from gateway.sdp.description import MalformedDescription

KEY_80 = base64.b64encode(bytes(range(30))).decode()
LINE = f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_80}"


def test_rfc4568_section_5_1_example() -> None:
    line = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32"
    parsed = CryptoAttribute.parse(line)
    assert (parsed.tag, parsed.suite, parsed.lifetime, parsed.mki) == (1, "AES_CM_128_HMAC_SHA1_80", 2**20, "1:32")
    assert str(parsed) == line
    assert not parsed.is_usable, "an MKI is not implemented"


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("padding", ["padded", "bare"])
def test_every_suite_with_and_without_base64_padding(suite: object, padding: str) -> None:
    sizes = next(item for item in SUITES if item == suite)
    key = bytes(range(sizes.key_bytes + sizes.salt_bytes))
    text = base64.b64encode(key).decode()
    parsed = CryptoAttribute.parse(f"7 {sizes.name} inline:{text if padding == 'padded' else text.rstrip('=')}")
    assert parsed.key == key
    assert parsed.is_usable
    assert parsed.tag == 7


@pytest.mark.parametrize("tag", [0, 1, MAXIMUM_TAG])
def test_tags_are_echoed_exactly(tag: int) -> None:
    assert str(CryptoAttribute.parse(LINE.replace("1 ", f"{tag} ", 1))).startswith(f"{tag} ")


@pytest.mark.parametrize(
    ("lifetime", "packets", "is_usable"),
    [
        ("2^31", 2**31, True),
        ("2^20", 2**20, True),
        ("2^48", 2**48, True),
        ("1048576", 2**20, True),
        ("1048575", 2**20 - 1, False),
        ("2^10", 2**10, False),
        ("2^49", 2**49, False),
        ("0", 0, False),
    ],
)
def test_lifetimes(lifetime: str, packets: int, is_usable: bool) -> None:
    parsed = CryptoAttribute.parse(f"{LINE}|{lifetime}")
    assert parsed.lifetime == packets
    assert parsed.is_usable is is_usable
    assert CryptoAttribute.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("parameters", "is_usable"),
    [
        ("", True),
        ("WSH=64", True),
        ("-vendor=1", True),
        ("KDR=0", True),
        ("KDR=1", False),
        ("UNENCRYPTED_SRTP", False),
        ("unencrypted_srtp", False),
        ("UNENCRYPTED_SRTCP", False),
        ("UNAUTHENTICATED_SRTP", False),
        ("WSH=64 UNAUTHENTICATED_SRTP", False),
        ("FEC_ORDER=FEC_SRTP", False),
        ("unknown", False),
    ],
)
def test_session_parameters_that_weaken_or_are_unknown_make_a_line_unusable(parameters: str, is_usable: bool) -> None:
    assert CryptoAttribute.parse(f"{LINE} {parameters}").is_usable is is_usable


def test_several_keys_cannot_be_told_apart_without_mki() -> None:
    assert not CryptoAttribute.parse(f"{LINE};inline:{KEY_80}").is_usable


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        LINE.replace("1 ", "-1 ", 1),
        LINE.replace("1 ", "1000000000 ", 1),
        LINE.replace("1 ", "\u0661 ", 1),
        LINE.replace("AES_CM_128_HMAC_SHA1_80", "NULL_HMAC_SHA1_80"),
        LINE.replace("AES_CM_128_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80"),
        LINE.replace("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM_8"),
        LINE.replace("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"),
        LINE.replace("inline", "uri"),
        LINE[:-4],
        LINE + "AAAA",
        LINE + "=",
        LINE + "!",
        f"{LINE}|2^31|2^31|1:4",
        f"{LINE}|2^999999999",
        f"{LINE}|x",
        f"{LINE}||",
        f"{LINE}|x:4",
        "1 AES_CM_128_HMAC_SHA1_80 inline:",
    ],
)
def test_what_cannot_be_read_is_malformed_and_never_repeats_the_key(value: str) -> None:
    with pytest.raises(MalformedDescription) as failure:
        CryptoAttribute.parse(value)
    assert KEY_80[:10] not in str(failure.value)
    assert failure.value.__cause__ is None


def test_repr_hides_the_key() -> None:
    parsed = CryptoAttribute.parse(LINE)
    assert KEY_80 not in repr(parsed)
    assert repr(parsed.key) not in repr(parsed)


def test_another_spelling_is_understood_and_echoed() -> None:
    parsed = CryptoAttribute.parse(LINE.replace("AES_CM_128", "AES_128_CM"))
    assert parsed.suite == "AES_CM_128_HMAC_SHA1_80"
    assert str(parsed) == LINE.replace("AES_CM_128", "AES_128_CM")


def test_cisco_spa_offers_two_suites_with_one_key() -> None:
    lines = usable([LINE.replace("_80", "_32"), LINE.replace("1 ", "2 ", 1)])
    assert [(line.tag, line.suite[-2:]) for line in lines] == [(1, "32"), (2, "80")]


def test_of_duplicate_tags_the_first_usable_counts() -> None:
    lines = usable([LINE + " UNENCRYPTED_SRTP", "nonsense", LINE, LINE.replace("_80", "_32")])
    assert [line.suite for line in lines] == ["AES_CM_128_HMAC_SHA1_80"]


def test_generated_keys_have_the_right_length_and_refuse_unknown_suites() -> None:
    for suite in SUITES:
        made = generate(suite.name, 3, os.urandom)
        assert len(made.key) == suite.key_bytes + suite.salt_bytes
        assert CryptoAttribute.parse(str(made)) == made
        assert made.is_usable
    with pytest.raises(ValueError, match="no such"):
        generate("NULL_HMAC_SHA1_80", 1, os.urandom)
    with pytest.raises(ValueError, match="no such"):
        generate(SUITES[0].name, -1, os.urandom)


@given(
    st.integers(0, MAXIMUM_TAG),
    st.sampled_from(SUITES),
    st.binary(min_size=44, max_size=44),
    st.none() | st.integers(0, 2**49),
)
def test_round_trip(tag: int, suite: object, key: bytes, lifetime: int | None) -> None:
    sizes = next(item for item in SUITES if item == suite)
    made = CryptoAttribute(tag, sizes.name, key[: sizes.key_bytes + sizes.salt_bytes], lifetime, parameters=("WSH=99",))
    assert CryptoAttribute.parse(str(made)) == made


@given(st.text(max_size=80) | st.text(max_size=20).map(lambda text: f"{LINE}{text}"))
def test_any_text_parses_or_is_malformed(value: str) -> None:
    try:
        CryptoAttribute.parse(value)
    except MalformedDescription:
        pass


def test_suites_are_found_in_any_case() -> None:
    assert suite_named("aead_aes_128_gcm") == SUITES[1]
    assert suite_named("F8_128_HMAC_SHA1_80") is None


@pytest.mark.parametrize(
    "line",
    [
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:x\r\n",
        b"a=crypto:1 aes_cm_128_hmac_sha1_32 inline:x\r\n",
        b"A=crypto : 1 AES_128_CM_SHA1_32 inline:x\n",
        b"a=crypto:1 NULL_HMAC_SHA1_80 inline:x\r\n",
        b"a=crypto:1\r\n",
        b"a=crypto:\r\n",
    ],
)
def test_keys_of_other_suites_are_taken_out(line: bytes) -> None:
    kept = b"a=crypto:2 AES_128_CM_SHA1_80 inline:x\r\n"
    sdp = b"v=0\r\nm=audio 1 RTP/SAVP 0\r\n"
    rest = kept + b"a=sendrecv\r\n"
    assert only_suites(sdp + line + rest, ("AES_CM_128_HMAC_SHA1_80",)) == sdp + rest
