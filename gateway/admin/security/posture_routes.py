"""The API and the page of the posture.

    GET  /api/v1/posture               a report of this moment: since, domain
    POST /api/v1/posture               the same by other advisories, or signed
    GET  /api/v1/posture/key           the public key of this gateway's signatures
    GET  /api/v1/posture/reports       those that are kept, in short; /api/v1/posture/reports/{name} one of them
    GET  /posture                      the page; /posture/report.html the report as one file

A report that is signed is made here, and never taken from outside: else the gateway would sign anything.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.http_bodies import as_page
from gateway.admin.inspection import Role, caller_of
from gateway.admin.pages.desk import LIKINGS, Desk
from gateway.admin.routes import HttpRoute
from gateway.admin.security.posture_gathering import DAY
from gateway.admin.security.posture_reports import KeptReport, PostureQuestion, PostureReports
from gateway.admin.security.posture_view import posture_view
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_change, read_query, said
from gateway.admin.v1.questions import Nothing
from gateway.admin.v1.resources import sent
from gateway.security.posture.advisories import Advisories, BadAdvisories, read_advisories
from gateway.security.posture.documents import as_html
from gateway.security.posture.report import Report
from gateway.security.posture.signature import fingerprint
from gateway.state.audit import AuditLog
from gateway.state.listing.call_groups import MOST_DAYS


@attrs.frozen
class PostureQuery:
    """The report that is wanted."""

    since: Moment | None = said("The begin of the time that calls are counted for, 31 days ago at most; 30 days.", None)
    domain: str | None = said("One domain alone.", None)


@attrs.frozen
class PostureChange:
    """A report by other advisories, or a signed one."""

    days: int | None = said("Days that calls are counted for; 30.", None, 1, MOST_DAYS)
    seconds: int | None = said("The same in seconds, instead.", None, 60, MOST_DAYS * 86_400)
    domain: str | None = said("One domain alone.", None)
    advisories: tuple[str, ...] = said("The lines of a file of advisories, instead of the gateway's own.", ())
    sign: bool = said("Whether the report is to be signed.", False)


@attrs.frozen
class SignedPosture:
    """A report, and its signature."""

    report: dict[str, object]
    """As posture.schema.json describes it."""
    signature: dict[str, object] | None
    """Of the canonical JSON of the report; None where none was wanted."""


@attrs.frozen
class PostureKey:
    """The public key of this gateway's signatures."""

    public_key: str
    fingerprint: str


class PostureRoutes:
    """The routes."""

    def __init__(self, reports: PostureReports, audit: AuditLog) -> None:
        self._reports = reports
        self._audit = audit

    def routes(self) -> tuple[HttpRoute, ...]:
        """Those of the API."""
        path, report = f"{PREFIX}posture", dict[str, object]
        viewer, kept = Role.VIEWER, tuple[KeptReport, ...]
        return (
            HttpRoute("GET", path, self.report, viewer, query=PostureQuery, schema=report),
            HttpRoute("POST", path, self.made, Role.OPERATOR, change=PostureChange, schema=SignedPosture),
            HttpRoute("GET", f"{path}/key", self.key, viewer, query=Nothing, schema=PostureKey),
            HttpRoute("GET", f"{path}/reports", self.kept, viewer, query=Nothing, schema=kept),
            HttpRoute("GET", f"{path}/reports/{{name}}", self.one, viewer, query=Nothing, schema=report),
        )

    def pages(self, desk: Desk) -> tuple[HttpRoute, ...]:
        """Those of the pages, which that desk draws."""
        page = PosturePage(self._reports, desk)
        return (
            HttpRoute("GET", "/posture", page.page, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("GET", "/posture/report.html", page.file, Role.VIEWER),
        )

    async def report(self, request: IRequest) -> bytes:
        """The security posture of this moment: findings, score, and the worth of each next step."""
        now = self._reports.now()
        asked = read_query(PostureQuery, request, now)
        return sent(request, await self._report(asked.since, asked.domain, None))

    async def made(self, request: IRequest) -> bytes:
        """The same by other advisories, or signed."""
        change, now = read_change(PostureChange, request), self._reports.now()
        seconds = change.seconds or (change.days * DAY if change.days else None)
        advisories = _advisories(change.advisories)
        report = await self._report(None if seconds is None else now - seconds, change.domain, advisories)
        signature: Any = None
        if change.sign:
            self._audit.write(caller_of(request).author, "posture signed", score=report["score"])
            signature = self._signature(report)
        return sent(request, {"report": report, "signature": signature})

    def key(self, request: IRequest) -> bytes:
        """The public key of this gateway's signatures: to be kept where its reports are trusted."""
        read_query(Nothing, request, 0)
        try:
            key = self._reports.key.public()
        except OSError as error:
            raise Rejected(409, f"The key cannot be read: {error.strerror or error}.") from None
        return sent(request, {"public_key": key, "fingerprint": fingerprint(key)})

    def kept(self, request: IRequest) -> bytes:
        """The reports that are kept, the newest first."""
        read_query(Nothing, request, 0)
        return sent(request, [attrs.asdict(one) for one in reversed(self._reports.kept)])

    async def one(self, request: IRequest, name: str) -> bytes:
        """A report that is kept, by its id; the latest one by the name last."""
        read_query(Nothing, request, 0)
        found = self._reports.last if name == "last" else await self._reports.find(name)
        if found is None:
            raise Rejected(404, "No report of that name is kept.")
        return sent(request, found)

    async def _report(self, since: float | None, domain: str | None, advisories: Advisories | None) -> Report:
        known = {one.name.lower() for one in self._reports.gathering.settings.current.domains}
        wanted = (domain or "").lower()
        if wanted and wanted not in known:
            raise Rejected(404, f"There is no domain {wanted[:100]}.")
        now = self._reports.now()
        if since is not None and not now - MOST_DAYS * DAY - 60 <= since <= now:
            raise Rejected(400, f"since: a time of the last {MOST_DAYS} days: figures are kept no longer.")
        return await self._reports.report(PostureQuestion(since, wanted, advisories))

    def _signature(self, report: Report) -> Any:
        try:
            return self._reports.signed(report)
        except OSError as error:
            raise Rejected(409, f"The report cannot be signed: {error.strerror or error}.") from None


@attrs.frozen
class PosturePage:
    """The page, and the report as a file."""

    reports: PostureReports
    desk: Desk

    async def page(self, request: IRequest) -> bytes:
        """The posture: score, next steps, findings."""
        report = await self.reports.fresh()
        await self.desk.turns.next()
        view = posture_view(report, self.reports.kept)
        return await self.desk.draw(request, "security/posture.html", "Posture", view)

    async def file(self, request: IRequest) -> bytes:
        """The report as one file, which a browser prints."""
        report = await self.reports.fresh()
        request.setHeader(b"content-disposition", b'attachment; filename="posture.html"')
        return as_page(request, await self.reports.gathering.aside(as_html, report))


def _advisories(lines: tuple[str, ...]) -> Advisories | None:
    if not lines:
        return None
    try:
        return read_advisories("\n".join(lines))
    except BadAdvisories as error:
        raise Rejected(400, f"advisories: {error}.") from None
