"""Calls that nobody has answered yet, counted by their source: what one source may take from all others.

    INVITE of a phone -> check(source) -> add(source, record) ... answered or over -> no longer counted

An INVITE that waits holds two transactions, a record, and ports of the relay, for minutes and on its sender's word:
phones prove themselves to the provider, which has not spoken yet. So each source has a number of them:

- a caller that is registered over the flow of its INVITE has one of its own. The provider has seen its password, and
  nobody else can use up its share by naming it in From;
- all others of one address share one. All of them together have half of the calls that there may be, however many
  addresses somebody writes on his packets; the other half is for the registered and for the provider.

Calls to emergency numbers do not count against either, and may use what is kept free for them everywhere (`is_urgent`).
Since anybody can dial 112, a source has a few such calls; one beyond those goes on as an ordinary call.

The table needs no limit of its own: a source is in it as long as a call of its is. Calls that were answered leave it
when their source is full, which costs each call one look.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from gateway.config.model import SourceLimits
from gateway.routing.router import Route
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.state.call_record import CallRecord
from gateway.transport.flow import Flow

CEILING: Final = 20_000
"""Calls at once; above it new ones are refused with 503 (RFC 3261 section 21.5.4)."""
RESERVE: Final = 500
"""Calls beyond it that are for emergency numbers."""
STRANGERS: Final = CEILING // 2
"""Unanswered calls of callers that are not registered, all together."""
URGENT_PER_SOURCE: Final = 4
"""Calls of an address to emergency numbers that may use the reserves and are not answered yet."""
URGENT_PER_PHONE: Final = 16
"""The same of a registered caller."""

MOST_MEDIA: Final = 4
"""m-lines of an INVITE whose sender is not registered: each takes four ports, before the provider is asked about it."""

_MEDIA_LINE: Final = re.compile(rb"(?:^|[\r\n])m=")
_BUSY: Final = (("Retry-After", "5"),)


@attrs.frozen
class CallSource:
    """The source of a call: an address of record that is registered over the call's flow, or an IP address."""

    name: str
    is_registered: bool

    @classmethod
    def of(cls, route: Route, flow: Flow) -> CallSource:
        """The source of a phone's call."""
        if route.caller is not None:
            return cls(route.caller.aor, True)
        return cls(flow.source, False)


Waiting = dict[str, CallRecord]
"""By identifier."""


class UnansweredCalls:
    """The calls of each source that wait for an answer."""

    def __init__(self, limits: SourceLimits) -> None:
        self._limits = limits
        self._ordinary: dict[CallSource, Waiting] = {}
        self._urgent: dict[CallSource, Waiting] = {}
        self._strangers: Waiting = {}
        self._places: dict[str, tuple[dict[CallSource, Waiting], CallSource]] = {}

    def is_urgent(self, source: CallSource, route: Route) -> bool:
        """Whether a call may use the reserves."""
        limit = URGENT_PER_PHONE if source.is_registered else URGENT_PER_SOURCE
        return route.is_emergency and _count(self._urgent.get(source, {}), limit) < limit

    def check(self, source: CallSource) -> None:
        """Raises Refused 503 when an ordinary call is one too many of its source."""
        limits = self._limits
        limit = limits.unanswered_calls_per_phone if source.is_registered else limits.unanswered_calls_per_source
        if _count(self._ordinary.get(source, {}), limit) >= limit:
            raise Refused(503, "Too many calls wait for an answer", _BUSY)
        if not source.is_registered and _count(self._strangers, STRANGERS) >= STRANGERS:
            raise Refused(503, "Too many calls", _BUSY)

    def add(self, source: CallSource, record: CallRecord, *, is_urgent: bool) -> None:
        """A call begins."""
        table = self._urgent if is_urgent else self._ordinary
        table.setdefault(source, {})[record.id] = record
        self._places[record.id] = table, source
        if not (source.is_registered or is_urgent):
            self._strangers[record.id] = record

    def remove(self, call_id: str) -> None:
        """A call is over; it may be one that was never added."""
        table, source = self._places.pop(call_id, (None, None))
        if table is None or source is None:
            return
        self._strangers.pop(call_id, None)
        waiting = table.get(source, {})
        waiting.pop(call_id, None)
        if not waiting:
            table.pop(source, None)

    def __len__(self) -> int:
        """The number of sources that are remembered."""
        return len(self._ordinary) + len(self._urgent)


def check_media(source: CallSource, invite: Request) -> None:
    """Raises Refused 488 for an offer of more media than a caller that has proved nothing may ask ports for."""
    if not source.is_registered and len(_MEDIA_LINE.findall(invite.body)) > MOST_MEDIA:
        raise Refused(488, f"More than {MOST_MEDIA} media")


def _count(waiting: Waiting, limit: int) -> int:
    """How many wait; those that were answered are let go of once they are in the way."""
    if len(waiting) >= limit:
        for call_id in [call_id for call_id, record in waiting.items() if record.answered_at is not None]:
            del waiting[call_id]
    return len(waiting)
