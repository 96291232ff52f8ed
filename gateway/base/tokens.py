"""Random tokens, and the one secret that outlives restarts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

SECRET_BYTES: Final = 32

FETCHED: Final = 4096
"""Random bytes that are fetched at once."""


class Random:
    """The system's random bytes, fetched for many tokens at once: a system call for each would cost more than the rest
    of its use, and a call has nine."""

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._draw = draw
        self._digits = ""
        self._left = 0
        """Hexadecimal digits, not given yet: the first ones."""

    def digits(self, count: int) -> str:
        """`count` random hexadecimal digits, an even number of them, never given before."""
        end = self._left
        if end < count:
            self._digits = self._draw(max(count // 2, FETCHED)).hex()
            end = len(self._digits)
        self._left = start = end - count
        return self._digits[start:end]

    def token(self) -> str:
        """16 hexadecimal digits, 64 random bits: for tags and Call-IDs (RFC 3261 section 19.3 asks for 32)."""
        end = self._left
        if end < 16:
            return self.digits(16)
        self._left = start = end - 16
        return self._digits[start:end]


def new_token() -> str:
    """A token as `Random.token` gives it, for rare uses: it needs no `Random`."""
    return os.urandom(8).hex()


def kept_secret(path: Path) -> bytes:
    """The secret in a file that only this user may read; made at the first start. Raises OSError."""
    if not path.exists():
        _make(path)
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise OSError(f"{path}: is not the secret of a gateway; move it away to have a new one made")
    return secret


def _make(path: Path) -> None:
    """Written whole under another name first, so that a crash leaves no half of it."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(SECRET_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    made.rename(path)
