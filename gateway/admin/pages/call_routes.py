"""The routes of the overview, of calls, and of phones: each asks the gateway, makes its view, and draws it.

    GET /calls?... -> CallsAsked -> CallSearch.find -> calls_view -> Desk.draw -> HTML

Not here: the views, the right to a route (`routes`, `accounts`). Text of peers is made clean before a view gets it.
"""

from __future__ import annotations

from typing import Final, cast
from urllib.parse import quote

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected, see_other
from gateway.admin.inspection import Control, Inspection, Role, Row, caller_of
from gateway.admin.pages import call_pages, front_page, phone_pages
from gateway.admin.pages.desk import Desk, cleaned, cleaned_rows, query_of
from gateway.admin.routes import HttpRoute
from gateway.admin.status.gathering import REMEDY_LINES
from gateway.state.call_record import CallDirection
from gateway.state.devices.device_table import DeviceFilter
from gateway.state.listing.call_filter import BadCursor, CallFilter, CallsPage
from gateway.state.listing.call_list import TooManyQuestions

PAGE: Final = 50
"""Calls of one page."""
OF_ONE_PHONE: Final = 10
PHONES: Final = 100
"""Phones of one page."""
MOST_TEXT: Final = 200
MOST_DOMAINS: Final = 50
"""Domains in which a user is looked for."""
SHORTEST_ID: Final = 16
"""Characters that a search has at least to be one for the id of a call."""


@attrs.frozen
class CallRoutes:
    """The answers, and the routes that lead to them."""

    inspection: Inspection
    control: Control
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (
            HttpRoute("GET", "/", self.front, Role.VIEWER),
            HttpRoute("GET", "/calls", self.calls, Role.VIEWER),
            HttpRoute("GET", "/calls/{call_id:path}", self.call, Role.VIEWER),
            HttpRoute("GET", "/hangup/{call_id:path}", self.ask_hang_up, Role.OPERATOR),
            HttpRoute("POST", "/hangup/{call_id:path}", self.hang_up, Role.OPERATOR, is_form=True),
            HttpRoute("GET", "/phones", self.phones, Role.VIEWER),
            HttpRoute("GET", "/phones/{aor:path}", self.phone, Role.VIEWER),
        )

    async def front(self, request: IRequest) -> bytes:
        """The overview."""
        gathering = self.desk.gathering
        facts, statistics = await self.desk.facts(), await gathering.statistics()
        frame = self.desk.frame(request, "Overview")
        view = front_page.view(facts, front_page.hours_of(statistics), frame.likings.when(facts.now))
        return await self.desk.draw(request, "front.html", frame, {**view, "listeners": gathering.phone_listeners()})

    async def calls(self, request: IRequest) -> bytes:
        """The list of calls."""
        asked = call_pages.CallsAsked.of(query_of(request))
        text = asked.given.get("q", "")
        if len(text) >= SHORTEST_ID and asked.after is None and await self.inspection.call(text) is not None:
            return see_other(request, "/calls/" + quote(text, safe=""))
        try:
            wanted, page = await self._page(asked)
            counted = await self.inspection.lists.count(wanted)
        except BadCursor:
            raise Rejected(400, "This address is of a page of calls that is no longer known.") from None
        except TooManyQuestions:
            raise Rejected(503, "Too many lists are asked for at this moment: try again in a few seconds.") from None
        rows = cleaned_rows([*page.calls])
        await self.desk.turns.next()
        count = (counted.calls, not counted.is_all)
        view = call_pages.calls_view(asked, call_pages.ListedCalls(rows, page.next, count), self.desk.gathering.now())
        return await self.desk.draw(request, "calls.html", "Calls", view)

    async def _page(self, asked: call_pages.CallsAsked) -> tuple[CallFilter, CallsPage]:
        """The page that is asked for. Where no number is found that was searched for, a user may have that name."""
        wanted = call_filter(asked, self.desk.gathering.now())
        page = await self.inspection.lists.find(wanted, PAGE, asked.after)
        if page.calls or wanted.number is None:
            return wanted, page
        of_user = attrs.evolve(wanted, number=None, user=wanted.number)
        return of_user, await self.inspection.lists.find(of_user, PAGE, asked.after)

    async def call(self, request: IRequest, call_id: str) -> bytes:
        """One call."""
        found = await self.inspection.call(call_id)
        if found is None:
            text = f"There is no call {call_id}: it is older than the calls that are kept, or never was."
            raise Rejected(404, text)
        view = call_pages.call_view(cleaned(found), REMEDY_LINES, self.desk.gathering.now())
        return await self.desk.draw(request, "call.html", "Calls", view)

    async def ask_hang_up(self, request: IRequest, call_id: str) -> bytes:
        """The question before a call is ended."""
        found = await self.inspection.call(call_id)
        if found is None or found.get("ended_at") is not None:
            raise Rejected(404, f"There is no call {call_id} that is up.")
        view = call_pages.call_view(cleaned(found), REMEDY_LINES, self.desk.gathering.now())
        return await self.desk.draw(request, "hangup.html", "Calls", view)

    def hang_up(self, request: IRequest, call_id: str) -> bytes:
        """End a call; then its page."""
        self.control.hang_up(call_id, caller_of(request).author)
        return see_other(request, "/calls/" + quote(call_id, safe=""))

    async def phones(self, request: IRequest) -> bytes:
        """The list of phones."""
        query, gathering = query_of(request), self.desk.gathering
        wanted, found = query.get("q", "").strip()[:MOST_TEXT], list[Row]()
        following = None
        try:
            for aor in self._addresses(wanted) if wanted else [None]:
                page = await self.inspection.registrations(aor, PHONES, None if wanted else query.get("after"))
                found += cast("list[Row]", page["registrations"])
                following = cast("str | None", page["next"])
        except BadCursor:
            raise Rejected(400, "This address is of a page of phones that is no longer known.") from None
        transports, listeners = (await gathering.population()).transports, gathering.phone_listeners()
        await self.desk.turns.next()
        view = phone_pages.phones_view(cleaned_rows(found), cleaned(wanted), following, transports, listeners)
        return await self.desk.draw(request, "phones.html", "Phones", view)

    def _addresses(self, wanted: str) -> list[str]:
        """The addresses of record that a text may mean: itself, or a user of each domain."""
        if "@" in wanted:
            return [wanted if wanted.startswith(("sip:", "sips:")) else f"sip:{wanted}"]
        domains = self.desk.gathering.configuration().domains
        return [f"sip:{wanted.removeprefix('sip:')}@{domain.name}" for domain in domains[:MOST_DOMAINS]]

    async def phone(self, request: IRequest, aor: str) -> bytes:
        """One user, and its phones."""
        page = await self.inspection.registrations(aor, PHONES)
        rows = cleaned_rows(cast("list[Row]", page["registrations"]))
        user, _, domain = aor.partition(":")[2].partition("@")
        calls = await self.inspection.lists.find(CallFilter(user=user, domain=domain or None), OF_ONE_PHONE)
        kept = await self.inspection.devices(DeviceFilter(address_of_record=aor), OF_ONE_PHONE)
        devices = cleaned_rows(cast("list[Row]", kept["phones"]))
        if not rows and not calls.calls and not devices:
            raise Rejected(404, f"{aor} is not registered, and no call of it is kept.")
        known = phone_pages.PhoneRows(rows, devices, cleaned_rows([*calls.calls]))
        view = phone_pages.phone_view(cleaned(aor), known, self.desk.gathering.now())
        return await self.desk.draw(request, "phone.html", "Phones", view)


def call_filter(asked: call_pages.CallsAsked, now: float) -> CallFilter:
    """The filter that an address asks for."""
    given = asked.given
    direction = given.get("direction")
    return CallFilter(
        since=asked.since(now),
        number=given.get("q"),
        user=given.get("user"),
        verdict=given.get("verdict"),
        reason=given.get("reason"),
        domain=given.get("domain"),
        provider=given.get("provider"),
        direction=None if direction is None else CallDirection(direction),
        is_up={"up": True, "ended": False}.get(given.get("state", "")),
        is_answered={"yes": True, "no": False}.get(given.get("answered", "")),
    )
