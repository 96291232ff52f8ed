"""The tracer: finds the call of each tapped message, takes the secrets out, and gives it to each that traces.

    b2bua (a call, a subscription, a request outside of calls) -> CallNames
    Tap -> tapped -> queue -> (a moment later) -> TracedMessage -> each watcher: HepExporter, Traces

A moment later, because the first INVITE of a call goes by before there is a call, and a burst of messages is not the
time to work on them. The queue is bounded: when it is full the newest message is left out and counted, and
signalling goes on. It watches the tap only while somebody traces.
"""

from __future__ import annotations

import re
from collections import deque
from functools import cached_property
from typing import Final, Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.base.clock import Clock
from gateway.transport.tap import Tap, TappedMessage
from gateway.transport.trace.filler import without_secrets

log = Logger()

LATER: Final = 0.05
"""Seconds until a message is worked on."""
AT_ONCE: Final = 200
"""Messages worked on before anything else has its turn."""
WAITING: Final = 10_000
"""Messages that wait at most."""
WAITING_BYTES: Final = 16 * 1024 * 1024
"""Their bytes at most."""

REMEMBERED: Final = 50_000
"""Call-IDs kept at most; the oldest go first."""
LONGEST: Final = 256
"""Characters of a Call-ID that is kept: a longer one is known by its beginning."""

_CALL_ID = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:\s*([^\r\n]*\S)")


class CallNames:
    """The call that each Call-ID is of.

    A back-to-back user agent gives its second leg a Call-ID of its own, so nothing in a message of one leg names the
    other. Names stay for a while after the call: its last messages come late.
    """

    def __init__(self) -> None:
        self._calls: dict[str, str] = {}

    def join(self, call: str, *call_ids: str) -> None:
        """These Call-IDs are of that call; the latest call counts."""
        calls = self._calls
        for call_id in call_ids:
            key = call_id[:LONGEST]
            if key in calls:
                del calls[key]
            calls[key] = call
        while len(calls) > REMEMBERED:
            del calls[next(iter(calls))]

    def call_of(self, call_id: str) -> str:
        """The id of the call; empty where none is known."""
        return self._calls.get(call_id[:LONGEST], "")


@attrs.define
class TracedMessage:
    """A message with the call that it is of. Its secrets are taken out when the first watcher wants it, for all."""

    at: float
    """Seconds since the epoch."""
    message: TappedMessage = attrs.field(repr=False)
    sip_call_id: str
    call: str
    """The gateway's id of the call, for both legs the same; empty outside of calls."""

    @cached_property
    def shown(self) -> bytes:
        """The message without its secrets, as long as before."""
        return without_secrets(self.message.data)

    @property
    def security(self) -> str:
        """The TLS version and cipher that it came or went under; empty where it was in clear."""
        tls = self.message.tls
        return "" if tls is None else f"{tls.version} {tls.cipher}"

    @property
    def ends(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Sender and receiver."""
        message = self.message
        ours = (message.local.host, message.local.port)
        theirs = (message.remote.host, message.remote.port)
        return (ours, theirs) if message.is_sent else (theirs, ours)


class Watcher(Protocol):
    """One that traces."""

    def take(self, traced: TracedMessage) -> None:
        """A message, in order."""


class Tracer:
    """Reads the tap for all that trace."""

    def __init__(self, tap: Tap, names: CallNames, clock: Clock) -> None:
        self._tap = tap
        self._names = names
        self._clock = clock
        self._watchers: tuple[Watcher, ...] = ()
        self._queue: deque[tuple[float, TappedMessage]] = deque()
        self._bytes = 0
        self._timer: IDelayedCall | None = None
        self.left_out = 0
        """Messages so far that the queue had no room for."""

    def add(self, watcher: Watcher) -> None:
        """Give it every message from now on."""
        if not self._watchers:
            self._tap.add(self)
        self._watchers = (*self._watchers, watcher)

    def remove(self, watcher: Watcher) -> None:
        """Give it no more; the last one to go ends the watch of the tap."""
        self._watchers = tuple(one for one in self._watchers if one is not watcher)
        if not self._watchers:
            self._tap.remove(self)

    def stop(self) -> None:
        """Work on nothing more."""
        self._tap.remove(self)
        self._watchers = ()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def tapped(self, message: TappedMessage) -> None:
        """Keep a message for a moment."""
        if len(self._queue) >= WAITING or self._bytes + len(message.data) > WAITING_BYTES:
            self.left_out += 1
            return
        self._queue.append((self._clock.wall(), message))
        self._bytes += len(message.data)
        if self._timer is None:
            self._timer = self._clock.timers.callLater(LATER, self._work)

    def _work(self) -> None:
        self._timer = None
        for _ in range(min(AT_ONCE, len(self._queue))):
            at, message = self._queue.popleft()
            self._bytes -= len(message.data)
            self._give(at, message)
        if self._queue:
            self._timer = self._clock.timers.callLater(0, self._work)

    def _give(self, at: float, message: TappedMessage) -> None:
        found = _CALL_ID.search(message.data)
        sip_call_id = "" if found is None else found[1].decode("utf-8", "backslashreplace")
        traced = TracedMessage(at, message, sip_call_id, self._names.call_of(sip_call_id))
        for watcher in self._watchers:
            try:
                watcher.take(traced)
            except Exception:  # the guard: one watcher's bug ends nobody else's trace
                log.failure("a trace failed at a message")
