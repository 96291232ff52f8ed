"""Records of INVITEs that came to nothing before they were calls: refused at the door, or challenged for good.

    refused before there is a call -> note() ----------------------------------------------> ended_calls
    challenged by the provider -> challenged() --the caller asks again in time--> nothing
                                               `--it does not-> expire() -> its record -----> ended_calls

The provider's first challenge (401, 407) is a step of the way: the caller comes again with its answer, and that is the
call. A phone without a password does not come, and without a record nobody would know of its call. A caller that comes
again is known by its address, its name and the number, since some phones begin a new Call-ID.

Not here: how many records one source may have (gateway/state/ended_calls.py).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway.b2bua.across.bodies import NoCommonCodec
from gateway.b2bua.legs.leg import LegServices
from gateway.b2bua.setup.new_record import record_of
from gateway.routing.router import Route
from gateway.security.answering import FIELDS
from gateway.security.limits.call_limits import OverLimit
from gateway.security.policy.terms import TLS_REQUIRED
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.state.call_record import CallRecord, ChainLink, ChainStep, LegName, Passage
from gateway.state.ended_calls import EndedCalls
from gateway.state.reasons import Reason
from gateway.transaction.server import ServerTransaction

CHALLENGES: Final = frozenset(FIELDS)
"""Statuses that ask for credentials: the caller comes again."""
COMES_WITHIN: Final = 32.0
"""Seconds: a phone answers at once, a person who is asked for a password does not."""
MOST_WAITING: Final = 1_000
"""Challenged callers at once; of one beyond these the oldest is forgotten, without a record."""

_REASONS: Final = {
    403: Reason.CALLER_NOT_REGISTERED,
    415: Reason.MEDIA_UNUSABLE,
    480: Reason.PHONE_UNREACHABLE,
    488: Reason.MEDIA_UNUSABLE,
    503: Reason.TOO_MANY_CALLS,
}

Caller = tuple[str, str | None, str | None]
"""Address, name, and the number called."""


class TurnedAway:
    """Keeps them; one for all calls."""

    def __init__(self, services: LegServices, ended: EndedCalls) -> None:
        self._services = services
        self._ended = ended
        self._waiting: OrderedDict[Caller, tuple[float, CallRecord]] = OrderedDict()

    def note(self, transaction: ServerTransaction, route: Route, refused: Refused, *, outbound: bool) -> None:
        """An INVITE on this route is refused with that answer of ours."""
        record = record_of(self._services, transaction.request, route, outbound=outbound)
        record.status = refused.status
        if refused.status == 503:
            record.is_caller_known = False  # a flood has records at a rate, be it of a phone of ours
        said, code = refused.reason or f"refused with {refused.status}", _REASONS.get(refused.status)
        if said == TLS_REQUIRED:
            code = Reason.CALLER_IN_CLEAR
        if isinstance(refused, OverLimit | NoCommonCodec):
            said, code = refused.cause, refused.code
        record.add_step(record.started_at, LegName.CALLER, Passage.RECEIVED, "INVITE")
        record.add_step(record.started_at, LegName.CALLER, Passage.SENT, f"{refused.status} {refused.reason}".rstrip())
        self._keep(record, transaction.flow.source, code, said)

    def challenged(self, record: CallRecord, invite: Request, source: str) -> None:
        """The provider challenged this call, and its caller at that address was told."""
        caller = _caller(invite, source)
        self._waiting[caller] = self._services.clock.seconds(), record
        self._waiting.move_to_end(caller)
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)

    def came(self, transaction: ServerTransaction) -> None:
        """A caller sends an INVITE: perhaps the one that was challenged."""
        if self._waiting:
            self._waiting.pop(_caller(transaction.request, transaction.flow.source), None)

    def expire(self) -> None:
        """Keep the records of those that did not come again in time. To be called now and then."""
        due = self._services.clock.seconds() - COMES_WITHIN
        while self._waiting:
            caller, (at, record) = next(iter(self._waiting.items()))
            if at > due:
                return
            del self._waiting[caller]
            said = f"the provider answered {record.status}, and the phone did not call again with a password"
            self._keep(record, caller[0], Reason.CALLER_GAVE_NO_CREDENTIALS, said)

    def _keep(self, record: CallRecord, source: str, reason: Reason | None, cause: str) -> None:
        record.state, record.ended_at = "ended", record.ended_at or self._services.wall()
        record.verdict, record.reason = "UNANSWERED", str(reason or "")
        record.ending, record.cause = record.ending or cause, cause
        record.add_reason(ChainLink(LegName.CALLER, ChainStep.OUTCOME, cause, record.reason))
        if self._ended.takes(record, source):
            self._ended.keep(record)


def _caller(invite: Request, source: str) -> Caller:
    return source, invite.from_.uri.user, invite.request_uri.user
