"""Parsers for the value of each header that the gateway itself reads.

Every function takes a whole header line and the index of its value in it, and raises MalformedMessage. Messages call
them on demand; URIs, addresses and Vias have modules of their own.

The values are immutable, and the same lines come again and again: From, To and CSeq with every message of a dialog,
Contact with every message of a phone. So the last thousand are remembered (a line has at most 8 KiB).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import attrs

from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import TOKEN, WHITE, split_list
from gateway.sip.headers import Parsers
from gateway.sip.via import Via

# Each matches a value with the white space around it.
_CSEQ = re.compile(rf"[ \t]*([0-9]++)[ \t]+({TOKEN})[ \t]*")
# More than "word" of section 25.1, but nothing that another element could split it at.
_CALL_ID = re.compile(r"[ \t]*([^ \t\x00-\x1f\x7f,;]+)[ \t]*")
_NUMBER = re.compile(r"[ \t]*([0-9]++)[ \t]*")
_MEDIA_TYPE = re.compile(rf"[ \t]*({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]*(?:;.*)?", re.DOTALL)
_LARGEST = 2**32 - 1


@attrs.frozen
class CSeq:
    """The CSeq header (RFC 3261 section 20.16): a number below 2**31 and a method."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str, start: int = 0) -> CSeq:
        """The CSeq that text is from start on. Raises MalformedMessage."""
        match = _CSEQ.fullmatch(text, start)
        number = 2**31 if match is None else _bounded(match[1])
        if match is None or number >= 2**31:
            raise MalformedMessage("not a CSeq")
        return cls(number, match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@lru_cache(maxsize=1024)
def address(line: str, start: int) -> NameAddress:
    """The only value of a From or To line."""
    return NameAddress.parse(line, start)


@lru_cache(maxsize=1024)
def cseq(line: str, start: int) -> CSeq:
    """A CSeq."""
    return CSeq.parse(line, start)


def first_via(line: str, start: int) -> Via:
    """The first value of a Via line; all of that line must be Vias."""
    if "," in line:
        return [Via.parse(value) for value in split_list(line[start:])][0]  # noqa: RUF015 - parses them all
    return Via.parse(line, start)


@lru_cache(maxsize=1024)
def first_contact(line: str, start: int) -> NameAddress | None:
    """The first value of a Contact line, of which all must be addresses; None for "*"."""
    if "," in line:
        return [NameAddress.parse(value) for value in split_list(line[start:])][0]  # noqa: RUF015
    return None if line[start:].strip(WHITE) == "*" else NameAddress.parse(line, start)


def call_id(line: str, start: int) -> str:
    """A Call-ID."""
    match = _CALL_ID.fullmatch(line, start)
    if match is None:
        raise MalformedMessage("not a Call-ID")
    return match[1]


@lru_cache(maxsize=256)
def max_forwards(line: str, start: int) -> int:
    """Max-Forwards, 0..2**32-1."""
    hops = _number(line, start)
    if hops > _LARGEST:
        raise MalformedMessage("Max-Forwards is too large")
    return hops


def expires(line: str, start: int) -> int:
    """Seconds; a number too large for 32 bits means the largest (section 20.19)."""
    return min(_number(line, start), _LARGEST)


def media_type(line: str, start: int) -> str:
    """type/subtype in lower case, without parameters."""
    match = _MEDIA_TYPE.fullmatch(line, start)
    if match is None:
        raise MalformedMessage("not a media type")
    return f"{match[1]}/{match[2]}".lower()


def _number(line: str, start: int) -> int:
    match = _NUMBER.fullmatch(line, start)
    if match is None:
        raise MalformedMessage("not a number")
    return _bounded(match[1])


def _bounded(digits: str) -> int:
    """The number; some number above 2**32 for all that are, without int()'s trouble with thousands of digits."""
    return int(digits) if len(digits) <= 10 else int(digits.lstrip("0")[:11] or "0")


def _parsers(*parsers: tuple[str, Callable[[str, int], object]]) -> Parsers:
    """A line's name is its key, but for case, or one letter: headers.py makes keys so."""
    return tuple((key, len(key) + 1, parse) for key, parse in parsers)


# Headers that every message must have (section 8.1.1), and those that must be readable when they are there; RFC 2543
# did not know Max-Forwards, so it is not demanded.

MANDATORY: Final = _parsers(
    ("via", first_via),
    ("from", address),
    ("to", address),
    ("call-id", call_id),
    ("cseq", cseq),
)
OPTIONAL: Final = _parsers(
    ("contact", first_contact),
    ("max-forwards", max_forwards),
)
