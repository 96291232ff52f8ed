"""Passwords: demands on a new one, and the hash that is kept of it.

Here: pure functions, each of which takes 0.15 s of CPU where it hashes. Not here: the threads that they run in and how
many at once (`hashing`), how often somebody may try (`log_in`).

scrypt (RFC 7914) with N = 2^15, r = 8, p = 1 takes 32 MiB for each hash, which makes guessing on graphics cards dear.
A hash names its cost, so that a later version may raise it and still read the old ones.
"""

import hashlib
import hmac
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from functools import cache
from pathlib import Path
from typing import Final

SHORTEST: Final = 12
"""Characters of a new password."""

LONGEST: Final = 256
"""Characters of any password: of longer ones no more is hashed."""

_COST: Final = (15, 8, 1)
"""log2 of N, r and p of scrypt."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_FEWEST: Final = 5
"""Different characters of a new password."""

_COMMON = Path(__file__).with_name("common-passwords.txt")
_AROUND: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")
"""Digits and signs at both ends: the commonest way to make a common password long enough."""


def fault_of(password: str, name: str) -> str | None:
    """The reason why user `name` cannot have that new password, a sentence; None where it will do."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"A password has {SHORTEST} to {LONGEST} characters."
    if any(unicodedata.category(character) == "Cc" for character in password):
        return "A password has no control characters."
    lowered = password.lower()
    core = _AROUND.sub("", lowered)
    if lowered in _common() or core in _common():
        return "That password, or its words without the digits and signs around them, is in the list of common ones."
    if len(set(lowered)) < _FEWEST or _is_one_piece_repeated(lowered):
        return "That password repeats too few characters."
    if len(lowered.replace(name.lower(), "")) < _FEWEST:
        return "A password is not the user's name."
    return None


def hash_of(password: str) -> str:
    """The hash to keep of a password, with its salt and cost."""
    salt = secrets.token_bytes(_SALT_BYTES)
    cost = ":".join(map(str, _COST))
    return f"scrypt${cost}${b64encode(salt).decode()}${b64encode(_scrypt(password, salt, _COST)).decode()}"


def matches(password: str, kept: str) -> bool:
    """Whether a password is the one that a hash was made of. Raises ValueError for a hash that is none."""
    kind, cost, salt, digest = kept.split("$")
    log_n, r, p = (int(number) for number in cost.split(":"))
    if kind != "scrypt" or not (10 <= log_n <= 20 and 1 <= r <= 16 and 1 <= p <= 4):
        raise ValueError("no hash of a password")
    return hmac.compare_digest(_scrypt(password, b64decode(salt), (log_n, r, p)), b64decode(digest))


def nobody() -> str:
    """A hash that no password matches, as dear to look at as any other."""
    return _NOBODY


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    """The same text typed on two keyboards is one password (NFKC)."""
    log_n, r, p = cost
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    memory = 128 * r * (2**log_n + p + 2)
    return hashlib.scrypt(text, salt=salt, n=2**log_n, r=r, p=p, maxmem=memory + 2**20, dklen=_HASH_BYTES)


_NOBODY: Final = "$".join(
    ("scrypt", ":".join(map(str, _COST)), *(b64encode(bytes(length)).decode() for length in (_SALT_BYTES, _HASH_BYTES)))
)


def _is_one_piece_repeated(text: str) -> bool:
    """Whether a text is a piece of up to half its length, again and again."""
    return text in (text + text)[1:-1]


@cache
def _common() -> frozenset[str]:
    lines = _COMMON.read_text(encoding="ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("# "))
