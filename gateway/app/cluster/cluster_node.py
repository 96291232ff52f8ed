"""This process as a node of a cluster: it waits for its turn, restores the other's state, and copies its own.

    start -> WaitingSite, Membership -> became_active -> the other's state into the state directory -> `begin`
                                                                            (the usual start: calls are rebuilt)
          `-> fenced: the process ends at once with status FENCED; its service manager starts the next, which waits

Nothing of the gateway is built before its turn has come, so that there is one way to start. The copy that the store has
is restored only where another node made it since this one was active: else our own files are newer. Where another node
was active and left no whole copy, all that it knew went with it, and ours is the newest that there is. Not here: the
lease, the store and the copies (state/cluster), HTTP (waiting_site).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.admin.status.cluster_api import ClusterAnswer, NodeAnswer
from gateway.app.cluster.node_terms import ThisMachine, lease_terms, link_of, secrets_of
from gateway.app.cluster.own_place import OwnPlace
from gateway.app.cluster.takeover import take_over
from gateway.app.cluster.waiting_site import WaitingAnswers, WaitingSite
from gateway.app.start_checks import made_state_directory
from gateway.base.clock import Clock
from gateway.config.model import Cluster, Configuration
from gateway.observe.cluster_metrics import ClusterMetrics
from gateway.observe.figures import Sample
from gateway.state.cluster.cluster_store import ClusterStore, Taken
from gateway.state.cluster.copying import Copying
from gateway.state.cluster.membership import Membership, NodeTurns
from gateway.state.cluster.node_lease import LeaseState

log = Logger()

FENCED: Final = 75
"""Exit status of a node that was active and may not be any more (EX_TEMPFAIL of sysexits.h)."""
RELEASE_SECONDS: Final = 0.3
SEEN_SECONDS: Final = 10.0
"""A node counts as there for so long after its last sign of life."""
SHOWN_SECONDS: Final = 86_400.0
"""One that is gone is shown for so long."""


class ClusterNode:
    """One node. `begin` builds and starts the gateway; `end` ends the process at once, with a reason and a status;
    `failed` is told of a start that failed."""

    def __init__(
        self,
        configuration: Configuration,
        cluster: Cluster,
        reactor: Any,
        end: Callable[[str, int], None],
        failed: Callable[[Failure], None],
    ) -> None:
        """Raises ConfigurationError, CertificateError, InUse, OSError."""
        self._cluster = cluster
        self._reactor = reactor
        self._end = end
        self._failed = failed
        self._directory = made_state_directory(configuration)
        self._place = OwnPlace(self._directory, cluster.node)
        self._clock = Clock(reactor)
        self._keys = secrets_of(configuration, cluster)
        link = link_of(configuration, cluster, reactor)
        self._store = ClusterStore(link, cluster.name, cluster.node, self._clock.wall)
        self._machine = ThisMachine(cluster.address)
        turns = NodeTurns(self._became_active, self._taken_again, self._fenced)
        token = self._place.remembered.token
        self._membership = Membership(self._store, lease_terms(cluster), self._machine, reactor, turns, token)
        self.copies = Copying(self._store, self._keys, reactor, self._completed)
        self._waiting = WaitingSite(configuration, WaitingAnswers(self.answer, self.figures), reactor)
        self._begin: Callable[[], Awaitable[None]] | None = None
        self._has_begun = False

    @property
    def is_waiting(self) -> bool:
        """Whether another node is active, or none can be, and this one answers that it waits."""
        return self._waiting.is_open

    @property
    def is_another_there(self) -> bool:
        """Whether another node has given a sign of life just now."""
        now, seen = self._clock.wall(), self._membership.standing.seen
        return any(node != self._cluster.node and now - at < SEEN_SECONDS for node, at in seen.items())

    def start(self, begin: Callable[[], Awaitable[None]]) -> None:
        """Wait for the turn of this node, then `begin`. Raises CannotListen."""
        self._begin = begin
        self._waiting.start()
        log.info("node {node} of cluster {name} waits for the lease", node=self._cluster.node, name=self._cluster.name)
        self._membership.start()

    async def leave_ports(self) -> None:
        """Close the interface of the node that waits: the gateway's own opens there. Until then a start answers that
        it lives, or keepalived would take the address away."""
        await self._waiting.stop()

    async def stop(self) -> None:
        """Copy the rest, give the lease back, listen no more."""
        await self._waiting.stop()
        await self.copies.finish()
        await self._membership.stop()

    def answer(self) -> ClusterAnswer:
        """How this node stands."""
        member, cluster, copies = self._membership, self._cluster, self.copies.figures
        now = self._clock.wall()
        seen = sorted(member.standing.seen.items())
        return ClusterAnswer(
            str(member.state.value),
            cluster.name,
            cluster.node,
            member.standing.holder,
            member.standing.since,
            member.standing.epoch,
            member.is_answered,
            cluster.address or "",
            self._machine.has_address(),
            copies.waiting,
            round(copies.lag, 3),
            copies.whole,
            tuple(NodeAnswer(node, round(now - at, 1)) for node, at in seen if now - at < SHOWN_SECONDS),
        )

    def figures(self) -> Iterator[Sample]:
        """The same for a scrape of the metrics."""
        member, copies, now = self._membership, self.copies.figures, self._clock.wall()
        rows = ClusterMetrics
        yield rows.cluster_active, (), member.lease.is_active
        yield rows.cluster_store_up, (), member.is_answered
        yield rows.cluster_alone, (), member.state is LeaseState.ALONE
        yield rows.cluster_nodes, (), sum(now - at < SEEN_SECONDS for at in member.standing.seen.values())
        yield rows.cluster_waiting_changes, (), copies.waiting
        yield rows.cluster_lag, (), copies.lag
        yield rows.cluster_copies, (), copies.whole
        yield rows.cluster_failures, (), copies.failures

    def _became_active(self, taken: Taken) -> None:
        Deferred.fromCoroutine(self._take_over(taken)).addErrback(self._failed)

    async def _take_over(self, taken: Taken) -> None:
        log.info("node {node} has the lease ({epoch}): it becomes active", node=self._cluster.node, epoch=self._epoch)
        generation = taken.generation
        if generation and generation != self._place.remembered.generation:
            count = await take_over(self._store, self._keys, taken, self._directory, self._reactor)
            log.info("{count} records of the node before are restored", count=count)
        elif generation:
            log.info("{meanwhile}: this node's own files are the newest", meanwhile=self._meanwhile(taken))
        else:
            log.info("the store has no copy: this node goes on with its own files")
        self._place.remember(self._membership.token, generation or self._place.remembered.generation)
        assert self._begin is not None
        await self._begin()
        self._membership.settled()
        self._has_begun = True
        self.copies.begin(self._membership.token, generation)

    def _taken_again(self, taken: Taken) -> None:
        """The store lost our lease, and gave us another. Another node may have had one between: this node was active
        alone, without the store. Where it has left a whole copy, that is the state of calls and phones that it served,
        which ours must not replace: this node ends, and starts from that copy. Where it has left none, ours is the
        only one there is, and the calls that go on here outweigh all else.

        Before this node has begun, there is nothing to copy yet: `_take_over` goes on under the new lease.
        """
        meanwhile = self._meanwhile(taken)
        known = ("", self._place.remembered.generation)
        if taken.generation not in known and not self.copies.made(taken.generation):
            self._place.remember(self._membership.token, self._place.remembered.generation)
            self._fenced("another node was active meanwhile")
            return
        log.warn(
            "the store had lost the lease of this node, and it has another: {meanwhile}, all is copied anew",
            meanwhile=meanwhile,
        )
        if self._has_begun:
            self.copies.begin(self._membership.token, taken.generation)
        self._place.remember(self._membership.token, self._place.remembered.generation)

    def _meanwhile(self, taken: Taken) -> str:
        """Whether another node had the lease since this one, in words. An answer that was lost on its way has given it
        to this one as well, so that it need not have been another."""
        if taken.standing.epoch == self._place.remembered.epoch + 1:
            return "no other node was active meanwhile"
        return "another node may have been active meanwhile, and has left no copy"

    def _completed(self, generation: str) -> None:
        self._membership.generation = generation
        self._place.remember(self._membership.token, generation)

    @property
    def _epoch(self) -> int:
        return self._membership.epoch

    def _fenced(self, reason: str) -> None:
        """At once, and without a BYE: the calls are the other node's. A node that the network does not find any more
        takes a moment to give the lease back, so that no other has to wait for its end."""

        def end(_: object) -> None:
            self._end(f"this node may not be active any more: {reason}", FENCED)

        if self._machine.has_address() or not self._membership.is_answered:
            end(None)
        else:
            released = Deferred.fromCoroutine(self._membership.stop())
            released.addTimeout(RELEASE_SECONDS, self._reactor).addBoth(end)
