"""A relay of several nodes: our worker processes, or rtpengines. Implements relay.Relay.

A call stays on the node that its first offer went to, the one with the fewest calls then. Every node is pinged; one
that stays silent is down (a worker after two seconds, sooner where the kernel knows more: pulse): its calls are
reported as lost, and new ones go elsewhere. Where there is no elsewhere, they wait a moment for their relay to be
started again. An rtpengine that was started again has lost its calls, and did not end them: they are put on a relay
anew. Now and then a node's list of calls and its counters are fetched: calls it no longer has (their media timed out)
have ended, packets are counted.

    offer(call) -> node of the call, or the least loaded -> NG -> SDP
    every PING_SECONDS: ping each node -> up | down -> media_lost(calls)
    every POLL_SECONDS: list, statistics -> media_ended(calls that timed out), metrics
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.media import ng_commands
from gateway.media.call_news import News
from gateway.media.node import Node
from gateway.media.relay import (
    JSON,
    UNKNOWN_SOURCE,
    Encryption,
    RelayFailure,
    RelayListener,
    RelayRefusal,
    SdpSource,
    SdpWish,
)
from gateway.media.reports import observe
from gateway.observe.events import EventName
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics

PING_SECONDS: Final = 0.5
POLL_SECONDS: Final = 10.0
RETURN_SECONDS: Final = 5.0
"""For which calls wait for the one relay there is to be started again: two seconds are usual of a worker."""

T = TypeVar("T")

log = Logger()


class RelayPool:
    """Spreads calls over `nodes`."""

    def __init__(self, clock: IReactorTime, nodes: Sequence[Node], metrics: Metrics | None = None) -> None:
        self.nodes = tuple(nodes)
        self._metrics = metrics
        self._calls: dict[str, Node] = {}
        self._offered: dict[str, Deferred[bytes]] = {}
        """First offers that have no answer yet."""
        self._restarts = 0
        self._known_up: set[str] = set()
        self._timers = [(LoopingCall(self._ping), PING_SECONDS), (LoopingCall(self._poll), POLL_SECONDS)]
        for timer, _ in self._timers:
            timer.clock = clock
        self._clock = clock
        self._listener: RelayListener | None = None
        self._homeless: tuple[str, ...] = ()
        """Calls that lost their relay, and that no other could take."""
        self._waiting: IDelayedCall | None = None
        if metrics is not None:
            metrics.asked.add(self._figures)

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls that have media now, those found at nodes at the start among them."""
        return tuple(self._calls)

    def missing(self, calls: Iterable[str]) -> tuple[str, ...]:
        """Those of these calls that no node has, where the nodes can tell: an rtpengine's calls may be another's."""
        if not all(node.is_ours for node in self.nodes):
            return ()
        return tuple(call for call in calls if call not in self._calls)

    def start(self, listener: RelayListener) -> Deferred[None]:
        """Fires when every node was asked and at least one answers; RelayFailure when none does."""
        self._listener = listener
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        started = [node.start(self).addCallback(self._adopt, node).addErrback(_log_start, node) for node in self.nodes]
        await DeferredList(started)
        for timer, seconds in self._timers:
            timer.start(seconds, now=False)
        if not any(node.is_up for node in self.nodes):
            raise RelayFailure("no media relay answers: " + ", ".join(node.name for node in self.nodes))

    def stop(self) -> Deferred[None]:
        """Let go of the nodes; the media of running calls goes on."""
        for timer, _ in self._timers:
            if timer.running:
                timer.stop()
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        for node in self.nodes:
            node.stop()
        return succeed(None)

    def offer(
        self,
        call: str,
        from_tag: str,
        sdp: bytes,
        wish: SdpWish,
        to_tag: str | None = None,
        source: SdpSource = UNKNOWN_SOURCE,
    ) -> Deferred[bytes]:
        """The offerer's SDP, rewritten for the other side as wished. A new call tries one node after the other."""
        if any(not node.is_ours for node in self.nodes) and wish.encryption is Encryption.DUAL:
            return fail(RelayRefusal("rtpengine cannot offer RTP/SAVP and RTP/AVP for one stream: use savp or osrtp"))
        asked = ng_commands.offer(call, from_tag, to_tag, sdp, wish, source)
        node = self._calls.get(call)
        return self._begin(call, asked, ()) if node is None else node.rewrite(call, asked)

    def _begin(self, call: str, asked: dict[str, JSON], tried: tuple[Node, ...]) -> Deferred[bytes]:
        """Give a new call to a node that was not `tried` yet."""
        node = self._least_loaded(tried)
        if node is None:
            return fail(RelayFailure("no media relay answers"))
        self._calls[call] = node
        node.begin(call, asked)
        waiting = self._offered[call] = node.rewrite(call, asked)
        waiting.addBoth(_take_out, self._offered, call)
        return waiting.addErrback(self._begin_elsewhere, call, asked, (*tried, node))

    def _begin_elsewhere(
        self, failure: Failure, call: str, asked: dict[str, JSON], tried: tuple[Node, ...]
    ) -> Deferred[bytes]:
        """An offer that failed before the call had media leaves nothing here, and nothing at the node."""
        is_here = self._calls.get(call) is tried[-1]
        self.delete(call)
        if is_here and failure.check(CancelledError) is not None and not tried[-1].is_up:
            failure = Failure(RelayFailure(f"{tried[-1].name} went down before it answered"))
        is_trouble = failure.check(RelayFailure) is not None and failure.check(RelayRefusal) is None
        if not is_here or not is_trouble or self._least_loaded(tried) is None:
            return fail(failure)
        log.info("{node} did not take call {call_id}: another is asked", node=tried[-1].name, call_id=call)
        return self._begin(call, asked, tried)

    def answer(
        self, call: str, from_tag: str, to_tag: str, sdp: bytes, source: SdpSource = UNKNOWN_SOURCE
    ) -> Deferred[bytes]:
        """The answerer's SDP, rewritten for the offerer."""
        node = self._calls.get(call)
        if node is None:
            return fail(RelayFailure("answer: the call has no media"))
        return node.rewrite(call, ng_commands.answer(call, from_tag, to_tag, sdp, source))

    def confirm(self, call: str) -> None:
        """The call was answered, as an early answer said."""
        node = self._calls.get(call)
        if node is not None:
            node.confirm(call)

    def delete(self, call: str, *, at_once: bool = False) -> Deferred[dict[str, JSON]]:
        """End the call's media, and give its last report. Never fails: a relay that is silent drops the call itself."""
        node = self._calls.get(call)
        waiting = node.end(call, at_once=at_once) if node is not None and node.is_up else succeed({})
        self._forget(call)
        return waiting.addCallbacks(self._observe, lambda failure: _log_failure(failure, call))

    def query(self, call: str) -> Deferred[dict[str, JSON]]:
        """The node's report on the call so far."""
        node = self._calls.get(call)
        if node is None:
            return fail(RelayFailure("query: the call has no media"))
        return node.query(call)

    def _least_loaded(self, but: tuple[Node, ...] = ()) -> Node | None:
        up = (node for node in self.nodes if node.is_up and node not in but)
        return min(up, key=lambda node: len(node.calls) / node.weight, default=None)

    def _adopt(self, found: tuple[str, ...], node: Node) -> None:
        for call in found:
            self._calls.setdefault(call, node)
            node.calls.add(call)

    def _forget(self, call: str) -> Node | None:
        node = self._calls.pop(call, None)
        if node is not None:
            node.forget(call)
        return node

    def calls_gone(self, node: Node, calls: tuple[str, ...], reason: str) -> None:
        """Calls that the node ended, or went down with."""
        self._tell_nodes(calls=len(calls), why=reason)
        if not node.is_up:
            _give_up(self._offered, calls)
        gone = tuple(call for call in calls if self._calls.get(call) is node)
        if not gone:
            return
        log.warn("media of {count} calls at {node} is lost: {reason}", count=len(gone), node=node.name, reason=reason)
        if node.is_up:
            # It ended them, and has a last word on each, which the listener gets from `delete`.
            if self._listener is not None:
                self._listener.media_ended(gone)
            for call in set(gone).intersection(self._calls):
                self.delete(call)
        else:
            for call in gone:
                self._forget(call)
            self._homeless += gone
            if any(other.is_up for other in self.nodes):
                self._report_homeless()
            elif self._waiting is None:
                self._waiting = self._clock.callLater(RETURN_SECONDS, self._report_homeless)

    def told(self, news: News, calls: tuple[str, ...]) -> None:
        """A node tells this of these calls."""
        if self._listener is None:
            return
        if news is News.MISMATCHED:
            log.warn("media of {count} calls is stopped: a certificate is not the one of the SDP", count=len(calls))
            self._listener.media_mismatched(calls)
        else:
            self._listener.media_in_clear(calls)

    def node_came(self) -> None:
        """A node is up, again or for the first time: it can take calls that lost theirs."""
        self._tell_nodes()
        self._report_homeless()

    def _tell_nodes(self, **why: Any) -> None:
        """Tell of nodes that are up or down since the last time."""
        changed = [node for node in self.nodes if (node.name in self._known_up) is not node.is_up]
        self._known_up.symmetric_difference_update(node.name for node in changed)
        events = None if self._metrics is None else self._metrics.events
        for node in changed:
            name = EventName.MEDIA_NODE_UP if node.is_up else EventName.MEDIA_NODE_DOWN
            if events is not None:
                events.note(name, who=node.name, **({} if node.is_up else why))

    def _report_homeless(self) -> None:
        """Tell of calls that lost their media: a relay is up, or none will be."""
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = None
        calls, self._homeless = self._homeless, ()
        if calls and self._listener is not None:
            self._listener.media_lost(calls)

    def _ping(self) -> None:
        for node in self.nodes:
            node.ping()
        restarts = sum(node.restarts for node in self.nodes)
        if self._metrics is not None:
            self._metrics.worker_restarts.inc(restarts - self._restarts)
        self._restarts = restarts

    def _poll(self) -> None:
        for node in self.nodes:
            if node.is_up:
                node.poll(self._count)

    def _observe(self, report: dict[str, JSON]) -> dict[str, JSON]:
        if self._metrics is not None:
            observe(report, self._metrics)
        return report

    def _count(self, key: tuple[str, ...], packets: int) -> None:
        """Packets of a direction, or of a side and a cause for which they went no further; or results of browsers."""
        if self._metrics is None:
            return
        if len(key) == 3:
            of_browsers = self._metrics.ice_checks if key[1] == "checks" else self._metrics.dtls_handshakes
            of_browsers.labels(key[2]).inc(packets)
        else:
            counter = self._metrics.relayed_packets if len(key) == 1 else self._metrics.failed_packets
            counter.labels(*key).inc(packets)

    def _figures(self) -> Iterator[Sample]:
        """Each relay's ports, and the workers' processes. An rtpengine says nothing of its own, and goes by its number,
        since its name has its address."""
        for index, node in enumerate(self.nodes):
            number = (node.name.rpartition(" ")[2],)
            relay = f"worker {number[0]}" if node.is_ours else f"rtpengine {index}"
            for state, ports in node.figures.ports.items():
                yield Metrics.media_ports, (relay, state), ports
            if node.is_ours and node.figures.cpu_seconds is not None:
                yield Metrics.worker_cpu, number, node.figures.cpu_seconds
                yield Metrics.worker_memory, number, node.figures.resident_bytes or 0
            if node.is_ours and node.figures.loop is not None:
                yield Metrics.worker_loop, (*number, node.figures.loop), 1


def _take_out(outcome: T, offered: dict[str, Deferred[bytes]], call: str) -> T:
    """A first offer has its answer."""
    offered.pop(call, None)
    return outcome


def _give_up(offered: dict[str, Deferred[bytes]], calls: Iterable[str]) -> None:
    """Wait no longer for answers to first offers: these calls have no media yet, and begin elsewhere."""
    for call in calls:
        if call in offered:
            offered[call].cancel()


def _log_start(failure: Failure, node: Node) -> None:
    """The others may do; with none the start fails."""
    if failure.check(RelayFailure) is not None:
        log.error("{node} does not answer: {reason}", node=node.name, reason=failure.getErrorMessage())
    else:
        log.failure("{node} cannot be started", failure, node=node.name)


def _log_failure(failure: Failure, call: str) -> dict[str, JSON]:
    failure.trap(RelayFailure)
    log.info("media of {call_id} not deleted: {reason}", call_id=call, reason=failure.getErrorMessage())
    return {}
