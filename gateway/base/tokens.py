"""Random tokens."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

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
