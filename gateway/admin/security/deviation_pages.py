"""The page of deviations: calls of the last seven days that were unlike those of the same user or domain before.

    GET /security/deviations

Not here: the API (deviation_routes.py), the judgement (`security.deviations`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.inspection import Role
from gateway.admin.pages.desk import Desk, cleaned_rows
from gateway.admin.pages.phrases import count
from gateway.admin.routes import HttpRoute
from gateway.admin.security.deviation_routes import unusable
from gateway.security.deviations.deviations import Deviations, Row

PAGE: Final = "/security/deviations"
SECTION: Final = "Limits"
"""The entry of the menu that leads to the page that leads here."""
SHOWN_SECONDS: Final = 7 * 86_400.0
ROWS: Final = 200
_TOLD: Final = {
    "new_country": "{country}: the first time in {days} days, {countries_before} countries before",
    "busy_hour": "{calls} calls in this hour, usually {usual}",
    "night_call": "the first call between 22 and 6 o'clock in {days} days",
    "short_calls": "{calls} calls of less than {shorter_than:g} s within {within:g} s",
    "unanswered_calls": "{answered} of the latest {calls} calls were answered, usually {usual_answered_percent} %",
}
"""The figures of each kind, in words."""


@attrs.frozen
class DeviationPages:
    """The answer, and the route that leads to it."""

    deviations: Deviations
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """Its one route."""
        return (HttpRoute("GET", PAGE, self.page, Role.VIEWER),)

    async def page(self, request: IRequest) -> bytes:
        """The deviations of seven days, the newest first."""
        since = self.desk.gathering.now() - SHOWN_SECONDS
        rows: list[Row] = await self.deviations.since(since).addErrback(unusable)
        return await self.desk.draw(request, "security/deviations.html", SECTION, deviations_view(rows))


def deviations_view(rows: Sequence[Row]) -> dict[str, object]:
    """The values of the page."""
    shown = cleaned_rows([*rows[:ROWS]])
    told = f"{count(len(rows), 'deviation')} in 7 days. Nothing was refused for it."
    return {
        "sentence": told if rows else "No call of the last 7 days was unlike those before.",
        "rows": [_shown(row) for row in shown],
        "more": len(rows) - len(shown),
    }


def _shown(row: Row) -> dict[str, object]:
    kind, domain, call = str(row.get("name")).removeprefix("deviation."), str(row.get("domain")), str(row.get("call"))
    user, fields = str(row.get("who") or ""), row.get("fields")
    figures = fields if isinstance(fields, dict) else {}
    try:
        words = _TOLD[kind].format_map(figures)
    except (KeyError, ValueError):  # kept by another version
        words = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items())
    return {
        "at": row.get("at"),
        "severity": row.get("severity"),
        "kind": kind.replace("_", " ").capitalize(),
        "user": user,
        "user_link": "/phones/" + quote(f"sip:{user}@{domain}", safe=""),
        "domain": domain,
        "domain_link": "/domains/" + quote(domain, safe=""),
        "words": words,
        "number": figures.get("number") or "",
        "call_link": "/calls/" + quote(call, safe=""),
    }
