"""One party's memory of one INVITE: both SDPs, the status, the media."""

from __future__ import annotations

import asyncio
import secrets

import attrs

from tests.support.matrix.sound import Heard, Key, Sound, keys
from tests.support.matrix.wires import Wire


@attrs.define(eq=False)
class Exchange:
    """One INVITE as one party saw it, with the media that came of it."""

    wire: Wire
    call_id: str
    is_caller: bool
    own: bytes = b""
    """The SDP that it sent."""
    theirs: bytes = b""
    """The SDP that it got."""
    status: int = 0
    sound: Sound | None = None
    domain: str = ""
    dialog: tuple[str, str, str] = ("", "", "")
    """From, To and target of its own requests."""
    uri: str = ""
    """The address that the call came to."""
    target: str = ""
    """Of its own requests, where it was called."""
    tag: str = attrs.field(factory=lambda: secrets.token_hex(6))
    ended: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def keys(self) -> tuple[Key, Key] | None:
        """The keys that it sends with and that it is sent with."""
        return keys(self.own, self.theirs, own_is_offer=self.is_caller)

    def heard(self, mark: str) -> Heard:
        """What media came from the party with that mark."""
        if self.sound is None:
            return Heard.NOTHING
        return self.sound.heard(self.keys[1] if self.keys else None, mark)
