"""Values by the text that they were read from: those of a site's phones and of its provider come with every message.

    known[text] -+- known: no function is called, not even one of ours
                 `- any other: __missing__ reads it, and remembers it where it is short

    values of fields that are lists        headers.py
    names, orders of lines, status lines   parser.py
    URIs, by the same two bounds           uri.py

Anybody may send other texts, as many as he likes and as long as a message has room for. So each kind remembers short
ones alone, and all are forgotten where there are too many: those in use are back with the next messages. A cache that
never forgets could be filled once for good; one that counts its entries alone keeps as many long ones.

Here: the number. Not here: reading, and the length of a short text, which are each kind's own.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeVar

Text = TypeVar("Text", bound=Hashable)
Value = TypeVar("Value")

MOST: Final = 1_000
"""Of most kinds."""


class KnownValues(dict[Text, Value]):
    """The values of one kind that are known. A kind is a class with ``__missing__``."""

    most = MOST
    """Values at once."""

    def remember(self, text: Text, value: Value) -> Value:
        """Know this value from now on; the value."""
        if len(self) >= self.most:
            self.clear()
        self[text] = value
        return value
