"""Calls that nobody has answered yet, counted by their source: what one source may take from all others.

    INVITE of a phone -> check(source, invite) -> add(source, record, streams) ... answered or over -> no longer counted

An INVITE that waits holds two transactions, a record, and four ports of the relay for each medium, for minutes and on
its sender's word: phones prove themselves to the provider, which has not spoken yet. So each source has a share of
calls, and of media, since an offer may have several:

- a caller that is registered over the flow of its INVITE has one of its own. The provider has seen its password, and
  nobody else can use up its share by naming it in From;
- all others of one address share one, and have a quarter of the ports. All of them together have half of the calls
  and of the ports that there are, however many addresses somebody writes on his packets; the other half is for the
  registered and for the provider.

Calls to emergency numbers do not count against either, and may use what is kept free for them everywhere (`is_urgent`).
Since anybody can dial 112, a source has a few such calls; one beyond those goes on as an ordinary call.

The table needs no limit of its own: a source is in it as long as a call of its is. Calls that were answered leave it
when their source is full, which costs each call one look.
"""

from __future__ import annotations

import re
import sys
from typing import Final, NamedTuple

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
URGENT_PER_SOURCE: Final = 4
"""Calls of an address to emergency numbers that may use the reserves and are not answered yet."""
URGENT_PER_PHONE: Final = 16
"""The same of a registered caller."""
MOST_MEDIA: Final = 4
"""m-lines of an INVITE whose sender is not registered: each takes ports, before the provider is asked about it."""
PORTS_A_STREAM: Final = 4
"""RTP and RTCP, on either side."""
LEAST_STREAMS: Final = 8
"""Of a source, however few ports there are."""

_MEDIA_LINE: Final = re.compile(rb"(?:^|[\r\n])m=")
_BUSY: Final = (("Retry-After", "5"),)


class CallSource(NamedTuple):
    """The source of a call: an address of record that is registered over the call's flow, or an IP address."""

    name: str
    is_registered: bool

    @classmethod
    def of(cls, route: Route, flow: Flow) -> CallSource:
        """The source of a phone's call."""
        if route.caller is not None:
            return cls(route.caller.aor, True)
        return cls(flow.source, False)


class Share:
    """The unanswered calls of a source, and how many there may be of them and of their media."""

    def __init__(self, calls: int, streams: int = sys.maxsize) -> None:
        self._calls = calls
        self._streams = streams
        self.waiting: dict[str, tuple[CallRecord, int]] = {}
        """By the id of each call, with the number of its media."""
        self._taken = 0

    def __len__(self) -> int:
        return len(self.waiting)

    def has_room(self, streams: int) -> bool:
        """Whether one more call with so many media may wait."""
        if len(self.waiting) < self._calls and self._taken + streams <= self._streams:
            return True
        for call_id in [one for one, (record, _) in self.waiting.items() if record.answered_at is not None]:
            self.remove(call_id)
        return not self._is_full(streams)

    def add(self, record: CallRecord, streams: int) -> None:
        """A call waits."""
        self.waiting[record.id] = record, streams
        self._taken += streams

    def remove(self, call_id: str) -> None:
        """It waits no more, if it did."""
        _, streams = self.waiting.pop(call_id, (None, 0))
        self._taken -= streams

    def _is_full(self, streams: int) -> bool:
        return len(self.waiting) >= self._calls or self._taken + streams > self._streams


Shares = dict[CallSource, Share]


class UnansweredCalls:
    """The calls of each source that wait for an answer; ``ports`` is the number that all calls have."""

    def __init__(self, limits: SourceLimits, ports: int) -> None:
        self.refused = 0
        """Calls so far that were too many of their source."""
        self._limits = limits
        self._streams = max(LEAST_STREAMS, ports // PORTS_A_STREAM // 4)
        self._strangers = Share(CEILING // 2, 2 * self._streams)
        self._ordinary: Shares = {}
        self._urgent: Shares = {}
        self._places: dict[str, tuple[Shares, CallSource]] = {}

    def is_urgent(self, source: CallSource, route: Route) -> bool:
        """Whether a call may use the reserves."""
        return route.is_emergency and (source not in self._urgent or self._urgent[source].has_room(0))

    def check(self, source: CallSource, streams: int) -> None:
        """Raises Refused 503 when an ordinary call with so many m-lines is one too many of its source."""
        is_full = source in self._ordinary and not self._ordinary[source].has_room(streams)
        if is_full or not (source.is_registered or self._strangers.has_room(streams)):
            self.refused += 1
            raise Refused(503, "Too many calls wait for an answer", _BUSY)

    def add(self, source: CallSource, record: CallRecord, streams: int, *, is_urgent: bool) -> None:
        """A call with so many m-lines begins."""
        shares = self._urgent if is_urgent else self._ordinary
        if source not in shares:
            shares[source] = self._new_share(source, is_urgent)
        shares[source].add(record, streams)
        self._places[record.id] = shares, source
        if not (source.is_registered or is_urgent):
            self._strangers.add(record, streams)

    def remove(self, call_id: str) -> None:
        """A call is over; it may be one that was never added."""
        shares, source = self._places.pop(call_id, (None, None))
        if shares is None or source is None:
            return
        self._strangers.remove(call_id)
        share = shares.get(source)
        if share is not None:
            share.remove(call_id)
            if not share.waiting:
                del shares[source]

    def __len__(self) -> int:
        """The number of sources that are remembered."""
        return len(self._ordinary) + len(self._urgent)

    def _new_share(self, source: CallSource, is_urgent: bool) -> Share:
        limits = self._limits
        if source.is_registered:
            return Share(URGENT_PER_PHONE if is_urgent else limits.unanswered_calls_per_phone)
        if is_urgent:
            return Share(URGENT_PER_SOURCE)
        return Share(limits.unanswered_calls_per_source, self._streams)


def streams_of(invite: Request) -> int:
    """The m-lines of an offer, wherever in the body they are; 1 where there is none yet."""
    return (len(_MEDIA_LINE.findall(invite.body)) or 1) if b"m=" in invite.body else 1


def check_media(source: CallSource, streams: int) -> None:
    """Raises Refused 488 for an offer of more media than a caller that has proved nothing may ask ports for."""
    if not source.is_registered and streams > MOST_MEDIA:
        raise Refused(488, f"More than {MOST_MEDIA} media")
