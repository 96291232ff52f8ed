"""JSON, quickly: several messages and lines of it are written for each call.

orjson needs a tenth of the standard library's time. Values that it refuses (half a surrogate pair, from a peer's
bytes that are no UTF-8; a whole number beyond 64 bits) are written by the standard library, which reads such a
number, too: orjson would make a float of it.
"""

import json
import re
from typing import Final, TypeAlias

import orjson

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Every value that JSON has."""


_LONG: Final = r"-?[0-9]{19}"
_IN_TEXT: Final = re.compile(rf"[\[,:]\s*{_LONG}"), re.compile(rf"\s*{_LONG}")
_IN_BYTES: Final = re.compile(rf"[\[,:]\s*{_LONG}".encode()), re.compile(rf"\s*{_LONG}".encode())
"""A number that may be beyond 64 bits: as a part of a value, and as the whole of it."""
_AS_NOUGHTS: Final = bytes.maketrans(b"123456789", b"000000000")
_NOUGHTS: Final = b"0" * 19


def encode(value: object) -> bytes:
    """`value` in UTF-8, without white space.

    Raises:
        TypeError, ValueError: JSON has nothing for it.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def decode(text: bytes | str) -> object:
    """The value that `text` holds.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        value: object = orjson.loads(text)
    except ValueError:
        value = json.loads(text)
    else:
        if _has_long_number(text):
            value = json.loads(text)
    return value


def _has_long_number(text: bytes | str) -> bool:
    if isinstance(text, str):
        return any((_IN_TEXT[0].search(text), _IN_TEXT[1].match(text)))
    if _NOUGHTS not in text.translate(_AS_NOUGHTS):  # as nearly always; a search takes three times as long as to read
        return False
    return any((_IN_BYTES[0].search(text), _IN_BYTES[1].match(text)))
