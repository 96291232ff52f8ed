"""How much there is of everything at this moment: calls, dialogs, connections, transactions, timers.

A gateway without calls has none of most of it, so a leak shows. Not here: the metrics that grow (observe/metrics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from gateway.admin.inspection import Row


class Connected(Protocol):
    """Has connections."""

    @property
    def connection_count(self) -> int:
        """Those that are up or coming up."""


class Relaying(Protocol):
    """Carries media."""

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls that have media now."""


class Transacting(Protocol):
    """Has transactions."""

    def alive(self) -> Mapping[str, Mapping[str, int]]:
        """How many have not ended, by machine and state."""


@attrs.frozen
class Counts:
    """Counts the parts of a gateway."""

    calls: Sized
    dialogs: Sized
    subscriptions: Sized
    bindings: Sized
    transport: Connected
    relay: Relaying
    transactions: Transacting
    timers: IReactorTime

    def now(self) -> Row:
        """The figures of this moment."""
        return {
            "calls": len(self.calls),
            "dialogs": len(self.dialogs),
            "subscriptions": len(self.subscriptions),
            "bindings": len(self.bindings),
            "connections": self.transport.connection_count,
            "media_calls": len(self.relay.calls),
            "transactions": {machine: {**states} for machine, states in self.transactions.alive().items()},
            "timers": len(self.timers.getDelayedCalls()),
        }
