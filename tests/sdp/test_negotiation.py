"""Which key is taken, whether an answer fits, and that "encrypted" is never said too early."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdp.crypto import SUITES, CryptoAttribute, generate
from gateway.sdp.description import Description, MalformedDescription
from gateway.sdp.negotiation import (
    accepted,
    alternatives,
    choose,
    crypto_lines,
    fits,
    is_encrypted,
    lacks_keys,
    media_encrypted,
    media_security,
    offer_encrypted,
    offer_lines,
    plain_profile,
    secured_profile,
)

NAMES = [suite.name for suite in SUITES]
CRYPTO = f"a=crypto:{generate(NAMES[2], 1, os.urandom)}\r\n"
HEAD = "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\n"


def sdp(*media: str) -> bytes:
    return (HEAD + "".join(media)).encode()


def test_the_offerers_order_decides() -> None:
    offered = offer_lines([NAMES[3], NAMES[2]], os.urandom)
    assert choose(offered, NAMES) == offered[0]
    assert choose(offered, [NAMES[2]]) == offered[1]
    assert choose(offered, [NAMES[0]]) is None
    assert choose([], NAMES) is None


def test_offered_lines_count_tags_from_one_and_never_share_a_key() -> None:
    lines = offer_lines(NAMES, os.urandom)
    assert [line.tag for line in lines] == [1, 2, 3, 4]
    assert len({line.key[:16] for line in lines}) == 4


def test_an_answer_must_repeat_tag_and_suite_of_one_offered_line() -> None:
    offered = offer_lines(NAMES, os.urandom)
    right = generate(NAMES[1], 2, os.urandom)
    assert accepted(offered, [right]) == (offered[1], right)
    assert accepted(offered, []) is None
    assert accepted(offered, [right, generate(NAMES[0], 1, os.urandom)]) is None
    assert accepted(offered, [generate(NAMES[3], 2, os.urandom)]) is None
    assert accepted(offered, [generate(NAMES[3], 9, os.urandom)]) is None
    weak = CryptoAttribute(2, NAMES[1], right.key, parameters=("UNENCRYPTED_SRTP",))
    assert accepted(offered, [weak]) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (sdp("m=audio 1 RTP/SAVP 0\r\n", CRYPTO), True),
        (sdp("m=audio 1 RTP/AVP 0\r\n", CRYPTO), True),
        (sdp("m=audio 1 RTP/SAVPF 0\r\n", CRYPTO), True),
        (sdp("m=audio 1 RTP/SAVP 0\r\n"), False),
        (sdp("m=audio 1 RTP/AVP 0\r\n"), False),
        (sdp("m=audio 1 RTP/SAVP 0\r\n", CRYPTO, "m=audio 0 RTP/AVP 0\r\n"), True),
        (sdp("m=audio 1 RTP/SAVP 0\r\n", CRYPTO, "m=audio 2 RTP/AVP 0\r\n"), False),
        (sdp("m=audio 1 RTP/SAVP 0\r\n", CRYPTO, "m=image 2 udptl t38\r\n"), False),
        (sdp("m=audio 1 UDP/TLS/RTP/SAVP 0\r\n", CRYPTO), False),
        (sdp(CRYPTO, "m=audio 1 RTP/SAVP 0\r\n"), False),
        (sdp("m=audio 1 RTP/SAVP 0\r\n", CRYPTO.rstrip() + " UNENCRYPTED_SRTP\r\n"), False),
        (sdp("m=audio 0 RTP/SAVP 0\r\n", CRYPTO), None),
        (sdp(), None),
    ],
)
def test_media_is_encrypted_only_when_every_active_line_is(body: bytes, expected: bool | None) -> None:
    assert media_encrypted(body) is expected
    assert is_encrypted(body) is (expected is True)


SAVP = f"m=audio 1 RTP/SAVP 0\r\n{CRYPTO}"
AVP = "m=audio 1 RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (sdp(SAVP, AVP), True),
        (sdp(AVP, SAVP), True),
        (sdp(AVP), False),
        (sdp(AVP, AVP), False),
        (sdp(SAVP, AVP, AVP), False),
        (sdp(AVP, SAVP, AVP), True),
        (sdp(SAVP, "m=video 1 RTP/AVP 31\r\n"), False),
        (sdp(SAVP, AVP, "m=video 1 RTP/AVP 31\r\n"), False),
        (sdp(SAVP, "m=video 1 RTP/SAVP 31\r\n", CRYPTO, "m=video 1 RTP/AVP 31\r\n"), True),
        (sdp("m=audio 1 RTP/SAVP 0\r\n", AVP), False),
        (sdp("m=audio 0 RTP/SAVP 0\r\n", CRYPTO, AVP), False),
        (sdp("m=audio 0 RTP/AVP 0\r\n"), None),
    ],
)
def test_an_offer_with_alternatives_can_be_encrypted(body: bytes, expected: bool | None) -> None:
    assert offer_encrypted(body) is expected


@given(st.lists(st.sampled_from([SAVP, AVP, "m=video 1 RTP/AVP 31\r\n", "m=audio 0 RTP/AVP 0\r\n"]), max_size=6))
def test_alternatives_are_plain_and_have_a_secure_neighbour(media: list[str]) -> None:
    lines = media_security(sdp(*media))
    for index in alternatives(lines):
        beside = [lines[place] for place in (index - 1, index + 1) if 0 <= place < len(lines)]
        assert lines[index].is_plain
        assert any(line.is_keyed and line.kind == lines[index].kind and line.port for line in beside)


def test_media_security_lists_what_could_be_used() -> None:
    (line,) = media_security(sdp("m=audio 1 RTP/SAVP 0\r\n", CRYPTO, "a=crypto:2 NULL_HMAC_SHA1_80 inline:AA\r\n"))
    assert (line.kind, line.port, line.protocol, line.suites) == ("audio", 1, "RTP/SAVP", (NAMES[2],))


def test_profiles_turn_into_each_other_and_others_stay() -> None:
    for plain, secured in (("RTP/AVP", "RTP/SAVP"), ("RTP/AVPF", "RTP/SAVPF")):
        assert secured_profile(plain) == secured == secured_profile(secured)
        assert plain_profile(secured) == plain == plain_profile(plain)
    assert secured_profile("udptl") == plain_profile("udptl") == "udptl"


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 4000]), st.sampled_from(["RTP/AVP", "RTP/SAVP", "udptl"]), st.booleans()),
        max_size=4,
    )
)
def test_never_encrypted_while_an_active_line_has_no_key(lines: list[tuple[int, str, bool]]) -> None:
    body = sdp(*(f"m=audio {port} {protocol} 0\r\n{CRYPTO if keyed else ''}" for port, protocol, keyed in lines))
    active = [(protocol, keyed) for port, protocol, keyed in lines if port]
    wanted = bool(active) and all(keyed and protocol != "udptl" for protocol, keyed in active)
    assert is_encrypted(body) is wanted


@given(st.binary(max_size=120))
def test_nonsense_is_malformed_or_answered(tail: bytes) -> None:
    try:
        is_encrypted(HEAD.encode() + tail)
    except MalformedDescription:
        pass


@pytest.mark.parametrize(
    ("lines", "lacks"),
    [
        ("m=audio 4000 RTP/SAVP 0\r\n", True),
        ("m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\r\n", True),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 00\r\n", True),
        ("m=audio 4000 RTP/SAVP 0\r\nm=video 0 RTP/AVP 31\r\n", True),
        ("m=audio 4000 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 0\r\n", False),
        ("m=audio 4000 RTP/AVP 0\r\n", False),
        ("m=audio 0 RTP/SAVP 0\r\n", False),
        ("", False),
    ],
)
def test_offers_of_srtp_without_any_key(lines: str, lacks: bool) -> None:
    head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    assert lacks_keys((head + lines).encode()) is lacks


_LINES = [
    "o=- 1 1 IN IP4 h",
    "o=a b 1 1 IN IP4 h",
    "c=IN IP4 192.0.2.1",
    "c=IN IP4",
    "c=IN IP4 192.0.2.1 x",
    "m=audio 1 RTP/SAVP 0 8",
    "m=audio 1/2 RTP/AVP 0",
    "m=audio 70000 RTP/AVP 0",
    "m=audio 1 RTP/AVP 0 ",
    "m=audio 1\xa0RTP/AVP RTP/AVP 0",
    "m=audio",
    CRYPTO.strip(),
    CRYPTO.strip().replace("a=crypto:", "a= crypto : ").replace(":1 ", ":2 "),
    "a=crypto",
    "a=xcrypto:1",
    "a=sendonly",
    "k=x",
    "s=a\0b",
    "s=a\x0b\x1c",
    "C=1",
    "a b",
    "=",
    "",
    " ",
]


_OFFER = sdp(f"m=audio 1 RTP/SAVP 0\r\n{CRYPTO}", "m=audio 1 RTP/AVP 0\r\n")


@given(st.lists(st.tuples(st.sampled_from(_LINES), st.sampled_from(["\r\n"] * 9 + ["\n", "\r", ""])), max_size=8))
def test_what_is_glanced_at_is_what_reading_all_would_give(lines: list[tuple[str, str]]) -> None:
    body = ("v=0\r\no=- 1 1 IN IP4 h\r\n" + "".join(map("".join, lines))).encode()
    try:
        expected = [
            (media.kind, media.port, media.protocol, tuple(line.suite for line in crypto_lines(media)))
            for media in Description.parse(body).media
        ]
    except MalformedDescription:
        with pytest.raises(MalformedDescription):
            media_security(body)
        return
    assert [(line.kind, line.port, line.protocol, line.suites) for line in media_security(body)] == expected
    assert fits(_OFFER, body) is fits(_OFFER, body + b"\r\n"), "a blank line makes it be read as a whole"


FIT_KEY = "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
SECURE = "m=audio 4000 RTP/SAVP 0\r\n"
PLAIN = "m=audio 4000 RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("offer", "answer", "does"),
    [
        (SECURE + FIT_KEY, SECURE + FIT_KEY, True),
        (SECURE + FIT_KEY, SECURE + FIT_KEY.replace(":2", ":3"), False),
        (SECURE + FIT_KEY, SECURE + FIT_KEY.replace("_80", "_32"), False),
        (SECURE + FIT_KEY, SECURE + FIT_KEY + FIT_KEY.replace(":2", ":3"), False),
        (SECURE + FIT_KEY, SECURE, True),
        (SECURE + FIT_KEY, PLAIN, True),
        (SECURE + FIT_KEY, PLAIN + FIT_KEY, False),
        (SECURE + FIT_KEY, SECURE.replace("4000", "0"), True),
        (PLAIN, PLAIN, True),
        (PLAIN, PLAIN + FIT_KEY, True),
        (PLAIN, SECURE + FIT_KEY, False),
        (PLAIN, SECURE, False),
        (PLAIN + FIT_KEY, PLAIN + FIT_KEY, True),
        (PLAIN + FIT_KEY, PLAIN, True),
        (PLAIN + FIT_KEY, SECURE + FIT_KEY, False),
        (SECURE + FIT_KEY + PLAIN, SECURE + FIT_KEY + PLAIN.replace("4000", "0"), True),
        (SECURE + FIT_KEY + PLAIN, SECURE.replace("4000", "0") + PLAIN, True),
        (PLAIN, "m=audio 4000 TCP 0\r\n", False),
        ("m=image 4000 udptl t38\r\n", "m=image 4000 udptl t38\r\n", True),
    ],
)
def test_whether_an_answer_fits(offer: str, answer: str, does: bool) -> None:
    head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    assert fits((head + offer).encode(), (head + answer).encode()) is does


FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
BROWSER = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\na=setup:actpass\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
)


@pytest.mark.parametrize(
    ("lines", "is_taken"),
    [
        (BROWSER + FINGERPRINT, True),
        (FINGERPRINT + BROWSER, True),
        (BROWSER, False),
        (BROWSER + "a=fingerprint:sha-1 " + ":".join(["AB"] * 20) + "\r\n", False),
        (BROWSER.replace("a=rtcp-mux\r\n", "") + FINGERPRINT, False),
        (BROWSER + FINGERPRINT + BROWSER, False),
        (BROWSER + FINGERPRINT + "m=audio 4000 RTP/AVP 0\r\n", False),
    ],
    ids=["line", "session", "none", "SHA-1", "no rtcp-mux", "second line without", "a line in clear"],
)
def test_rfc8122_dtls_is_encrypted_where_a_fingerprint_binds_its_writer(lines: str, is_taken: bool) -> None:
    body = sdp(lines)
    assert is_encrypted(body) is is_taken
    assert offer_encrypted(body) is is_taken


def test_dtls_is_a_key_for_peers_alone_that_it_is_taken_of() -> None:
    body = sdp(BROWSER + FINGERPRINT)
    assert lacks_keys(body)
    assert not lacks_keys(body, takes_dtls=True)
    assert lacks_keys(sdp(BROWSER), takes_dtls=True)
