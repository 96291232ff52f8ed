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
from typing import Any, Final, Generic, TypeVar

import attrs

from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import TOKEN, WHITE, split_list
from gateway.sip.headers import Headers
from gateway.sip.via import Via

# Each matches a value with the white space around it.
_CSEQ = re.compile(rf"[ \t]*([0-9]++)[ \t]+({TOKEN})[ \t]*")
# More than "word" of section 25.1, but nothing that another element could split it at.
_CALL_ID = re.compile(r"[ \t]*([^ \t\x00-\x1f\x7f,;]+)[ \t]*")
_NUMBER = re.compile(r"[ \t]*([0-9]++)[ \t]*")
_MEDIA_TYPE = re.compile(rf"[ \t]*({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]*(?:;.*)?", re.DOTALL)
_LARGEST = 2**32 - 1

Value = TypeVar("Value")


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


address: Final[Callable[[str, int], NameAddress]] = lru_cache(maxsize=1024)(NameAddress.parse)
"""The only value of a From or To line."""
cseq: Final[Callable[[str, int], CSeq]] = lru_cache(maxsize=1024)(CSeq.parse)
"""A CSeq."""


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


@lru_cache(maxsize=1024)
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


class Reading(Generic[Value]):
    """The value of a header as an attribute of Headers: asked the first time, it is read and kept.
    One that is missing is None where it is `optional`, else the message is malformed."""

    def __init__(self, key: str, parse: Callable[[str, int], Value], *, optional: bool) -> None:
        self._key = key
        self._parse = parse
        self._optional = optional

    def __get__(self, headers: Headers, owner: type[Headers]) -> Value | None:
        return (headers.parsed if self._optional else headers.required)(self._key, self._parse)


# Headers that every message must have (section 8.1.1), and those that must be readable when they are there; RFC 2543
# did not know Max-Forwards, so it is not demanded.

_Readers = tuple[tuple[str, Callable[[str, int], object]], ...]

MANDATORY: Final[_Readers] = (
    ("via", first_via),
    ("from", address),
    ("to", address),
    ("call-id", call_id),
    ("cseq", cseq),
)
OPTIONAL: Final[_Readers] = (
    ("contact", first_contact),
    ("max-forwards", max_forwards),
)

Places = tuple[int, ...]
"""For each of these headers in turn: the number of its first line, and where its value begins there."""
_MISSING: Final = -1


def places_of(keys: list[str], starts: list[str]) -> Places | None:
    """The places in a message whose lines have these keys and begin so, with name and colon; None where a mandatory
    header is missing."""
    numbers = [keys.index(key) if key in keys else _MISSING for key, _ in (*MANDATORY, *OPTIONAL)]
    if _MISSING in numbers[: len(MANDATORY)]:
        return None
    return tuple(place for number in numbers for place in (number, len(starts[number])))


def read_at(places: Places, lines: list[str]) -> dict[str, Any]:
    """The values of these headers by their keys. Written out, since it is done for each message. Raises
    MalformedMessage."""
    via, via_at, from_, from_at, to, to_at, call, call_at, number, number_at, peer, peer_at, hops, hops_at = places
    line = lines[via]
    known = {
        "via": first_via(line, via_at) if "," in line else Via.parse(line, via_at),
        "from": address(lines[from_], from_at),
        "to": address(lines[to], to_at),
        "call-id": call_id(lines[call], call_at),
        "cseq": cseq(lines[number], number_at),
    }
    if peer != _MISSING:
        known["contact"] = first_contact(lines[peer], peer_at)
    if hops != _MISSING:
        known["max-forwards"] = max_forwards(lines[hops], hops_at)
    return known
