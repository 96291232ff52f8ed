"""Events as they happen, over HTTP: Server-Sent Events (WHATWG HTML, section 9.2), which a browser reads by itself.

    Events (ring) --from the reader's place on--> a piece at a time --> request      paused: the reader takes no more
                  --each later one, at once-----> request                            65,536 bytes behind: cut

A reader that was cut off comes again with Last-Event-ID and goes on where it was. Numbers are those of one run of the
gateway, so an id has the time of its start in it, too; one of another run leads to all that is remembered.

Nobody waits for a reader: the transport's buffer takes 64 KiB, and says when it is full (a producer's pause). Events
told meanwhile stay in the ring, and a reader that falls behind by as much again is cut. Every 15 s a comment goes out,
so that proxies keep the connection. Then, and before an event, it is asked again whether the reader may still read: a
session may have ended, a token been revoked, a role changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from zope.interface import implementer

from gateway.admin.hardening import Rejected
from gateway.base.json_codec import encode
from gateway.observe.events import Events, GatewayEvent

log = Logger()

READERS: Final = 50
"""Readers at once."""
BEHIND: Final = 65_536
"""Bytes that a reader may be behind the transport's buffer."""
COMMENT_SECONDS: Final = 15.0
ASK_SECONDS: Final = 1.0
"""Between two questions whether a reader may still read: a log-out ends its stream by then, at the next event."""
PIECE: Final = 100
"""Events of the past that are written in one go."""

Wanted = Callable[[str], bool]
"""Whether events of a name are wanted."""


class EventStreams:
    """The readers of one gateway's events. ``began`` is the time of its start, in whole seconds."""

    def __init__(self, events: Events, timers: IReactorTime, began: int) -> None:
        self.events = events
        self.timers = timers
        self.began = began
        self._readers: set[_Reader] = set()

    def __len__(self) -> int:
        return len(self._readers)

    def open(
        self, request: IRequest, since: str | None, wanted: Wanted, may_read: Callable[[], object]
    ) -> Deferred[bytes]:
        """Write events to a request until its reader leaves; ``since`` is the id of the last one that it knows.

        ``may_read`` raises Rejected when it may not any more. Raises Rejected 503 where there are too many readers.
        """
        if len(self._readers) >= READERS:
            raise Rejected(503, f"{READERS} readers follow the events already: try again later.")
        reader = _Reader(self, request, self._number(since), wanted, may_read)
        self._readers.add(reader)
        return reader.begin().addBoth(self._ended, reader)

    def _ended(self, result: bytes | Failure, reader: _Reader) -> bytes | Failure:
        self._readers.discard(reader)
        return result

    def _number(self, since: str | None) -> int:
        """The number that an id has: that of the latest event without one."""
        if since is None:
            return self.events.last
        began, _, number = since.partition("-")
        is_ours = began == str(self.began) and number.isascii() and number.isdigit() and len(number) < 16
        return int(number) if is_ours else 0


@implementer(IPushProducer)
class _Reader:
    """One request."""

    def __init__(
        self,
        streams: EventStreams,
        request: IRequest,
        number: int,
        wanted: Wanted,
        may_read: Callable[[], object],
    ) -> None:
        self._streams = streams
        self._request: Any = request
        self._number = number
        self._wanted = wanted
        self._may_read = may_read
        self._is_paused = False
        self._behind = 0
        self._done: Deferred[bytes] = Deferred()
        self._comment: IDelayedCall | None = None
        self._asked_at = streams.timers.seconds()

    def begin(self) -> Deferred[bytes]:
        """Write the events that are remembered, then all that come; fires when that is over."""
        request = self._request
        request.setHeader(b"content-type", b"text/event-stream; charset=utf-8")
        request.setHeader(b"x-accel-buffering", b"no")
        request.notifyFinish().addBoth(lambda _: self._leave())
        request.write(b"retry: 2000\n\n")
        if not self._streams.events.subscribe(self._receive):
            return self._done if self._done.called else self._end()
        self._comment = self._streams.timers.callLater(COMMENT_SECONDS, self._comment_due)
        request.registerProducer(self, True)
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """There is room: write on from the reader's place, a piece at a time."""
        self._is_paused = False
        self._behind = 0
        while self._takes_more():
            piece = self._streams.events.after(self._number, PIECE)
            if not piece:
                return
            for number, event in piece:
                if not self._takes_more():
                    return
                self._write(number, event)

    def _takes_more(self) -> bool:
        return not self._is_paused and not self._done.called

    def stopProducing(self) -> None:
        """The connection is ending; the request is told of it in a moment, and nothing may be written before."""
        self._stop()

    def _receive(self, number: int, event: GatewayEvent) -> None:
        if not self._is_paused:
            self._write(number, event)
        elif self._wanted(event.name):
            self._behind += len(_form(self._streams.began, number, event))
            if self._behind > BEHIND:
                log.info("a reader of events is too slow and is cut off")
                self._stop()
                self._request.channel.forceAbortClient()  # and then it leaves

    def _write(self, number: int, event: GatewayEvent) -> None:
        self._number = number
        if self._wanted(event.name) and self._still_may():
            self._request.write(_form(self._streams.began, number, event))

    def _comment_due(self) -> None:
        self._comment = self._streams.timers.callLater(COMMENT_SECONDS, self._comment_due)
        self._asked_at = -math.inf
        if self._still_may() and not self._is_paused:
            self._request.write(b": still here\n\n")

    def _still_may(self) -> bool:
        """Whether the reader may still read, as it was a second ago at most; the answer ends where it may not."""
        now = self._streams.timers.seconds()
        if now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            try:
                self._may_read()
            except Rejected:
                self._end()
        return not self._done.called

    def _end(self) -> Deferred[bytes]:
        """End the answer."""
        self._request.unregisterProducer()
        self._leave()
        return self._done

    def _leave(self) -> None:
        """Follow no more events, and say so."""
        self._stop()
        if not self._done.called:
            self._done.callback(b"")

    def _stop(self) -> None:
        """Follow no more events."""
        self._streams.events.unsubscribe(self._receive)
        if self._comment is not None and self._comment.active():
            self._comment.cancel()


def _form(began: int, number: int, event: GatewayEvent) -> bytes:
    """An event as the format has it: JSON has no line break in it."""
    return b"id: %d-%d\nevent: %s\ndata: %s\n\n" % (began, number, event.name.encode(), encode(event.as_json()))


def wants(names: tuple[str, ...]) -> Wanted:
    """By names, and beginnings of names with an asterisk: ``call.*``. None given: all."""
    whole = frozenset(name for name in names if not name.endswith("*"))
    beginnings = tuple(name.removesuffix("*") for name in names if name.endswith("*"))
    return lambda name: not names or name in whole or name.startswith(beginnings)
