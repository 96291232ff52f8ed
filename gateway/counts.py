"""How much there is of everything in a running gateway: what an operator looks at when it seems to grow.

Each figure but bindings, connections and timers goes back to nothing a while after the last call: 32 s after its last
message at the latest, when the last transaction has forgotten it. Here: counting. Not here: what is counted over time
(metrics.py).
"""

from collections.abc import Sized
from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from gateway.admin.inspection import Row
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.tables import State


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


@attrs.frozen
class Counts:
    """Counts the parts of a gateway."""

    calls: Sized
    dialogs: Sized
    subscriptions: Sized
    bindings: Sized
    transport: Connected
    relay: Relaying
    transactions: TransactionLayer
    clock: IReactorTime

    def now(self) -> Row:
        """The figures of this moment; of transactions, those that are more than none."""
        return {
            "calls": len(self.calls),
            "dialogs": len(self.dialogs),
            "subscriptions": len(self.subscriptions),
            "bindings": len(self.bindings),
            "connections": self.transport.connection_count,
            "media_calls": len(self.relay.calls),
            "transactions": {
                machine: {
                    str(state): count for state, count in states.items() if count and state is not State.TERMINATED
                }
                for machine, states in self.transactions.counts().items()
            },
            "timers": len(self.clock.getDelayedCalls()),
        }
