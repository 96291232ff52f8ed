"""The page of limits of calls: users that are held or counted, the limits in force, and a button that counts anew.

    GET  /security/limits          the page
    POST /security/limits/lift     user -> counted anew -> 303 to the page

Not here: the API (limit_routes.py), the counts (`security.limits`).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import see_other
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import Role, caller_of
from gateway.admin.pages.desk import Desk, cleaned
from gateway.admin.pages.phrases import count
from gateway.admin.routes import HttpRoute
from gateway.admin.security.limit_routes import lifted, named
from gateway.config.tables.limit_table import MEASURES, CallLimit, LimitAction
from gateway.security.limits.call_limits import CallLimits, LimitStanding
from gateway.security.limits.rules import WORDS
from gateway.state.audit import AuditLog

PAGE = "/security/limits"
ROWS = 200
"""Users on the page at most."""
_BEYOND = {
    LimitAction.REPORT: "told of",
    LimitAction.REFUSE: "refused",
    LimitAction.HOLD: "refused until lifted",
}


@attrs.frozen
class LimitPages:
    """The answers, and the routes that lead to them."""

    limits: CallLimits
    desk: Desk
    audit: AuditLog

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (
            HttpRoute("GET", PAGE, self.page, Role.VIEWER),
            HttpRoute("POST", f"{PAGE}/lift", self.lift, Role.OPERATOR, is_form=True),
        )

    async def page(self, request: IRequest) -> bytes:
        """Users that are held or counted, and the limits in force."""
        view = limits_view(self.limits.standings(), self.limits.limits)
        more = {"may_lift": caller_of(request).may_operate}
        return await self.desk.draw(request, "security/limits.html", "Limits", {**view, **more})

    def lift(self, request: IRequest) -> bytes:
        """Let a user call again; then the page."""
        name = named(self.limits, form_of(request).get("user", ""))
        lifted(self.limits, self.audit, name, caller_of(request).author)
        return see_other(request, PAGE)


def limits_view(standings: Sequence[LimitStanding], limits: Sequence[CallLimit]) -> dict[str, object]:
    """The values of the page: the sentence is about all, the first ROWS have a row."""
    held = sum(one.held_at is not None for one in standings)
    full = sum(_is_full(one) for one in standings)
    if held:
        sentence = f"{count(len({one.caller for one in standings if one.held_at is not None}), 'user')} held: "
        sentence += "calls that a limit is about are refused until somebody lifts it."
    elif full:
        sentence = f"{count(full, 'count')} at a limit."
    else:
        sentence = "Nobody is at a limit."
    rows = list(map(_row, standings[:ROWS]))
    more = len(standings) - len(rows)
    return {"sentence": sentence, "rows": rows, "more": more, "limits": list(map(_terms, limits))}


def _is_full(one: LimitStanding) -> bool:
    return any(found.count >= found.most for found in one.counts)


def _row(one: LimitStanding) -> dict[str, object]:
    shape, words = ("up", "Counted") if not _is_full(one) else ("degraded", "At the limit")
    if one.held_at is not None:
        shape, words = "down", "Held"
    return {
        "user": cleaned(one.caller),
        "limit": one.limit.name,
        "shape": shape,
        "words": words,
        "held_at": one.held_at,
        "counts": [str(found) for found in one.counts],
    }


def _terms(limit: CallLimit) -> dict[str, object]:
    allowed = [f"{most} {WORDS[key]}" for key in MEASURES if (most := getattr(limit, key)) is not None]
    if limit.end_calls_after_minutes is not None:
        allowed.append(f"{limit.end_calls_after_minutes} minutes a call")
    return {
        "name": limit.name,
        "users": ", ".join(limit.users) + (f" of {', '.join(limit.domains)}" if limit.domains else ""),
        "to": ", ".join(limit.to) or "every number",
        "hours": ", ".join(map(str, limit.hours)) or "always",
        "allowed": allowed,
        "then": _BEYOND[limit.then],
    }
