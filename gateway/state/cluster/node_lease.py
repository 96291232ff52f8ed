"""The lease: which of several nodes is active, as a machine of states without a clock, a socket or a thread of its own.

    WAITING --granted--> HOLDING --renewed in time--> HOLDING
                            |  address gone, held by another, not renewed in time ------------> ENDED
                            `- not renewed in time, no answer, without_store = "serve" --> ALONE --> HOLDING, ENDED

Two proofs are needed to be active: the lease, and the floating address where one is configured. Each time counts from
the moment before the store was asked, so that the lease ends here before it ends there; SAFETY of its life earlier
still, for a process that is late. A node that is fenced ends for good: its process does, and the next one waits.

ALONE is for a store that gives no answer to anybody: nobody can take the lease then, and the address (VRRP) says which
node the network means. An answer that another node has the lease ends it at once.

Here: the decisions. Not here: asking (membership), the store, and the address.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs

START_SECONDS: Final = 15.0
"""Life of the first lease: a node that starts reads the store and rebuilds calls, and may ask late."""
SAFETY: Final = 0.1
"""The share of its life by which a lease ends earlier for its holder than in the store."""


class LeaseState(Enum):
    """How this node stands."""

    WAITING = "standby"
    HOLDING = "active"
    ALONE = "active without store"
    ENDED = "ended"


class Wish(Enum):
    """The next question to the store."""

    LOOK = "look"
    """Say that this node waits, and see how the lease stands."""
    TAKE = "take"
    """Take the lease where nobody has it."""
    RENEW = "renew"
    """Prolong it."""


@attrs.frozen
class LeaseTerms:
    """`life` in seconds; `serves_alone`: whether a holder goes on while the store gives no answer."""

    life: float
    serves_alone: bool = False

    @property
    def period(self) -> float:
        """Seconds between two questions."""
        return self.life / 3


class NodeLease:
    """The lease as this node knows it. Times are seconds that never go back."""

    def __init__(self, terms: LeaseTerms) -> None:
        self.terms = terms
        self.state = LeaseState.WAITING
        self.why = ""
        """Of ENDED: the reason."""
        self.life = max(terms.life, START_SECONDS)
        """Of the lease that is asked for next, in seconds."""
        self.holder = ""
        """The node that has it, as the store said last; empty where nobody does, or none is known."""
        self._until = 0.0
        self._is_answered = True
        self._is_missing = False

    @property
    def is_active(self) -> bool:
        """Whether this node may answer phones and providers."""
        return self.state in (LeaseState.HOLDING, LeaseState.ALONE)

    @property
    def ends_at(self) -> float:
        """When the holder has to have stopped, in seconds; the store's own end comes no sooner."""
        return self._until

    def next(self, now: float, *, has_address: bool) -> Wish | None:
        """The question to ask now; None where this node has to end (`why`)."""
        if self.state is LeaseState.ENDED:
            return None
        if self.state is LeaseState.WAITING:
            return Wish.TAKE if has_address else Wish.LOOK
        if not has_address:
            self._end("its floating address is gone from this machine")
            return None
        if not self.is_active_at(now):
            return None
        return Wish.TAKE if self._is_missing else Wish.RENEW

    def settled(self) -> None:
        """The start is over: from now on the lease is as short as it is configured."""
        self.life = self.terms.life

    def asked(self) -> None:
        """A question has left: until an answer is there, none is."""
        self._is_answered = False

    def granted(self, asked_at: float) -> None:
        """The store gave or prolonged the lease at a question of that time."""
        self._is_answered, self._is_missing = True, False
        if self.state is not LeaseState.ENDED:
            self.state = LeaseState.HOLDING
            self._until = asked_at + self.life * (1 - SAFETY)

    def refused(self, holder: str) -> None:
        """The store answered: another node has the lease; empty: nobody has it, and this node did not ask for it."""
        self._is_answered = True
        self.holder = holder
        if not self.is_active:
            return
        if holder:
            self._end(f"node {holder} has the lease")
        else:  # it ended while the store was away, or the store was emptied: it may be taken anew
            self._is_missing = True

    def is_active_at(self, now: float) -> bool:
        """Whether this node may go on; the time has its effect."""
        if self.state is LeaseState.HOLDING and now >= self._until:
            if self.terms.serves_alone and not self._is_answered:
                self.state = LeaseState.ALONE
            else:
                self._end("its lease was not renewed in time")
        return self.is_active

    def _end(self, why: str) -> None:
        self.state, self.why = LeaseState.ENDED, why
