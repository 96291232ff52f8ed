"""One relay node as the pool sees it: whether it is up, its calls, the packets that it counted.

A node is a worker process of ours (with its supervision) or an rtpengine. Its listener hears when calls lost their
media. Not here: which node a call goes to (pool), whether it is there (pulse), how a process is kept alive
(worker_process).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.media import ng_commands
from gateway.media.browser_flags import BrowserOffers
from gateway.media.call_news import CallNews, NewsListener
from gateway.media.ng import RETRY_SECONDS, NgClient, Reply, in_short_steps
from gateway.media.pulse import Pulse
from gateway.media.relay import JSON, RelayFailure
from gateway.media.reports import PartySides, from_rtpengine
from gateway.media.statistics import RelayFigures
from gateway.media.worker_process import WorkerProcess

STARTING: Final = 5
"""Questions, three seconds each, that a worker may leave without an answer when the gateway starts."""
LIST_LIMIT: Final = 1_000
"""Calls in one reply of an rtpengine to `list`: more would not fit a UDP datagram."""
WORKER_LIST_LIMIT: Final = 4_000
"""Of a worker, which names calls as we do, over a UNIX socket."""
QUERIES: Final = 100
"""At a poll, when a list was cut short: so many of the calls that it leaves out are asked about, each in turn."""
UNKNOWN_CALL: Final = "unknown call-id"
"""A relay's words for a call that it does not have, in lower case."""

Count = Callable[[tuple[str, ...], int], None]
"""Takes packets of a direction, or packets that went no further by side and cause."""

log = Logger()


class NodeListener(NewsListener, Protocol):
    """The pool, as its nodes see it."""

    def node_came(self) -> None:
        """The node is up, again or for the first time."""

    def calls_gone(self, node: Node, calls: tuple[str, ...], reason: str) -> None:
        """Calls without media at the node now: it ended them where it `is_up`, else it went down with them."""


class Node:
    """`client` asks it; `worker` is its process, None for rtpengine. A higher `weight` takes more calls.

    `heard_from_anywhere` are sides of which an rtpengine is not to be strict; a worker has them in its command line.
    """

    def __init__(
        self,
        name: str,
        client: NgClient,
        worker: WorkerProcess | None = None,
        weight: int = 1,
        heard_from_anywhere: Collection[str] = (),
    ) -> None:
        self.name = name
        self.client = client
        self.weight = weight
        self.calls: set[str] = set()
        self.is_up = False
        self.restarts = 0
        self._listener: NodeListener | None = None
        self._worker = worker
        self._heard_from_anywhere = frozenset(heard_from_anywhere)
        self._confirmed: set[str] = set()
        self._sides: dict[str, PartySides] = {}
        self._news = CallNews()
        self._browsers = BrowserOffers()
        self._unlisted: list[str] = []
        self._list_limit = LIST_LIMIT if worker is None else WORKER_LIST_LIMIT
        self._pulse = Pulse(client, worker, self)
        self._uptime: int | None = None
        self._counted: dict[tuple[str, ...], int] = {}
        self.figures = RelayFigures()
        """Of its last answer to a poll."""

    @property
    def is_ours(self) -> bool:
        """Whether it is a worker: started again at once when it ends, and able to offer RTP/SAVP and RTP/AVP for one
        stream."""
        return self._worker is not None

    @property
    def worker_pid(self) -> int | None:
        """The process id of a worker that was started from here."""
        return self._worker.pid if self._worker is not None else None

    def start(self, listener: NodeListener) -> Deferred[tuple[str, ...]]:
        """The calls found there: a worker outlives the gateway. RelayFailure when it does not answer."""
        self._listener = listener
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> tuple[str, ...]:
        try:
            self.client.start()
        except CannotListenError as error:
            raise RelayFailure(f"no socket to ask {self.name}: {error}") from None
        if self._worker is not None:
            self._worker.start(self._worker_died)
        reply = await self._first_list()
        if self._worker is not None and self._worker.options.follows:
            await self.client.request(ng_commands.interfaces(self._worker.options.interfaces))
        self.answered({})
        # A worker that runs since before an upgrade may not.
        self.client.gathers = reply.get("gathers") is True
        # An rtpengine may serve others as well: only a worker's calls are ours for sure.
        found = _names(reply.get("calls")) if self._worker is not None else ()
        self._confirmed.update(found)
        return found

    async def _first_list(self) -> Reply:
        """Its calls. A worker just started on a machine that is busy, as after a power cut, takes its time; one that
        was found but hangs is replaced."""
        patience = STARTING if self._worker is not None else 1
        while True:
            patience -= 1
            waits = RETRY_SECONDS if self.worker_pid is None else in_short_steps(RETRY_SECONDS)
            try:
                return await self.client.request(
                    {"command": "list", "limit": self._list_limit}, waits=waits, insists=True
                )
            except RelayFailure:
                if self._worker is None or patience == 0:
                    raise
                if self._worker.pid is None:
                    self._worker.check()

    async def move(self, interfaces: tuple[str, ...]) -> None:
        """Have the media of new calls at these; an rtpengine has its own. Raises RelayFailure; a worker that is down is
        started with them."""
        if self._worker is not None:
            self._worker.move(interfaces)
            if self.is_up:
                await self.client.request(ng_commands.interfaces(interfaces))

    def stop(self) -> None:
        """Ask it nothing more."""
        self.is_up = False
        self.client.stop()
        if self._worker is not None:
            self._worker.stop()

    def rewrite(self, call: str, fields: dict[str, JSON]) -> Deferred[bytes]:
        """The `sdp` of the reply to an offer or answer."""
        if self._worker is None:
            sides = self._sides.get(call)
            is_held = sides is not None and sides.sender(fields) not in self._heard_from_anywhere
            fields = self._browsers.shaped(call, ng_commands.for_rtpengine(fields), is_held=is_held)
        return self.client.request(fields).addCallback(self._rewritten, call)

    def confirm(self, call: str) -> None:
        """The call was answered, as an early answer said. An rtpengine cannot be told, nor a worker from before
        an upgrade: they count silence from the early answer on."""
        if self._worker is not None:
            self.client.request(ng_commands.confirm(call)).addErrback(_ignore)

    def begin(self, call: str, asked: dict[str, JSON]) -> None:
        """A new call goes here, with that offer."""
        self.calls.add(call)
        if self._worker is None:
            self._sides[call] = PartySides.of_offer(asked)

    def query(self, call: str) -> Deferred[Reply]:
        """The call's report, in a worker's form."""
        waiting = self.client.request({"command": "query", "call-id": call})
        sides = self._sides.get(call)
        return waiting if sides is None else waiting.addCallback(from_rtpengine, sides)

    def end(self, call: str, *, at_once: bool = False) -> Deferred[Reply]:
        """End the call; its last report. An rtpengine tells it only before the end, and may have ended the call."""
        if self._worker is not None:
            return self.client.request(ng_commands.delete(call), at_once=at_once)
        if at_once:
            return self._delete({}, call)
        return self.query(call).addErrback(_ignore).addCallback(self._delete, call)

    def _delete(self, report: Reply | None, call: str) -> Deferred[Reply]:
        return self.client.request(ng_commands.delete(call)).addCallback(lambda _: report or {})

    def forget(self, call: str) -> None:
        self.calls.discard(call)
        self._confirmed.discard(call)
        self._news.forget(call)
        self._browsers.forget(call)
        self._sides.pop(call, None)

    def ping(self) -> None:
        """Find out whether it is up."""
        self._pulse.ping(is_up=self.is_up)

    def poll(self, count: Count) -> None:
        """Find calls that it no longer has, and count packets since the last time."""
        before, ask = frozenset(self._confirmed), self.client.request

        def compare(_: object) -> None:
            ask({"command": "list", "limit": self._list_limit}).addCallbacks(self._compare, _ignore, (before,))

        figures = ask({"command": "statistics"}).addCallback(self._count, count)
        if self._worker is None:
            figures.addCallback(compare)  # not before it has said that it is still the same process
        else:
            compare(None)
        figures.addErrback(_ignore)

    def _rewritten(self, reply: Reply, call: str) -> bytes:
        sdp = reply.get("sdp")
        if not isinstance(sdp, str):
            raise RelayFailure(f"{self.name} answered without SDP")
        if call in self.calls:
            self._confirmed.add(call)
        return sdp.encode("utf-8", "surrogateescape")

    def answered(self, reply: Reply) -> None:
        """It is there; an rtpengine tells its age, and news may come along."""
        uptime = RelayFigures.of(reply).uptime
        if uptime is not None:
            before, self._uptime = self._uptime, uptime
            if before is not None and uptime < before:
                self.lost("it was started again")
        self._pulse.beat()
        if reply:
            self._news.hear(reply, self.calls, self._listener)
        if not self.is_up:
            self.is_up = True
            log.info("media relay {node} is up", node=self.name)
            if self._listener is not None:
                self._listener.node_came()

    def _worker_died(self) -> None:
        self.restarts += 1
        self._pulse.died()
        self._counted, self.figures = {}, RelayFigures()
        self.lost("its process ended")

    def lost(self, reason: str) -> None:
        """It is down, and its calls with it."""
        was_up, self.is_up = self.is_up, False
        if was_up:
            log.warn("media relay {node} is down: {reason}", node=self.name, reason=reason)
        self._tell_gone(tuple(self.calls), reason)

    def _tell_gone(self, calls: tuple[str, ...], reason: str) -> None:
        if self._listener is not None:
            self._listener.calls_gone(self, calls, reason)

    def _compare(self, reply: Reply, before: frozenset[str]) -> None:
        self._news.hear(reply, self.calls, self._listener)
        listed = _names(reply.get("calls"))
        missing = (before & self._confirmed).difference(listed)
        if len(listed) < self._list_limit:
            self._unlisted = []
            if missing:
                self._tell_gone(tuple(missing), "the relay ended them")
            return
        # The list was cut short: those it leaves out are asked about, some at a time.
        self._unlisted = [call for call in self._unlisted if call in missing] or sorted(missing)
        asked, self._unlisted = self._unlisted[:QUERIES], self._unlisted[QUERIES:]
        for call in asked:
            self.client.request({"command": "query", "call-id": call}).addCallbacks(
                lambda _: None, self._not_found, errbackArgs=(call,)
            )

    def _not_found(self, failure: Failure, call: str) -> None:
        failure.trap(RelayFailure)
        if call in self._confirmed and UNKNOWN_CALL in failure.getErrorMessage().lower():
            self._tell_gone((call,), "the relay ended it")

    def _count(self, reply: Reply, count: Count) -> None:
        if self._worker is None:
            self.answered(reply)
        self.figures = RelayFigures.of(reply)
        for key, total in self.figures.counted().items():
            # An rtpengine counted long before us and may have others' calls; one that counts less began anew.
            before = self._counted.get(key, 0 if self._worker is not None else total)
            self._counted[key] = total
            if total != before:
                count(key, total - before if total > before else total)


def _ignore(failure: Failure) -> None:
    """A question without an answer: pings decide whether the node is down."""
    failure.trap(RelayFailure)


def _names(value: JSON) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
