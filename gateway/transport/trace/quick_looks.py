"""Quick looks at a text of a message: each proves that a search for secrets would find none, or proves nothing.

    text in lower case --plain finds--> surely nothing to fill | to be searched (`filler`)

A search by patterns, in every reading of a text, takes some hundred microseconds a message, and next to no message
needs it. So each look asks for a word or character that all that its search finds must have. It may be wrong in one
direction alone: a text is searched for nothing. `tests/transport/trace/test_quick_looks.py` compares messages of
chance, shown with these looks and without.

Texts are bytes read as Latin-1, so no letter beyond ASCII is the other case of one within.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.observe.redaction import SIGNS_OF_RULES, has_one

RUN: Final = 38
"""As long as the shortest SDES key in base64, less its padding."""

_KEY_WORDS: Final = ("inline", "crypto", "key")
"""All that speaks of keys in SDP has one of these: `mikey` and `key-mgmt`, too."""
_OTHER_READINGS: Final = ("\\", "%", "&")
"""Without these a text has one reading, beside those of its hexadecimal runs."""
_CODED: Final = ("\0", "content-encoding", "transfer-encoding", "\ne:", "\ne ", "\ne\t")
"""A message without these has no body that is coded, nor a part of one; `e` is the short name of the field."""

# In hexadecimal, letters of both cases differ in the first digit: 4 or 6, and 5 or 7. With these read as one, a word
# has one form, wherever a run of digits begins.
_ONE_CASE: Final = bytes.maketrans(b"ABCDEF45", b"abcdef67")
_HEX_WORDS: Final = tuple(word.encode().hex().encode().translate(_ONE_CASE) for word in _KEY_WORDS)

_BLANKS: Final = bytes(code for code in range(256) if chr(code).isspace() and code not in b"\r\n")
_RUNS: Final = bytes(
    ord("x" if chr(code) in "+/" or (chr(code).isascii() and chr(code).isalnum()) else " ") for code in range(256)
)
_A_RUN: Final = b"x" * RUN

# A second colon behind that of `sip:` or `sips:`, in one word: a password, unless it is a port with no @ behind it.
_PERHAPS_PASSWORD = re.compile(
    r'sips?:(?://)?(?!\[[0-9a-f:.]*\])[^\s:@<>"]*:(?!\d{1,5}(?![\w%+$&=*~!-])[^\s@<>"]*+(?!@))[^\s@<>"]'
)
_WORD = re.compile(r'"?[A-Za-z0-9._/@+-]*"?')


def is_plain(lower: str) -> bool:
    """Whether a message has one reading, which does not speak of keys, and a body that is not coded."""
    return not has_one(lower, _CODED) and lower[:1] != "e" and is_silent(lower)


def is_silent(lower: str) -> bool:
    """Whether a text speaks of keys in no reading."""
    if has_one(lower, _KEY_WORDS) or has_one(lower, _OTHER_READINGS):
        return False
    digits = lower.encode("latin-1", "replace").translate(_ONE_CASE)
    return not has_one(digits, _HEX_WORDS)


def needs_no_rule(lower: str) -> bool:
    """Whether no rule of the log changes a text."""
    if has_one(lower, SIGNS_OF_RULES) or "%" in lower or "://" in lower:
        return False
    return _PERHAPS_PASSWORD.search(lower) is None


def is_plain_body(text: str) -> bool:
    """Whether no line of a body is one for a key (`k=`), however much blank stands in it, and no run of characters is
    as long as a key."""
    body = text.encode("latin-1", "replace")
    return b"k=" not in body.lower().translate(None, _BLANKS) and _A_RUN not in body.translate(_RUNS)


def is_word(value: str) -> bool:
    """Whether a value is too plain for any rule: each needs a colon, a comma, an equals sign, an escape, or ``--``."""
    return _WORD.fullmatch(value) is not None and "--" not in value
