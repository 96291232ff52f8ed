"""Log-in and log-out as forms: name and password, then the code, then the page that was asked for.

    GET /login -> POST /login -> cookie of a session, or of a step -> GET, POST /login/code -> cookie of a session

Here: forms, cookies, and notes of each log-in for metrics, log, events and audit. Not here: the proofs and their limits
(`log_in`), a user's own account (`account_pages`). Nothing that was typed is ever written down: a name of no user may
be a password in the wrong field.

A session's id is new at each log-in, and a cookie that the browser came with is no part of it (session fixation).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import attrs
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gateway.admin.accounts.changes import AccountChanges
from gateway.admin.accounts.log_in import CodeWanted, LogIn, LogInRefused, LogInResult
from gateway.admin.accounts.proofs import SESSION_COOKIE, STEP_COOKIE, cookie_of, drop_cookie, set_cookie
from gateway.admin.hardening import LOG_IN, see_other, source_of
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import NotChanged, Role
from gateway.admin.pages.desk import LOG_OUT, Desk, local_path
from gateway.admin.routes import HttpRoute
from gateway.base.rate import Rate, RateLimit
from gateway.observe.events import EventName
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind, Observation
from gateway.state.audit import Author

log = Logger()

NOTES: Final = Rate(per_second=1 / 6, burst=50)
"""Refused log-ins that the log and the audit take; the metric has them all."""

LINE: Final = "a log-in to the administration interface"
"""The evidence: nothing that was typed."""
_CODE: Final = "/login/code"

_SAID: Final = {
    LogInResult.WRONG_PASSWORD: (401, "That name and that password do not belong together."),
    LogInResult.WRONG_CODE: (
        401,
        "That code is wrong, was used before, or came too late. Begin again where it stays so.",
    ),
    LogInResult.LIMITED: (429, "Too many wrong log-ins: one a minute from now on."),
    LogInResult.BUSY: (429, "Too many log-ins at this moment: try again in a few seconds."),
}
_LONGEST_NEXT: Final = 2_000
_RETRY_AFTER: Final = {LogInResult.LIMITED: b"60", LogInResult.BUSY: b"3"}


class LogInNotes:
    """Tells metrics, log, events and audit of log-ins."""

    def __init__(self, changes: AccountChanges, metrics: Metrics) -> None:
        self._audit = changes.audit
        self._events = metrics.events
        self._now = changes.now
        self._counted = metrics.admin_log_ins
        self._observations = metrics.observations
        self._refusals = RateLimit(NOTES)

    def succeeded(self, user: str, source: str) -> None:
        """A user has a session."""
        self._counted.labels(str(LogInResult.OK)).inc()
        log.info("{user} logged in from {source}", user=user, source=source)
        self._events.note(EventName.SECURITY_LOG_IN, source=source, who=user)
        self._audit.write(Author(user, source), "log-in")

    def refused(self, refusal: LogInRefused, source: str) -> None:
        """Somebody has none."""
        self._counted.labels(str(refusal.result)).inc()
        if refusal.result is not LogInResult.BUSY:
            self._observations.note(Observation(Kind.ADMIN_LOGIN, source, True, "admin", "https", line=LINE))
        if self._refusals.allows("all", self._now()):
            user = refusal.user or "no user"
            log.warn("a log-in as {user} from {source}: {result}", user=user, source=source, result=refusal.result)
            result = str(refusal.result)
            self._events.note(EventName.SECURITY_LOG_IN_REFUSED, source=source, who=refusal.user, result=result)
            self._audit.write(Author(user, source), "log-in-refused", result=result)


@attrs.frozen
class LogInPages:
    """The answers, and the routes that lead to them."""

    log_in: LogIn
    changes: AccountChanges
    desk: Desk
    notes: LogInNotes

    def routes(self) -> tuple[HttpRoute, ...]:
        """All routes."""
        return (
            HttpRoute("GET", LOG_IN, self.name_page, Role.NOBODY),
            HttpRoute("POST", LOG_IN, self.name_sent, Role.NOBODY, is_form=True),
            HttpRoute("GET", _CODE, self.code_page, Role.NOBODY),
            HttpRoute("POST", _CODE, self.code_sent, Role.NOBODY, is_form=True),
            HttpRoute("POST", LOG_OUT, self.logged_out, Role.VIEWER, is_form=True),
        )

    async def name_page(self, request: IRequest) -> bytes:
        """The form for name and password."""
        return await self._name_page(request, _asked_next(request))

    async def name_sent(self, request: IRequest) -> bytes:
        """Look at a name and a password."""
        form, source = form_of(request), source_of(request)
        following = _next_of(form.get("next", ""))
        try:
            proved = await self.log_in.with_password(form.get("name", ""), form.get("password", ""), source)
        except LogInRefused as refusal:
            self.notes.refused(refusal, source)
            return await self._name_page(request, following, said(request, refusal.result))
        if isinstance(proved, CodeWanted):
            set_cookie(request, STEP_COOKIE, proved.identifier)
            return see_other(request, f"{_CODE}?{_as_query(following)}")
        return self._let_in(request, proved.user, proved.identifier, following)

    async def code_page(self, request: IRequest) -> bytes:
        """The form for the code."""
        if cookie_of(request, STEP_COOKIE) is None:
            return see_other(request, LOG_IN)
        return await self._code_page(request, _asked_next(request))

    async def code_sent(self, request: IRequest) -> bytes:
        """Look at a code."""
        form, source = form_of(request), source_of(request)
        following, problem = _next_of(form.get("next", "")), ""
        try:
            step = cookie_of(request, STEP_COOKIE) or ""
            proved = await self.log_in.with_code(step, form.get("code", ""), source)
        except LogInRefused as refusal:
            self.notes.refused(refusal, source)
            problem = said(request, refusal.result)
        except NotChanged as error:  # a recovery code that could not be crossed out
            request.setResponseCode(error.status)
            problem = str(error)
        if problem:
            return await self._code_page(request, following, problem)
        drop_cookie(request, STEP_COOKIE)
        return self._let_in(request, proved.user, proved.identifier, following)

    def logged_out(self, request: IRequest) -> bytes:
        """End the session."""
        identifier = cookie_of(request, SESSION_COOKIE)
        if identifier is not None:
            self.changes.sessions.end(identifier)
        drop_cookie(request, SESSION_COOKIE)
        return see_other(request, LOG_IN)

    async def _name_page(self, request: IRequest, following: str, problem: str = "") -> bytes:
        is_open = self.changes.register.is_open_to_all
        view = {"next": following, "problem": problem, "is_open_to_all": is_open}
        return await self.desk.draw(request, "accounts/login.html", "", view)

    async def _code_page(self, request: IRequest, following: str, problem: str = "") -> bytes:
        return await self.desk.draw(request, "accounts/code.html", "", {"next": following, "problem": problem})

    def _let_in(self, request: IRequest, user: str, identifier: str, following: str) -> bytes:
        before = cookie_of(request, SESSION_COOKIE)
        if before is not None:
            self.changes.sessions.end(before)
        self.notes.succeeded(user, source_of(request))
        set_cookie(request, SESSION_COOKIE, identifier)
        return see_other(request, following)


def said(request: IRequest, result: LogInResult) -> str:
    """The words for a refusal; sets the status of the answer."""
    status, text = _SAID[result]
    request.setResponseCode(status)
    if result in _RETRY_AFTER:
        request.setHeader(b"retry-after", _RETRY_AFTER[result])
    return text


def _asked_next(request: IRequest) -> str:
    """The page to go to after the log-in, as the address of this one says."""
    values = request.args.get(b"next", [b""])
    return _next_of(values[0].decode("latin-1"))


def _next_of(path: str) -> str:
    """A page of ours that a log-in may lead to; the overview for anything else, above all for other hosts' pages."""
    is_page = not path.startswith(("/api/", LOG_IN, LOG_OUT))
    return local_path(path) if is_page and len(path) <= _LONGEST_NEXT else "/"


def _as_query(following: str) -> str:
    return urlencode({"next": following})
