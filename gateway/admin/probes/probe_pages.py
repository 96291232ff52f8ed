"""The pages of probes: an order, those that are kept, and one with its facts.

    GET  /probes         the form and the list         POST /probes    begun -> 303 to /probes/{id}
    GET  /probes/{id}    one; it is asked for again while it runs
    GET  /probes/history those of `probe_hours`, of all providers or of one (?provider=main)

Not here: the API (probe_routes.py), the work (b2bua/probe).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected, see_other
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import Role, caller_of
from gateway.admin.pages.desk import LIKINGS, Desk, cleaned
from gateway.admin.probes.probe_routes import PastProbesQuery, ProbeChange, ProbeRoutes, past_row, short
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.parameters import read_query
from gateway.b2bua.probe.jobs.probe_order import ProbeKind
from gateway.b2bua.probe.probes import ProbeJob

PAGE: Final = "/probes"
_SHAPES: Final = {
    "as_wanted": ("up", "As wanted"),
    "not": ("down", "Not as wanted"),
    "unknown": ("degraded", "Nobody can tell"),
    "failed": ("down", "Failed"),
    "running": ("unknown", "Running"),
}
PHONES: Final = 100
"""Phones on a page at most."""
LATEST: Final = 5
"""Regular probes on the page of all probes."""
_CHANGES: Final = {"none": "", "doubted": "worse, to be confirmed", "worse": "worse than before", "better": "better"}
NAMED: Final = 20
"""Of those that would be cut off, at most."""


@attrs.frozen
class ProbePages:
    """The answers, and the routes that lead to them."""

    routes_of_api: ProbeRoutes
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (
            HttpRoute("GET", PAGE, self.page, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("POST", PAGE, self.begin, Role.OPERATOR, is_form=True),
            HttpRoute("GET", f"{PAGE}/history", self.history, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("GET", f"{PAGE}/{{identifier}}", self.one, Role.VIEWER, drawn_by=LIKINGS),
        )

    async def page(self, request: IRequest) -> bytes:
        """The form, and the probes that are kept."""
        rows = [_row(job) for job in self.routes_of_api.probes.latest()]
        view = {
            "rows": rows,
            "past": self._past("", LATEST),
            "may_probe": caller_of(request).may_operate,
            "kinds": [str(kind) for kind in ProbeKind],
        }
        return await self.desk.draw(request, "probes/probes.html", "Probes", view)

    def begin(self, request: IRequest) -> bytes:
        """Begin a probe; then its page."""
        form = form_of(request)
        kind = form.get("kind", "")
        if kind not in list(ProbeKind):
            raise Rejected(400, "Choose a provider, phone, domain or URI.")
        change = ProbeChange(
            ProbeKind(kind),
            form.get("target", "").strip(),
            form.get("call", "").strip(),
            form.get("user", "").strip(),
            full="full" in form,
        )
        return see_other(request, f"{PAGE}/{self.routes_of_api.ordered(change, caller_of(request)).id}")

    async def history(self, request: IRequest) -> bytes:
        """The probes that were made by themselves, of all providers or of one, the latest first."""
        wanted = read_query(PastProbesQuery, request, 0)
        provider = wanted.provider or ""
        view = {"past": self._past(provider, wanted.limit), "provider": cleaned(provider)}
        return await self.desk.draw(request, "probes/history.html", "Probes", view)

    def _past(self, provider: str, limit: int) -> object:
        found = (attrs.asdict(past_row(one)) for one in self.routes_of_api.regular.latest(provider, limit))
        return cleaned([{**one, **_shape(one["result"]), "change": _CHANGES.get(one["change"], "")} for one in found])

    async def one(self, request: IRequest, identifier: str) -> bytes:
        """One probe."""
        job = self.routes_of_api.named(identifier)
        if job.result is None:
            request.setHeader(b"refresh", b"2")
        return await self.desk.draw(request, "probes/probe.html", "Probes", probe_view(job))


def probe_view(job: ProbeJob) -> dict[str, object]:
    """The values of the page of one probe."""
    facts = job.facts
    provider: Mapping[str, Any] = facts.get("provider", facts)
    phones = facts.get("phones", ())
    view = {
        "row": _row(job),
        "provider": provider if "targets" in provider else None,
        "phones": phones[:PHONES],
        "more_phones": max(0, len(phones) - PHONES),
        "cut_off": {
            "the policy required would refuse their calls": _some(facts.get("cut_off_by_required", ())),
            "their own leg has no TLS": _some(facts.get("cut_off_by_tls", ())),
        },
    }
    return {key: cleaned(_as_lists(value)) for key, value in view.items()}


def _some(names: Sequence[str]) -> dict[str, object]:
    """The first of many names, and how many there are."""
    return {"count": len(names), "names": names[:NAMED], "more": max(0, len(names) - NAMED)}


def _row(job: ProbeJob) -> dict[str, object]:
    row = attrs.asdict(short(job))
    return {**row, **_shape(row["result"])}


def _shape(result: str) -> dict[str, str]:
    shape, words = _SHAPES.get(result, ("unknown", result))
    return {"shape": shape, "words": words}


def _as_lists(value: Any) -> Any:
    """The same with lists in the place of tuples, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _as_lists(one) for key, one in value.items()}
    return [_as_lists(one) for one in value] if isinstance(value, tuple | list) else value
