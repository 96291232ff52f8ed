"""The page of security: bans with their evidence, those that wait for approval, stopped users, lists, latest events.

    GET  /security                          all of it; it changes as things happen
    GET  /security/bans/SOURCE              one source, with the evidence
    GET  /security/add                      the form for an operator's own ban
    POST /security/add|lift|approve         the order -> 303 back

Not here: the orders (ban_office.py), the views (ban_view.py), the right to a route (`routes`, `accounts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, cast
from urllib.parse import quote

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected, see_other
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import Role, Row, caller_of
from gateway.admin.pages.desk import LIKINGS, Desk
from gateway.admin.pages.record_pages import events_view
from gateway.admin.routes import HttpRoute
from gateway.admin.security.bans.ban_office import BanOffice
from gateway.admin.security.bans.ban_routes import BanRoutes, in_full, number_in, slowed_row
from gateway.admin.security.bans.ban_view import SHOWN, SecurityFacts, security_view, slowed_view, source_view
from gateway.observe.events import GatewayEvent
from gateway.security.defence.bans import Ban, BanState

SECTION: Final = "Security"
EVENTS: Final = 20
LENGTHS: Final = (
    ("600", "10 minutes"),
    ("3600", "1 hour"),
    ("86400", "1 day"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
)
"""The lengths that the form offers: seconds, and words."""


@attrs.frozen
class BanPages:
    """The answers, and the routes that lead to them."""

    office: BanOffice
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        viewer, operator, kept = Role.VIEWER, Role.OPERATOR, LIKINGS
        return (
            HttpRoute("GET", "/security", self.overview, viewer),
            HttpRoute("GET", "/security/bans/{source:path}", self.source, viewer),
            HttpRoute("GET", "/security/add", self.ask_add, operator, drawn_by=kept),
            HttpRoute("POST", "/security/add", self.add, operator, is_form=True),
            HttpRoute("POST", "/security/lift", self.lift, operator, is_form=True),
            HttpRoute("POST", "/security/approve", self.approve, operator, is_form=True),
        )

    async def overview(self, request: IRequest) -> bytes:
        """All that matters to the security of this gateway at this moment."""
        frame, gathering = self.desk.frame(request, SECTION), self.desk.gathering
        rows, kinds = gathering.events(_is_about_security)
        facts = SecurityFacts(
            self.office.defence.figures(),
            self.office.kernel(),
            [in_full(ban) for ban in _shown(self.office.all())],
            *self._slowed(),
            self.office.lists.standings(),
            gathering.watched.figures().stopped_guessers,
            cast("list[dict[str, object]]", events_view(rows[:EVENTS], kinds, "security")["rows"]),
            caller_of(request).may_operate,
        )
        return await self.desk.draw(
            request, "security/security.html", frame, security_view(facts, frame.likings.when(self.office.now()))
        )

    def _slowed(self) -> tuple[list[Row], int]:
        found, state = self.office.slowed()
        return [slowed_row(self.office.evidence_of(one, state), 1) for one in found[:SHOWN]], len(found)

    async def source(self, request: IRequest, source: str) -> bytes:
        """One source, and the evidence against it."""
        known, frame = self.office.find(source), self.desk.frame(request, SECTION)
        ban: Row | None = None if known.ban is None else in_full(known.ban)
        slowed = None if known.slowed is None else slowed_row(known.slowed)
        when = frame.likings.when(self.office.now())
        view = source_view(known.source, ban, known.lists, known.is_spared, when)
        view |= slowed_view(slowed, when)
        view["may_act"] = caller_of(request).may_operate
        return await self.desk.draw(request, "security/source.html", frame, view)

    async def ask_add(self, request: IRequest) -> bytes:
        """The form for a ban."""
        return await self.desk.draw(request, "security/add.html", SECTION, {"lengths": LENGTHS})

    def add(self, request: IRequest) -> bytes:
        """Ban a source; then its page."""
        form = form_of(request)
        seconds = form.get("seconds", "")
        if seconds not in dict(LENGTHS):
            raise Rejected(400, "The length of a ban is one of those that the form offers.")
        author = caller_of(request).author
        ban = self.office.order(form.get("source", ""), int(seconds), form.get("because", ""), author)
        return see_other(request, f"/security/bans/{quote(ban.source, safe='')}")

    def lift(self, request: IRequest) -> bytes:
        """End a ban."""
        self.office.lift(form_of(request).get("source", ""), caller_of(request).author)
        return see_other(request, "/security")

    def approve(self, request: IRequest) -> bytes:
        """Put a ban in force that waits."""
        self.office.approve(number_in(form_of(request).get("number", "")), caller_of(request).author)
        return see_other(request, "/security")


def ban_routes(office: BanOffice, desk: Desk) -> tuple[HttpRoute, ...]:
    """The routes of bans, those of the API among them."""
    return (*BanRoutes(office).routes(), *BanPages(office, desk).routes())


def _shown(bans: Iterable[Ban]) -> Iterator[Ban]:
    """SHOWN of each state. An attacker with many addresses can have tens of thousands banned: to write out all of them,
    with the evidence, for each reader, would take seconds."""
    counted: Counter[BanState] = Counter()
    for ban in bans:
        counted[ban.state] += 1
        if counted[ban.state] <= SHOWN:
            yield ban


def _is_about_security(event: GatewayEvent) -> bool:
    return event.name.startswith("security.")
