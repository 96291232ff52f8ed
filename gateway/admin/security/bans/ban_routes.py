"""The API of bans and block lists.

    GET  /api/v1/bans                     those that are not over: state, limit, next
    GET  /api/v1/throttled                sources that are slowed, with the latest line of evidence: limit, next
    GET  /api/v1/bans/{source}            all that is known of a source, with the evidence
    POST /api/v1/bans                     ban one: {"source": "192.0.2.1", "seconds": 3600, "because": "..."}
    POST /api/v1/bans/{source}/lift       end its ban, {}: it is spared for a day
    POST /api/v1/bans/{number}/approve    put a ban in force that waits for that, {}
    GET  /api/v1/blocklists               how each list stands; POST /api/v1/blocklists/{name}/read: read it at once

Here: routes and values. Not here: the orders themselves (ban_office.py), the page (ban_pages.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, Row, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.security.bans.ban_office import LEAST_SECONDS, LONGEST_SECONDS, BanOffice, SlowedSource
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Cursor, read_change, read_query, said
from gateway.admin.v1.questions import NoChange, Nothing
from gateway.admin.v1.resources import sent
from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean_json
from gateway.security.blocklists.blocklists import ListStanding
from gateway.security.defence.bans import EVIDENCE, Ban, BanState

PAGE = 200

T = TypeVar("T")


@attrs.frozen
class BansQuery:
    """The bans that are wanted, and how many of them."""

    state: BanState | None = said("Those in one state.", None)
    limit: int = said("Bans in the answer.", PAGE, 1, 1_000)
    next: Cursor | None = said("The cursor that an answer gave: the bans after it.", None)


@attrs.frozen
class ThrottledQuery:
    """How many of the sources that are slowed are wanted."""

    limit: int = said("Sources in the answer.", PAGE, 1, 1_000)
    next: Cursor | None = said("The cursor that an answer gave: the sources after it.", None)


@attrs.frozen
class BanChange:
    """A ban to order."""

    source: str = said("An address; of IPv6 its /64 is banned.")
    seconds: int = said("Its length.", 3_600, LEAST_SECONDS, LONGEST_SECONDS)
    because: str = said("A reason, for the audit and for people who ask later.", "")


@attrs.frozen
class BanSummary:
    """A ban in a line. Times are seconds since the epoch."""

    id: int
    """Names it for an approval."""
    source: str
    state: str
    reason: str
    since: float
    until: float
    action: str
    by: str
    words: str
    """An operator's reason."""
    times: int
    """The number of bans of this source within a week."""


@attrs.frozen
class BanAnswer(BanSummary):
    """A ban with its evidence."""

    evidence: tuple[str, ...]
    users: tuple[str, ...]
    ended: float | None


@attrs.frozen
class KernelAnswer:
    """The sets of nftables."""

    elements: int
    why: str
    """Why they take nothing at this moment; empty: they do."""


@attrs.frozen
class BansAnswer:
    """A page of bans: those that wait for approval first, then the latest first; and how the defence stands."""

    mode: str
    defends_from: float | None
    """When it begins to defend; None where that is no matter of time."""
    in_force: int
    waiting: int
    would_be: int
    kernel: KernelAnswer | None
    """None where the process alone drops."""
    bans: tuple[BanSummary, ...]
    next: str | None


@attrs.frozen
class ThrottledSummary:
    """A source that is slowed, in a line. Times are seconds since the epoch."""

    source: str
    state: str
    """throttled, or would_be while the defence only reports."""
    address: str
    """proved, or not_proved: the packets may be another's, with this address on them."""
    reason: str
    since: float
    last: float
    """When the latest packet was judged."""
    until: float
    """When it is slowed no more, if nothing else is observed."""
    seen: int
    """Observations since then; a flood is judged by a few of its packets."""
    evidence: tuple[str, ...]
    """The latest line, or in the answer about one source all of them."""


@attrs.frozen
class ThrottledAnswer(ThrottledSummary):
    """The same with the users that it tried."""

    users: tuple[str, ...]


@attrs.frozen
class ThrottledPage:
    """A page of the sources that are slowed, the latest first."""

    throttled: tuple[ThrottledSummary, ...]
    next: str | None


@attrs.frozen
class SourceAnswer:
    """All that is known of a source."""

    source: str
    ban: BanAnswer | None
    throttled: ThrottledAnswer | None
    lists: tuple[str, ...]
    """The block lists that hold it."""
    is_spared: bool
    """Whether an operator lifted its ban within a day."""


@attrs.frozen
class ListAnswer:
    """How a block list stands."""

    name: str
    entries: int
    read_at: float | None
    """When it was last read, seconds since the epoch."""
    why: str
    """Why the last reading failed; empty: it did not."""
    unreadable: int
    """Lines that are no address."""


@attrs.frozen
class BanRoutes:
    """The routes."""

    office: BanOffice

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        bans, lists, viewer, operator = f"{PREFIX}bans", f"{PREFIX}blocklists", Role.VIEWER, Role.OPERATOR
        one, nothing = BanAnswer, NoChange
        return (
            HttpRoute("GET", bans, self.all, viewer, query=BansQuery, schema=BansAnswer),
            HttpRoute("GET", f"{PREFIX}throttled", self.slowed, viewer, query=ThrottledQuery, schema=ThrottledPage),
            HttpRoute("POST", bans, self.add, operator, change=BanChange, schema=one),
            HttpRoute("GET", f"{bans}/{{source:path}}", self.one, viewer, query=Nothing, schema=SourceAnswer),
            HttpRoute("POST", f"{bans}/{{source:path}}/lift", self.lift, operator, change=nothing, schema=one),
            HttpRoute("POST", f"{bans}/{{number}}/approve", self.approve, operator, change=nothing, schema=one),
            HttpRoute("GET", lists, self.lists, viewer, query=Nothing, schema=tuple[ListAnswer, ...]),
            HttpRoute("POST", f"{lists}/{{name}}/read", self.read_list, operator, change=nothing, schema=ListAnswer),
        )

    def all(self, request: IRequest) -> bytes:
        """The bans that are not over, those that wait for approval first, and how the defence stands."""
        asked = read_query(BansQuery, request, 0)
        wanted = [ban for ban in self.office.all() if asked.state in (None, ban.state)]
        page, following = _page(wanted, asked.limit, asked.next)
        figures, kernel = self.office.defence.figures(), self.office.kernel()
        answer: Row = {
            "mode": figures.mode,
            "defends_from": figures.defends_from,
            "in_force": figures.bans,
            "waiting": figures.waiting,
            "would_be": figures.would_be,
            "kernel": None if kernel is None else {"elements": kernel.elements, "why": kernel.why},
            "bans": [_in_short(ban) for ban in page],
            "next": following,
        }
        return sent(request, answer)

    def slowed(self, request: IRequest) -> bytes:
        """The sources that are slowed: unknown ones with many points, most of which prove no address and are never
        banned."""
        asked = read_query(ThrottledQuery, request, 0)
        found, state = self.office.slowed()
        page, following = _page(found, asked.limit, asked.next)
        rows: list[Json] = []
        for one in page:
            row = slowed_row(self.office.evidence_of(one, state), 1)
            del row["users"]
            rows.append(row)
        return sent(request, {"throttled": rows, "next": following})

    def one(self, request: IRequest, source: str) -> bytes:
        """All that is known of a source: its ban with the evidence, the points that slow it, the lists that hold it."""
        read_query(Nothing, request, 0)
        found = self.office.find(source)
        ban: Json = None if found.ban is None else in_full(found.ban)
        answer: Row = {
            "source": found.source,
            "ban": ban,
            "throttled": None if found.slowed is None else slowed_row(found.slowed),
            "lists": [*found.lists],
            "is_spared": found.is_spared,
        }
        return sent(request, answer)

    def add(self, request: IRequest) -> bytes:
        """Ban a source for a time."""
        change = read_change(BanChange, request)
        author = caller_of(request).author
        return sent(request, in_full(self.office.order(change.source, change.seconds, change.because, author)))

    def lift(self, request: IRequest, source: str) -> bytes:
        """End the ban of a source; the defence spares it for a day."""
        read_change(NoChange, request)
        return sent(request, in_full(self.office.lift(source, caller_of(request).author)))

    def approve(self, request: IRequest, number: str) -> bytes:
        """Put a ban in force that waits for an operator's approval."""
        read_change(NoChange, request)
        return sent(request, in_full(self.office.approve(number_in(number), caller_of(request).author)))

    def lists(self, request: IRequest) -> bytes:
        """How each block list stands."""
        read_query(Nothing, request, 0)
        return sent(request, [_list_row(one) for one in self.office.lists.standings()])

    def read_list(self, request: IRequest, name: str) -> bytes:
        """Read a block list at once. The answer is how it stands before that."""
        read_change(NoChange, request)
        return sent(request, _list_row(self.office.read_list(name, caller_of(request).author)))


def in_full(ban: Ban) -> Row:
    """A ban with its evidence."""
    return cast(Row, clean_json(ban.as_json()))


def slowed_row(slowed: SlowedSource, lines: int = EVIDENCE) -> dict[str, Json]:
    """A source that is slowed, with so many lines of evidence, the latest."""
    known = slowed.known
    row: dict[str, Json] = {
        "source": known.source,
        "state": slowed.state,
        "address": "proved" if known.is_proved else "not_proved",
        "reason": known.reason,
        "since": known.since,
        "last": known.last,
        "until": known.until,
        "seen": known.seen,
        "evidence": [*slowed.evidence[-lines:]],
        "users": [*slowed.users],
    }
    return cast("dict[str, Json]", clean_json(row))


def number_in(text: str) -> int:
    """The number of a ban. Raises Rejected."""
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise Rejected(404, "A ban is approved by its number.")
    return int(text)


def _in_short(ban: Ban) -> Row:
    """A ban in a line. Its evidence is not touched: it would be most of the work, a thousand times for one answer."""
    return cast(Row, clean_json({field.name: getattr(ban, field.name) for field in attrs.fields(BanSummary)}))


def _list_row(standing: ListStanding) -> Row:
    return cast(Row, clean_json(attrs.asdict(standing)))


def _page(found: Sequence[T], limit: int, cursor: str | None) -> tuple[Sequence[T], str | None]:
    """The part of a list that is asked for, and the cursor of the next one. Raises Rejected."""
    first = _place(cursor)
    following = str(first + limit) if first + limit < len(found) else None
    return found[first : first + limit], following


def _place(cursor: str | None) -> int:
    """The number of entries before a page. Raises Rejected."""
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 9:
        raise Rejected(400, "next: no cursor of this list.")
    return int(cursor)
