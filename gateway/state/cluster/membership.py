"""This node's part in the cluster: it asks the store for the lease, prolongs it, and stops in time where it cannot.

    every third of the lease's life: address here? -> NodeLease.next -> question -> answer -> NodeLease
        HOLDING for the first time -> `became_active`            ENDED -> `fenced`

The kernel is told of the lease's end as well (setitimer, SIGALRM): a process that stood still for longer, stopped or
swapped out, is ended before it does anything else, so that it answers nobody with a lease that it has no more.

Here: the moments. Not here: the decisions (node_lease), the questions (cluster_store), the process's life
(app/cluster).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.state.cluster.cluster_store import ClusterStore, LeaseStanding, Lives, Taken
from gateway.state.cluster.link import StoreSilent
from gateway.state.cluster.node_lease import START_SECONDS, LeaseState, LeaseTerms, NodeLease, Wish

log = Logger()


class NodeMachine(Protocol):
    """The machine under the node."""

    def has_address(self) -> bool:
        """Whether the floating address is here; True where none is configured."""

    def end_in(self, seconds: float) -> None:
        """Let the kernel end this process then; 0: never."""


class KernelTimer:
    """Ends this process when a time is over, by the kernel."""

    def end_in(self, seconds: float) -> None:
        """See NodeMachine. The action of SIGALRM is the kernel's own: no code of ours has to run for it."""
        signal.setitimer(signal.ITIMER_REAL, seconds)


@attrs.frozen
class NodeTurns:
    """Told of the turns in a node's life."""

    became_active: Callable[[Taken], None]
    """The lease is ours for the first time."""
    taken_again: Callable[[Taken], None]
    """It was away, or the store was emptied, and nobody had it meanwhile."""
    fenced: Callable[[str], None]
    """This node has to end, for the reason that is given."""


class Membership:
    """One node's. `clock` is the reactor; `turns` are told each once, but for taken_again."""

    def __init__(
        self, store: ClusterStore, terms: LeaseTerms, around: NodeMachine, clock: Any, turns: NodeTurns, own: str = ""
    ) -> None:
        """`own` is the latest token of this node, of a process that is over."""
        self._store = store
        self._around = around
        self._clock = clock
        self._turns = turns
        self.lease = NodeLease(terms)
        self.standing = LeaseStanding("")
        """The lease as the store said last."""
        self.token = own
        """Ours, the latest one; empty for a node that never was active."""
        self.epoch = LeaseStanding(own).epoch
        """The highest that was seen."""
        self.generation = ""
        """Ours that is whole, which the store keeps while the lease is renewed."""
        self._timer: IDelayedCall | None = None
        self._end_timer: IDelayedCall | None = None
        self._is_running = False
        self.is_answered = True
        """Whether the store answered the latest question."""

    @property
    def state(self) -> LeaseState:
        """How this node stands."""
        return self.lease.state

    def start(self) -> None:
        """Begin to ask."""
        self._is_running = True
        self._ask_now()

    def settled(self) -> None:
        """The gateway has started: see NodeLease."""
        self.lease.settled()

    async def stop(self) -> None:
        """Ask no more, and give the lease back."""
        self._is_running = False
        self._cancel()
        self._around.end_in(0)
        try:
            await self._store.release(self.token)
        except StoreSilent as error:
            log.info("the lease is not given back, and ends by itself: {reason}", reason=error)
        self._store.close()

    def _ask_now(self) -> None:
        self._timer = None
        wish = self.lease.next(self._clock.seconds(), has_address=self._around.has_address())
        if wish is None:
            self._fence()
            return
        self.lease.asked()
        asked = Deferred.fromCoroutine(self._ask(wish))
        asked.addErrback(lambda failure: log.failure("the cluster's lease met a bug", failure))
        asked.addBoth(lambda _: self._asked())

    def _asked(self) -> None:
        if not self._is_running:
            return
        if self.lease.state is LeaseState.ENDED:
            self._fence()
        else:
            self._timer = self._clock.callLater(self.lease.terms.period, self._ask_now)

    def _lease_expired(self) -> None:
        """The lease ends now, for its holder: it was renewed no more."""
        self._end_timer = None
        if not self._is_running:
            return
        if not self.lease.is_active_at(self._clock.seconds()):
            self._fence()
        elif self.lease.state is LeaseState.ALONE:
            self._around.end_in(0)
            log.warn("the lease has ended, and the store does not answer: this node goes on alone")

    async def _ask(self, wish: Wish) -> None:
        asked_at = self._clock.seconds()
        try:
            await self._put(wish, asked_at)
        except StoreSilent as error:
            if self.is_answered:
                log.warn("the cluster's store does not answer: {reason}", reason=error)
            self.is_answered = False
            return
        if not self.is_answered:
            log.info("the cluster's store answers again")
        self.is_answered = True

    async def _put(self, wish: Wish, asked_at: float) -> None:
        if wish is Wish.LOOK:
            self._see(await self._store.look())
            self.lease.refused(self.standing.holder)
        elif wish is Wish.TAKE:
            life, longest = self.lease.life, max(self.lease.terms.life, START_SECONDS)
            taken = await self._store.take(self.epoch, Lives(life, longest), self.token, is_active=self.lease.is_active)
            self._take(taken, asked_at)
        else:
            is_ours, standing = await self._store.renew(self.token, self.lease.life, self.generation)
            self._see(standing)
            if is_ours:
                self._hold(asked_at)
            else:
                self.lease.refused(standing.holder)

    def _take(self, taken: Taken, asked_at: float) -> None:
        self._see(taken.standing)
        if not taken.is_ours:
            self.lease.refused(taken.standing.holder)
            return
        is_first, self.token = not self.lease.is_active, taken.standing.token
        self._hold(asked_at)
        if self._is_running:
            (self._turns.became_active if is_first else self._turns.taken_again)(taken)

    def _hold(self, asked_at: float) -> None:
        self.lease.granted(asked_at)
        if not self._is_running:
            return
        now = self._clock.seconds()
        self._around.end_in(max(asked_at + self.lease.life - now, 0.001))
        if self._end_timer is not None:
            self._end_timer.cancel()
        self._end_timer = self._clock.callLater(max(self.lease.ends_at - now, 0.0), self._lease_expired)

    def _see(self, standing: LeaseStanding) -> None:
        seen = standing.seen or self.standing.seen
        self.standing = attrs.evolve(standing, seen=seen)
        self.epoch = max(self.epoch, standing.epoch)

    def _cancel(self) -> None:
        timers = self._timer, self._end_timer
        self._timer = self._end_timer = None
        for timer in timers:
            if timer is not None:
                timer.cancel()

    def _fence(self) -> None:
        self._is_running = False
        self._cancel()
        self._turns.fenced(self.lease.why)
