"""The routes of domains with their switch, of providers, certificates, audit and settings; and all routes of pages.

    GET  /domains/NAME/switch?to=off -> the question, in numbers
    POST /domains/NAME/switch        -> Control.switch_domain -> 303 to the domain

Not here: overview, calls and phones (`call_routes`), the views, the right to a route (`routes`, `accounts`). Text of
peers is made clean before a view gets it.
"""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import quote

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected, see_other
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import Control, Inspection, Role, Row, caller_of
from gateway.admin.pages import domain_pages, provider_pages, record_pages
from gateway.admin.pages.call_routes import CallRoutes
from gateway.admin.pages.desk import LIKINGS, Desk, cleaned, cleaned_rows, query_of
from gateway.admin.routes import HttpRoute

MOST_BECAUSE: Final = 200
"""Characters of the reason for a switch."""


@attrs.frozen
class PageRoutes:
    """The answers, and the routes that lead to them."""

    inspection: Inspection
    control: Control
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """Those of all pages."""
        viewer, operator = Role.VIEWER, Role.OPERATOR
        routes = (
            *CallRoutes(self.inspection, self.control, self.desk).routes(),
            HttpRoute("GET", "/domains", self.domains, viewer),
            HttpRoute("GET", "/domains/{name}", self.domain, viewer),
            HttpRoute("GET", "/domains/{name}/switch", self.ask_switch, operator),
            HttpRoute("POST", "/domains/{name}/switch", self.switch, operator, is_form=True),
            HttpRoute("GET", "/providers", self.providers, viewer),
            HttpRoute("GET", "/providers/{name}", self.provider, viewer),
            HttpRoute("GET", "/certificates", self.certificates, viewer),
            HttpRoute("GET", "/events", self.events, viewer),
            HttpRoute("GET", "/audit", self.audit, viewer),
            HttpRoute("GET", "/settings", self.settings, viewer),
        )
        drawn = (attrs.evolve(one, drawn_by=LIKINGS) if one.method == "GET" else one for one in routes)
        return (*drawn, *self.desk.routes())

    async def domains(self, request: IRequest) -> bytes:
        """The list of domains."""
        facts = await self.desk.facts()
        view = domain_pages.domains_view(facts.domains, facts)
        return await self.desk.draw(request, "domains.html", "Domains", view)

    async def domain(self, request: IRequest, name: str) -> bytes:
        """One domain, with its switch."""
        domain, frame, gathering = self._domain_named(name), self.desk.frame(request, "Domains"), self.desk.gathering
        facts, statistics = await self.desk.facts(), await gathering.statistics()
        days = domain_pages.days_of(statistics, str(domain["name"]))
        when = frame.likings.when(facts.now)
        view = domain_pages.domain_view(domain, facts, days, await self._phones_of(domain), when)
        before = query_of(request).get("switched", "")
        notice = f"Switched from {before} to {domain['security']}." if before in domain_pages.MEANINGS else ""
        why_not = "An operator switches it: log in as one, or run gatewayctl domain NAME --security on this machine."
        more = {"may_switch": caller_of(request).may_operate, "why_not": why_not, "notice": notice}
        return await self.desk.draw(request, "domain.html", frame, {**view, **more})

    async def ask_switch(self, request: IRequest, name: str) -> bytes:
        """The question before a switch: its effects, in numbers."""
        domain, to = self._domain_named(name), query_of(request).get("to", "")
        facts, phones = await self.desk.facts(), await self._phones_of(domain)
        options = {option.code: option for option in domain_pages.options(domain, facts, phones)}
        if to not in options:
            raise Rejected(400, f"A domain is switched to one of {', '.join(options)}.")
        effects = domain_pages.effects(domain, to, facts, phones)
        view = {"domain": domain, "option": options[to], "effects": effects}
        return await self.desk.draw(request, "switch.html", "Domains", view)

    def switch(self, request: IRequest, name: str) -> bytes:
        """Switch a domain; then its page."""
        before, form = self._domain_named(name), form_of(request)
        because = form.get("because", "").strip()[:MOST_BECAUSE]
        self.control.switch_domain(name, form.get("to", ""), caller_of(request).author, because)
        return see_other(request, f"/domains/{quote(name, safe='')}?switched={before['security']}")

    async def providers(self, request: IRequest) -> bytes:
        """The list of providers."""
        facts, frame = await self.desk.facts(), self.desk.frame(request, "Providers")
        view = provider_pages.providers_view(facts, frame.likings.when(facts.now))
        return await self.desk.draw(request, "providers.html", frame, view)

    async def provider(self, request: IRequest, name: str) -> bytes:
        """One provider."""
        facts, frame = await self.desk.facts(), self.desk.frame(request, "Providers")
        for row in facts.providers:
            if row.get("name") == name:
                view = provider_pages.provider_view(row, facts, frame.likings.when(facts.now))
                return await self.desk.draw(request, "provider.html", frame, view)
        raise Rejected(404, f"There is no provider {name}.")

    async def certificates(self, request: IRequest) -> bytes:
        """The certificates that listeners serve."""
        view = record_pages.certificates_view(cleaned_rows(self.inspection.certificates()))
        return await self.desk.draw(request, "certificates.html", "Certificates", view)

    async def events(self, request: IRequest) -> bytes:
        """The latest events."""
        kind = query_of(request).get("kind", record_pages.NOTABLE)
        view = record_pages.events_view(*self.desk.gathering.events(partial(record_pages.is_wanted, kind)), kind)
        return await self.desk.draw(request, "events.html", "Events", view)

    async def audit(self, request: IRequest) -> bytes:
        """The latest changes, with their authors."""
        return await self.desk.draw(
            request, "audit.html", "Audit", record_pages.audit_view(self.desk.gathering.audit())
        )

    async def settings(self, request: IRequest) -> bytes:
        """The configuration in force."""
        configuration, lines = self.desk.gathering.configuration(), self.desk.gathering.lines()
        view = record_pages.settings_view(configuration, lines, str(configuration.source))
        return await self.desk.draw(request, "settings.html", "Settings", view)

    def _domain_named(self, name: str) -> Row:
        found = self.inspection.domain(name)
        if found is None:
            raise Rejected(404, f"There is no domain {name}.")
        row: Row = cleaned(found)
        return row

    async def _phones_of(self, domain: Row) -> int:
        """How many phones of a domain are registered."""
        return (await self.desk.gathering.population()).phones.get(str(domain["name"]).lower(), 0)
