"""JSON, quickly: several messages and lines of it are written for each call.

orjson needs a tenth of the standard library's time. Values that it refuses (half a surrogate pair, from a peer's
bytes that are no UTF-8; a whole number beyond 64 bits) are written as escapes by the standard library, and read again.
"""

import json
from typing import TypeAlias

import orjson

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Every value that JSON has."""


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
        return orjson.loads(text)
    except ValueError:
        value: object = json.loads(text)
        return value
