"""Numbers of a PBX: one, a range, or all that begin alike.

    "+4930123456"                  one
    "+49301234500-+49301234599"    a range; both ends have as many digits
    "+4930123*"                    all that begin so
    "200-299"                      extensions, as they are dialled

With "+" a block is of E.164 numbers, without it of texts as they are dialled. Pure values: many blocks are
searched by `block_index`, and the reading of a dialled number is `base.telephone_numbers`'s.
"""

from __future__ import annotations

import re
from typing import Final, Self

import attrs

from gateway.config.structuring import Unacceptable

_NUMBER: Final = re.compile(r"\+?[0-9]{1,15}")
_LEAST_PREFIX: Final = 3
"""Digits of a prefix: fewer would be those of a whole country or more."""


@attrs.frozen
class NumberBlock:
    """Numbers from ``first`` to ``last``, both included, of as many digits; or those that begin with ``first``."""

    first: str
    last: str
    is_prefix: bool = False

    def __str__(self) -> str:
        if self.is_prefix:
            return f"{self.first}*"
        return self.first if self.first == self.last else f"{self.first}-{self.last}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The block that a text names; ValueError for any other text."""
        if text.endswith("*"):
            first = text[:-1]
            if not _NUMBER.fullmatch(first) or len(first.lstrip("+")) < _LEAST_PREFIX:
                raise ValueError(text)
            return cls(first, first, is_prefix=True)
        first, dash, last = (part.strip() for part in text.partition("-"))
        last = last if dash else first
        same_form = len(first) == len(last) and first.startswith("+") is last.startswith("+")
        if not _NUMBER.fullmatch(first) or not _NUMBER.fullmatch(last) or not same_form or first > last:
            raise ValueError(text)
        return cls(first, last)


def is_number(text: str) -> bool:
    """Whether a text is digits alone, perhaps behind a "+": letters between two numbers are no number of a range."""
    return _NUMBER.fullmatch(text) is not None


def number_block(value: object) -> NumberBlock:
    """A block as the file writes it. Raises Unacceptable."""
    try:
        return NumberBlock.parse(value.strip() if isinstance(value, str) else "")
    except ValueError:
        wanted = "+4930123456, +49301234500-+49301234599, +4930123* (3 digits at least), or digits as they are dialled"
        raise Unacceptable(value, wanted) from None
