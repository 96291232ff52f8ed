"""Traces on demand: the messages of one call, user, number, domain or peer, in a pcapng file, for a while.

    start(TraceWish) -> Trace, which the tracer gives each message -> wanted? -> FILE (state directory, traces/)
                        ends by itself: its time, its size, or a disk that is full

A message that fits brings its call: both legs of that call are in the file from then on. Files have no secret in them
and are readable by the gateway's user alone; the oldest go when there are too many. A trace never holds up a call: a
thread writes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from gateway.base.clock import Clock
from gateway.transport.trace.pcapng import interface, packet, section
from gateway.transport.trace.tracer import TracedMessage, Tracer

log = Logger()

AT_ONCE: Final = 8
"""Traces that go on at the same time."""
KEPT: Final = 20
"""Files that are kept."""
LONGEST_SECONDS: Final = 24 * 3600
LARGEST_BYTES: Final = 100_000_000
CALLS: Final = 1_000
"""Calls that one trace follows."""
WRITE_SECONDS: Final = 0.5
"""Between two writes of a file."""
UNWRITTEN_BYTES: Final = 8 * 1024 * 1024
"""Bytes that may wait for a slow disk."""

_PARTY = re.compile(rb"(?im)^(?:from|f|to|t|p-asserted-identity|p-preferred-identity)[ \t]*:[^\r\n]*")


class TraceRefused(Exception):
    """A trace cannot be begun; str() is one line for people."""


@attrs.frozen
class TraceWish:
    """The subject of a trace: every one that is given must fit; none given is everything."""

    call: str = ""
    """The gateway's id of a call."""
    user: str = ""
    """The user part of an address in From, To or the Request-URI."""
    number: str = ""
    """The same for a number; visual separators do not count."""
    domain: str = ""
    """A host in From, To or the Request-URI."""
    peer: str = ""
    """The numeric address of the other end."""
    seconds: int = 900
    """Its time, LONGEST_SECONDS at most."""
    bytes: int = 50_000_000
    """The size of its file, LARGEST_BYTES at most."""

    def text(self) -> str:
        """The wish for people."""
        names = ("call", "user", "number", "domain", "peer")
        return " ".join(f"{name} {getattr(self, name)}" for name in names if getattr(self, name)) or "everything"


class Trace:
    """One trace, while it goes on and after."""

    def __init__(self, token: str, wish: TraceWish, begun: float, path: Path) -> None:
        self.token = token
        self.wish = wish
        self.begun = begun
        """Seconds since the epoch."""
        self.path = path
        self.messages = 0
        self.size = 0
        """Bytes of the file, those that wait to be written among them."""
        self.ending = ""
        """Why it is over; empty while it goes on."""
        self.unwritten = bytearray(section("sip-security-gateway"))
        self._wants = _test(wish)
        self._interfaces: dict[str, int] = {}
        self._calls: set[str] = set()

    def wants(self, traced: TracedMessage) -> bool:
        """Whether a message belongs into it: it fits the wish, or its call had one that did."""
        name = traced.call or traced.sip_call_id
        if name in self._calls:
            return True
        if not self._wants(traced):
            return False
        if name and len(self._calls) < CALLS:
            self._calls.add(name)
        return True

    def add(self, traced: TracedMessage) -> None:
        """Note a message. Raises ValueError for one without numeric addresses."""
        message = traced.message
        source, destination = traced.ends
        number = self._interfaces.get(message.listener)
        if number is None:
            number = self._interfaces[message.listener] = len(self._interfaces)
            self.unwritten += interface(f"{message.listener} ({message.side}, {message.transport})")
        comment = f"{message.transport} {traced.security}".rstrip() + (f"; call {traced.call}" if traced.call else "")
        data = packet(number, traced.at, source, destination, traced.shown, comment)
        self.unwritten += data
        self.messages += 1
        self.size += len(data)


class Traces:
    """All traces; those that are over are the files in the directory."""

    def __init__(
        self, directory: Path, tracer: Tracer, clock: Clock, new_token: Callable[[], str], reactor: Any
    ) -> None:
        self._directory = directory
        self._tracer = tracer
        self._clock = clock
        self._new_token = new_token
        self._reactor = reactor
        self._all: dict[str, Trace] = {}
        self._ends: dict[str, IDelayedCall] = {}
        self._writing: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None

    @property
    def active(self) -> int:
        """Traces that go on."""
        return sum(not trace.ending for trace in self._all.values())

    def all(self) -> Iterator[Trace]:
        """The newest first; those of an earlier process are files without a wish."""
        yield from reversed(self._all.values())

    def get(self, token: str) -> Trace | None:
        """The trace of that name."""
        return self._all.get(token)

    def start(self, wish: TraceWish) -> Trace:
        """Begin a trace. Raises TraceRefused."""
        if self.active >= AT_ONCE:
            raise TraceRefused(f"{AT_ONCE} traces are going on: stop one first")
        if not 0 < wish.seconds <= LONGEST_SECONDS:
            raise TraceRefused(f"a trace lasts {LONGEST_SECONDS // 3600} hours at most")
        if not 0 < wish.bytes <= LARGEST_BYTES:
            raise TraceRefused(f"a trace has {LARGEST_BYTES // 1_000_000} MB at most")
        token = self._new_token()[:8]
        trace = Trace(token, wish, self._clock.wall(), self._directory / f"{token}.pcapng")
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            os.close(os.open(trace.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._make_room()
        except OSError as error:
            raise TraceRefused(f"{self._directory} cannot be written: {error.strerror}") from None
        self._all[token] = trace
        self._tracer.add(self) if self.active == 1 else None
        self._ends[token] = self._clock.timers.callLater(wish.seconds, self.end, trace, "its time is over")
        self._plan()
        return trace

    def end(self, trace: Trace, why: str) -> None:
        """End a trace; its file stays."""
        if trace.ending:
            return
        trace.ending = why
        timer = self._ends.pop(trace.token)
        if timer.active():
            timer.cancel()
        if not self.active:
            self._tracer.remove(self)
        self._plan()
        log.info("trace {trace} is over: {why}; {count} messages", trace=trace.token, why=why, count=trace.messages)

    def stop(self) -> Deferred[None]:
        """End them all; fires when their files are written."""
        for trace in [*self._all.values()]:
            self.end(trace, "the gateway was stopped")
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._writing is None:
            return self._write()
        return self._writing.addCallback(lambda _: self._write())

    def take(self, traced: TracedMessage) -> None:
        """A message: into each trace that wants it."""
        for trace in [one for one in self._all.values() if not one.ending]:
            if not trace.wants(traced):
                continue
            try:
                trace.add(traced)
            except ValueError:  # no numeric address: a flow that was never up
                continue
            if trace.size > trace.wish.bytes:
                self.end(trace, "its file is as long as was asked for")
            elif len(trace.unwritten) > UNWRITTEN_BYTES:
                self.end(trace, "the disk is too slow")
            self._plan()

    def _plan(self) -> None:
        if self._timer is None:
            self._timer = self._clock.timers.callLater(WRITE_SECONDS, self._write_expired)

    def _write_expired(self) -> None:
        self._timer = None
        if self._writing is None:
            self._write()

    def _write(self) -> Deferred[None]:
        """Give all that waits to a thread."""
        jobs = [(trace, bytes(trace.unwritten)) for trace in self._all.values() if trace.unwritten]
        for trace, _ in jobs:
            trace.unwritten = bytearray()
        writing = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _append, jobs)
        self._writing = writing.addCallback(self._written)
        return self._writing

    def _written(self, failed: list[tuple[Trace, str]]) -> None:
        self._writing = None
        for trace, reason in failed:
            trace.unwritten = bytearray()
            self.end(trace, f"its file cannot be written: {reason}")
        if any(one.unwritten for one in self._all.values()):
            self._plan()

    def _make_room(self) -> None:
        """Delete the oldest files, those of earlier processes among them."""
        files = sorted(self._directory.glob("*.pcapng"), key=lambda file: file.stat().st_mtime)
        going = {trace.path for trace in self._all.values() if not trace.ending}
        for file in [one for one in files if one not in going][: max(0, len(files) - KEPT)]:
            file.unlink(missing_ok=True)
            self._all.pop(file.stem, None)


def _append(jobs: list[tuple[Trace, bytes]]) -> list[tuple[Trace, str]]:
    """Add to each trace's file, in a thread; those that could not be written, each with the reason. A file that is gone
    is not made anew: it would have no head, and the mode that the umask leaves."""
    failed = []
    for trace, data in jobs:
        try:
            descriptor = os.open(trace.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "ab") as file:
                file.write(data)
        except OSError as error:
            failed.append((trace, error.strerror or "unknown"))
    return failed


def _test(wish: TraceWish) -> Callable[[TracedMessage], bool]:
    """Whether a message fits, as one test made once."""
    patterns = [*_patterns(wish)]

    def fits(traced: TracedMessage) -> bool:
        message = traced.message
        if wish.call and traced.call != wish.call:
            return False
        if wish.peer and message.remote.host != wish.peer:
            return False
        if not patterns:
            return True
        head = message.data.partition(b"\r\n\r\n")[0]
        parties = b"\n".join([head.partition(b"\r\n")[0], *_PARTY.findall(head)])
        return all(pattern.search(parties) for pattern in patterns)

    return fits


def _patterns(wish: TraceWish) -> Iterator[re.Pattern[bytes]]:
    if wish.user:
        yield re.compile(rb"(?i)(?:sips?|tel):" + re.escape(wish.user.encode()) + rb"(?![\w.+-])[:@;>]?")
    if wish.number:
        digits = re.sub(r"[-.() ]", "", wish.number)
        separated = rb"[-.()]*".join(re.escape(digit.encode()) for digit in digits)
        yield re.compile(rb"(?:sips?|tel):" + separated + rb"(?![\w+])")
    if wish.domain:
        yield re.compile(rb"(?i)[@:]" + re.escape(wish.domain.encode()) + rb"(?![\w.-])")
