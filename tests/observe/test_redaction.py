"""Redaction tries a pattern only where one of its signs is: it must find all that trying each of them would."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.observe.redaction import _SIGNS, REDACTED, RULES, URI_PASSWORD, redacted, without_password

PIECES = (
    *("Authorization: Digest a", "Proxy-Authorization=x", "-----BEGIN PRIVATE KEY-----x", "-----END", "--pwd a"),
    *("--password=b", "inline:Ab+/==", "\nk=x", "k=y", "key-mgmt:mikey Ab/=", "sip:alice:a@h", "sips:bob:b@h"),
    *("sip%3Acarol%3Ac%40h", "http://u:p@h", "sip:dave:", ":5060", "@", "%40", '"', "'", "\\", "\r\n", " ", ";", ","),
    *("\u212aey='x'", "\u017fecret=y", "é", REDACTED, "[redact", "ed]"),
    *(f"{name}=x" for name in ("nonce", "cnonce", "nextnonce", "rspauth", "password", "passphrase", "pwd", "ha1")),
    *(f"{name}: '0123456789abcdef'" for name in ("response", "opaque", "key", "salt", "secret", "passwd", "pass")),
)


@given(st.lists(st.sampled_from([*PIECES, *(piece.upper() for piece in PIECES)]) | st.text(max_size=3), max_size=12))
@settings(max_examples=1000)
@example(["-----BEGIN PRIVATE KEY-----", "k=x", "-----END", ":hunter2@"])
def test_a_pattern_is_left_out_only_where_it_finds_nothing(pieces: list[str]) -> None:
    text = "".join(pieces)
    tried = text
    for _, pattern, replacement in RULES:
        tried = pattern.sub(replacement, tried)
    tried = URI_PASSWORD.sub(without_password, tried)
    assert redacted(text) == tried


def test_each_secret_alone_is_taken_out() -> None:
    for piece in PIECES:
        tried = piece
        for _, pattern, replacement in RULES:
            tried = pattern.sub(replacement, tried)
        tried = URI_PASSWORD.sub(without_password, tried)
        assert redacted(piece) == tried


def test_no_sign_can_come_about_by_a_replacement() -> None:
    for sign in {*_SIGNS, *(sign for signs, _, _ in RULES for sign in signs)}:
        assert sign not in REDACTED
        assert not set(sign) & set("[]")
        assert any(known in sign for known in _SIGNS)


@pytest.mark.parametrize(
    "before",
    ["inline:ab%2B", "inline%3A", "inline%253a", "inline&#58;", "inline: ", "inline :", "inline:AB\\/", "v=0\rk="],
)
def test_a_key_is_found_behind_escapes_and_blanks(before: str) -> None:
    key = "WVNfX19zZW1jdGwgKCkgewky"
    assert key not in redacted(f"a {before}{key} b")
