"""Operation over HTTP: whether the gateway takes calls, the drain, and the end of one call.

    GET  /readyz                       200 or 503, with the reasons
    GET  /api/v1/drain                 whether it drains, the calls that are waited for, seconds until they are ended
    POST /api/v1/drain                 begin, {"seconds": 1800}; {}: as long as on SIGTERM
    POST /api/v1/drain/cancel          {}: take calls again
    POST /api/v1/calls/{id}/hangup     {}: end a call on both sides

Each change is in the audit and in the log. Not here: the drain itself (ingress/drain), other routes (resources).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import read_change, said
from gateway.admin.v1.questions import NoChange
from gateway.b2bua.calls import Calls
from gateway.base.json_codec import encode
from gateway.ingress.drain import Drain
from gateway.state.audit import AuditLog

log = Logger()

LONGEST_DRAIN: Final = 86_400
"""Seconds."""


@attrs.frozen
class DrainChange:
    """The beginning of a drain, or another deadline for the one under way."""

    seconds: int | None = said("Until calls that are left are ended; as long as on SIGTERM.", None, 0, LONGEST_DRAIN)


@attrs.frozen
class DrainAnswer:
    """How the drain stands."""

    draining: bool
    calls: int
    """Calls that are waited for."""
    seconds_left: int
    """Until they are ended."""
    refused: int
    """New calls that were refused for it."""
    stop: str
    """The fate of calls that are up at SIGTERM, `keep` or `end`."""
    stop_why: str
    """Why, as words after "since"."""


@attrs.frozen
class HangUpAnswer:
    """A call that was ended."""

    id: str


@attrs.frozen
class ReadyAnswer:
    """Whether the gateway takes calls, and the reasons for which it does not."""

    status: str
    reasons: tuple[str, ...]


@attrs.frozen
class OperationApi:
    """The answers, and the routes that lead to them."""

    not_ready: Callable[[], tuple[str, ...]]
    """The reasons for which no calls are taken."""
    drain: Drain
    calls: Calls
    audit: AuditLog
    drain_seconds: int
    """Of a drain that says nothing of its length."""
    at_stop: Callable[[], tuple[str, str]]
    """The fate of calls that are up at SIGTERM, and why."""

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        drain, hang_up = f"{PREFIX}drain", f"{PREFIX}calls/{{call_id:path}}/hangup"
        return (
            HttpRoute("GET", "/readyz", self.readyz, Role.NOBODY, schema=ReadyAnswer),
            HttpRoute("GET", drain, self.standing, Role.VIEWER, schema=DrainAnswer),
            HttpRoute("POST", drain, self.begin, Role.OPERATOR, change=DrainChange, schema=DrainAnswer),
            HttpRoute("POST", f"{drain}/cancel", self.cancel, Role.OPERATOR, change=NoChange, schema=DrainAnswer),
            HttpRoute("POST", hang_up, self.hang_up, Role.OPERATOR, change=NoChange, schema=HangUpAnswer),
        )

    def readyz(self, request: IRequest) -> bytes:
        """Says whether the gateway takes calls: for load balancers and service managers."""
        reasons = self.not_ready()
        request.setResponseCode(503 if reasons else 200)
        return _sent(request, ReadyAnswer("not ready" if reasons else "ready", reasons))

    def standing(self, request: IRequest) -> bytes:
        """How the drain stands."""
        drain = self.drain
        left = round(drain.seconds_left)
        return _sent(request, DrainAnswer(drain.is_draining, drain.calls_left, left, drain.refused, *self.at_stop()))

    def begin(self, request: IRequest) -> bytes:
        """Begin a drain, or give the one that is under way another deadline."""
        asked = read_change(DrainChange, request).seconds
        seconds = self.drain_seconds if asked is None else asked
        if self.drain.is_final:
            raise Rejected(409, "The process is being stopped: its drain has the deadline of the signal.")
        self.audit.write(caller_of(request).author, "drain", seconds=seconds)
        self.drain.begin(seconds)
        return self.standing(request)

    def cancel(self, request: IRequest) -> bytes:
        """Take calls again."""
        read_change(NoChange, request)
        if self.drain.is_final:
            raise Rejected(409, "The process is being stopped: that cannot be cancelled.")
        if not self.drain.cancel():
            raise Rejected(409, "There is no drain to cancel.")
        self.audit.write(caller_of(request).author, "drain cancelled")
        return self.standing(request)

    def hang_up(self, request: IRequest, call_id: str) -> bytes:
        """End a call that is up, on both sides."""
        read_change(NoChange, request)
        who = caller_of(request).author
        if not self.calls.hang_up(call_id, "ended by an operator"):
            raise Rejected(404, f"There is no call {call_id} that is up.")
        self.audit.write(who, "hangup", call=call_id)
        log.warn("call {call_id} is ended by {who}", call_id=call_id, who=who)
        return _sent(request, HangUpAnswer(call_id))


def _sent(request: IRequest, answer: attrs.AttrsInstance) -> bytes:
    request.setHeader(b"content-type", b"application/json")
    return encode(attrs.asdict(answer)) + b"\n"
