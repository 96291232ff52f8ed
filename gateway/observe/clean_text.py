r"""Text of peers, made fit to be kept and to be shown.

A peer writes any bytes. Decoded from the wire, those that are no UTF-8 are lone surrogates, which neither a file nor a
page can be encoded with; control characters move cursors, and characters that change the direction of writing let one
address look like another. Text that enters a record is therefore made clean once, where it enters, so that no writer
of files, pages or tables has to think of it. Messages themselves cross as they came.

Here: the question and the cleaning. Not here: secrets (redaction.py), escapes of HTML (the templates).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.base.json_codec import Json

_ODD: Final = re.compile(r"[^\x20-\x7e]")
_BYTE: Final = 0xDC00
"""Added to a byte that is no UTF-8, by Python's "surrogateescape"."""


def is_clean(text: str) -> bool:
    """Whether every character can be encoded in UTF-8 and shown."""
    return text.isprintable()


def clean(text: str) -> str:
    r"""The same text with all other characters as escapes: ``\xff`` for such a byte, ``\x00``, ``\u202e``."""
    return text if text.isprintable() else _ODD.sub(_shown, text)


def clean_json(value: Json) -> Json:
    """The same value with every text in it clean, names among them."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_json(item) for item in value]
    if isinstance(value, dict):
        return {clean(name): clean_json(item) for name, item in value.items()}
    return value


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    code = ord(character)
    if 0 <= code - _BYTE < 0x100:
        code -= _BYTE
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
