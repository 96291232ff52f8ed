"""Bencoding: how Kamailio's and OpenSIPS' rtpengine modules write NG dictionaries (BEP 3); pure.

Text is str, with other bytes as surrogateescape keeps them. Values that bencoding does not have are written as the
nearest that it has: true and false as 1 and 0, other numbers as text; null is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MAXIMUM_DEPTH: Final = 16
_INTEGER: Final = re.compile(rb"i(-?\d{1,18})e")
_LENGTH: Final = re.compile(rb"(\d{1,7}):")


class Malformed(ValueError):
    """It is no bencoded value."""


def decode(data: bytes) -> object:
    """The one value in `data`; raises Malformed."""
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise Malformed("something follows the value")
    return value


def encode(value: object) -> bytes:
    """A value of dictionaries, lists, text and numbers."""
    match value:
        case bool() | int():
            return b"i%de" % int(value)
        case Mapping():
            items = sorted((_text(str(key)), item) for key, item in value.items() if item is not None)
            return b"d" + b"".join(key + encode(item) for key, item in items) + b"e"
        case list() | tuple():
            return b"l" + b"".join(encode(item) for item in value if item is not None) + b"e"
        case _:
            return _text(str(value))


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogateescape")
    return b"%d:%s" % (len(data), data)


def _decode(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """The value that begins at `at`, and where it ends."""
    if depth > MAXIMUM_DEPTH:
        raise Malformed("nested too deep")
    kind = data[at : at + 1]
    if kind == b"d":
        return _decode_dictionary(data, at + 1, depth)
    if kind == b"l":
        return _decode_list(data, at + 1, depth)
    found = _INTEGER.match(data, at)
    return (int(found[1]), found.end()) if found else _decode_text(data, at)


def _decode_text(data: bytes, at: int) -> tuple[str, int]:
    found = _LENGTH.match(data, at)
    end = found.end() + int(found[1]) if found else 0
    if found is None or end > len(data):
        raise Malformed(f"no value at byte {at}")
    return data[found.end() : end].decode("utf-8", "surrogateescape"), end


def _decode_list(data: bytes, at: int, depth: int) -> tuple[list[object], int]:
    items = []
    while data[at : at + 1] != b"e":
        item, at = _decode(data, at, depth + 1)
        items.append(item)
    return items, at + 1


def _decode_dictionary(data: bytes, at: int, depth: int) -> tuple[dict[str, object], int]:
    items: dict[str, object] = {}
    while data[at : at + 1] != b"e":
        key, at = _decode_text(data, at)
        items[key], at = _decode(data, at, depth + 1)
    return items, at + 1
