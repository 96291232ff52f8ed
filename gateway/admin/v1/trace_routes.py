"""The API of traces: begin one, see them, end one, and take its file.

Here: routes and values. Not here: the traces themselves (`transport.trace`). Their authors stand in the
audit; the file is for operators, since its messages name callers and callees in full.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import NotChanged, Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_change, read_query, said
from gateway.admin.v1.questions import NoChange, Nothing
from gateway.admin.v1.resources import sent
from gateway.state.audit import AuditLog
from gateway.transport.trace.traces import LARGEST_BYTES, LONGEST_SECONDS, Trace, TraceRefused, Traces, TraceWish

PCAPNG = "application/x-pcapng"


@attrs.frozen
class TraceChange:
    """A trace to begin: of every message that fits all that is given, and of the calls that those are of."""

    call: str = said("The gateway's id of a call.", "")
    user: str = said("The user part of an address in From, To or the Request-URI.", "")
    number: str = said("The same for a number; visual separators do not count.", "")
    domain: str = said("A host in From, To or the Request-URI.", "")
    peer: str = said("The numeric address of the other end.", "")
    seconds: int = said("Its time.", 900, 1, LONGEST_SECONDS)
    bytes: int = said("The size of its file.", 50_000_000, 10_000, LARGEST_BYTES)


@attrs.frozen
class TraceAnswer:
    """A trace."""

    id: str = said("Its name.")
    of: str = said("Its subject, for people.")
    begun: Moment = said("Its begin.")
    seconds: int = said("The time that it lasts at most.")
    messages: int = said("Messages so far.")
    bytes: int = said("The size of its file.")
    ending: str = said("Why it is over; empty while it goes on.")


class TraceRoutes:
    """The routes of traces."""

    def __init__(self, traces: Traces, audit: AuditLog, reactor: Any) -> None:
        self._traces = traces
        self._audit = audit
        self._reactor = reactor

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        path = f"{PREFIX}traces"
        one, every = TraceAnswer, tuple[TraceAnswer, ...]
        return (
            HttpRoute("GET", path, self.all, Role.VIEWER, query=Nothing, schema=every),
            HttpRoute("POST", path, self.begin, Role.OPERATOR, change=TraceChange, schema=one),
            HttpRoute("POST", f"{path}/{{token}}/stop", self.end, Role.OPERATOR, change=NoChange, schema=one),
            HttpRoute("GET", f"{path}/{{token}}/pcapng", self.file, Role.OPERATOR, query=Nothing, content=PCAPNG),
        )

    def all(self, request: IRequest) -> bytes:
        """The traces that go on and those that are over, the newest first."""
        read_query(Nothing, request, 0)
        return sent(request, [attrs.asdict(_answer(trace)) for trace in self._traces.all()])

    def begin(self, request: IRequest) -> bytes:
        """Begin a trace. It ends by itself."""
        change = read_change(TraceChange, request)
        wish = TraceWish(**attrs.asdict(change))
        try:
            trace = self._traces.start(wish)
        except TraceRefused as error:
            raise NotChanged(f"{error}.", status=409) from None
        self._audit.write(caller_of(request).author, "trace", trace=trace.token, of=wish.text())
        return sent(request, attrs.asdict(_answer(trace)))

    def end(self, request: IRequest, token: str) -> bytes:
        """End a trace; its file stays."""
        read_change(NoChange, request)
        trace, author = self._found(token), caller_of(request).author
        self._traces.end(trace, f"stopped by {author}")
        self._audit.write(author, "trace ended", trace=trace.token)
        return sent(request, attrs.asdict(_answer(trace)))

    def file(self, request: IRequest, token: str) -> Deferred[bytes]:
        """The file of a trace, for Wireshark, tshark or sngrep: no key and no credential is in it."""
        read_query(Nothing, request, 0)
        trace = self._found(token)
        request.setHeader(b"content-type", PCAPNG.encode())
        request.setHeader(b"content-disposition", f'attachment; filename="trace-{trace.token}.pcapng"'.encode())
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), trace.path.read_bytes)

    def _found(self, token: str) -> Trace:
        trace = self._traces.get(token)
        if trace is None:
            raise Rejected(404, f"There is no trace {token[:40]}.")
        return trace


def _answer(trace: Trace) -> TraceAnswer:
    wish = trace.wish
    begun = Moment(trace.begun)
    return TraceAnswer(trace.token, wish.text(), begun, wish.seconds, trace.messages, trace.size, trace.ending)
