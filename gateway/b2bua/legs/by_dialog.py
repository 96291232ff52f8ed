"""The table of dialogs: the leg that a request inside a dialog belongs to (RFC 3261 section 12.2.2).

Keys are Call-ID, local tag and remote tag. The local tag is ours and random, so nobody outside a dialog can guess its
key. A leg that has sent a SUBSCRIBE and knows no remote tag yet is found under an empty one: its first NOTIFY may
overtake the response (RFC 6665 section 4.4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from gateway.dialog.dialog import Dialog, DialogKey

L = TypeVar("L")
"""A leg."""


class Dialogs(Generic[L]):
    """All dialogs of all calls and subscriptions."""

    def __init__(self) -> None:
        self._legs: dict[DialogKey, L] = {}

    def __len__(self) -> int:
        return len(self._legs)

    def legs(self) -> Iterator[L]:
        """The legs of all dialogs; not to be kept while one begins or ends."""
        return iter(self._legs.values())

    def began(self, leg: L, dialog: Dialog) -> None:
        """Requests of this dialog go to this leg."""
        self._legs[dialog.key] = leg

    def ended(self, leg: L, dialog: Dialog) -> None:
        """They no longer do, unless another leg goes on with the dialog."""
        key, legs = dialog.key, self._legs
        if key in legs and legs[key] is leg:
            del legs[key]

    def expect(self, leg: L, call_id: str, local_tag: str) -> None:
        """Let the first request with this Call-ID and local tag go to this leg, with any tag of its sender."""
        self._legs[(call_id, local_tag, "")] = leg

    def expect_no_more(self, call_id: str, local_tag: str) -> None:
        """Take `expect` back."""
        self._legs.pop((call_id, local_tag, ""), None)

    def begun(self, key: DialogKey) -> L | None:
        """The leg of a dialog that has begun."""
        return self._legs.get(key)

    def leg_of(self, key: DialogKey) -> L | None:
        """The leg of a dialog, or the one that expects it."""
        legs = self._legs
        return legs[key] if key in legs else legs.get((key[0], key[1], ""))
