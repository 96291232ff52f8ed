"""What a call stands on: the layers below, handed in once by the composition root."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from gateway.media.relay import Relay
from gateway.transaction.layer import TransactionLayer


@attrs.frozen
class Stack:
    """The layers that calls use. One for the whole gateway."""

    transactions: TransactionLayer
    relay: Relay
    name: str
    """What this gateway calls itself in Warning fields (RFC 3261 section 20.43)."""
    clock: IReactorTime
    now: Callable[[], float]
    """Seconds since the epoch."""
    new_tag: Callable[[], str]
    """A fresh random token for tags and Call-IDs (RFC 3261 section 19.3: at least 32 random bits)."""
