"""A table of routes over twisted.web: the method and path of a request choose the function that answers it.

    request -> HttpRoutes -> HttpRoute.answer(request, **placeholders) -> body, at once or later
                 `-> 404, 405 with Allow, or the error that was raised, as JSON

Here: matching, waiting for an answer, errors. Not here: the routes (api), the headers of every answer (hardening).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from gateway.admin.hardening import (
    Elsewhere,
    NotLoggedIn,
    NotPermitted,
    Rejected,
    error_body,
    judge_change,
    see_other,
    source_of,
)
from gateway.admin.inspection import Caller, Control, NotChanged, Permission, Role
from gateway.admin.kept_pages import KeptPages
from gateway.observe.metrics import Metrics
from gateway.state.audit import Author

log = Logger()

STRANGERS_BYTES: Final = 4_096
"""Of a body for a route that takes it from everybody: a log-in."""

_NO_ROUTE: Final = "none"
_CHANGES: Final = {
    "/api/domains/{name}": "switch",
    "/api/reload": "reload",
    "/api/peers/forget": "forget",
    "/api/peers/learn": "learn",
}
"""Names of changes in the audit, older than routes; newer changes are named by their routes."""

ErrorPage: TypeAlias = Callable[[IRequest, int, str], bytes]
"""Draws an error: its status, and its text for people."""

_PLACEHOLDER = re.compile(r"\{(\w+)(:path)?\}")


@attrs.frozen
class HttpRoute:
    """Answers one method on one path. The path has placeholders: {name} is a segment, {name:path} may hold slashes."""

    method: str
    path: str
    answer: Callable[..., bytes | Awaitable[bytes]]
    """Takes the request and the placeholders, decoded."""
    role: Role
    """The right that it needs."""
    is_form: bool = False
    """Whether its request is a form of a page, and not JSON."""
    query: type[attrs.AttrsInstance] | None = None
    """The parameters of its query, as a class; None for one without."""
    change: type[attrs.AttrsInstance] | None = None
    """The JSON object that its request carries, as a class; None for one without."""
    schema: object = None
    """The type of the JSON that it answers: an attrs class, or a list of one; None where the answer is no JSON."""
    content: str = ""
    """The media type of an answer that is no JSON."""
    drawn_by: tuple[bytes, ...] | None = None
    """For a page that depends on its address and its reader alone: the names of the cookies that change it."""
    pattern: re.Pattern[str] = attrs.field(init=False)

    @pattern.default
    def _compiled(self) -> re.Pattern[str]:
        pieces = _PLACEHOLDER.split(self.path)
        texts, names, kinds = pieces[::3], pieces[1::3], pieces[2::3]
        groups = [f"(?P<{name}>{'.+' if kind else '[^/]+'})" for name, kind in zip(names, kinds, strict=True)]
        return re.compile("".join(a + b for a, b in zip(map(re.escape, texts), [*groups, ""], strict=True)), re.DOTALL)


class RouteWatch:
    """Counts the answers of routes, and notes refused changes."""

    def __init__(self, metrics: Metrics, control: Control) -> None:
        self._requests = metrics.admin_requests
        self._control = control

    def answered(self, path: str, status: int) -> None:
        """A request was answered; ``path`` is its route's, never the one that was asked for."""
        self._requests.labels(path, f"{status // 100}xx").inc()

    def refused(self, route: HttpRoute, author: Author, names: Mapping[str, str]) -> None:
        """A request to a route was refused for its author. Reading is no news."""
        if route.method != "GET":
            domain = names.get("name") if "/domains/" in route.path else None
            self._control.refused(_CHANGES.get(route.path, route.path), author, domain)


class HttpRoutes(Resource):
    """The routes as one web resource. HEAD is GET; twisted.web leaves the body out."""

    isLeaf = True

    def __init__(
        self,
        routes: Sequence[HttpRoute],
        permission: Permission,
        watch: RouteWatch,
        error_page: ErrorPage | None = None,
        pages: KeptPages | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._error_page = error_page
        self._pages = pages
        self.routes = tuple(routes)
        self._permission = permission
        self._watch = watch

    def judge_head(self, request: IRequest) -> None:
        """Whether a request's body will be looked at. Raises Rejected."""
        self._admit(request, self._found(request)[0])

    def render(self, request: Request) -> int:
        """Answer now or when the answer is there; not where the client has gone meanwhile."""
        is_gone = False

        def lost(_: Failure) -> None:
            nonlocal is_gone
            is_gone = True

        def send(body: bytes) -> None:
            if not is_gone:
                self._watch.answered(getattr(request, "route_path", _NO_ROUTE), request.code)
                request.setHeader(b"content-length", b"%d" % len(body))
                request.write(body)
                request.finish()

        request.notifyFinish().addErrback(lost)
        Deferred.fromCoroutine(self._answer(request)).addErrback(_error, request, self._error_page).addCallback(send)
        return NOT_DONE_YET

    async def _answer(self, request: IRequest) -> bytes:
        route, names = self._found(request)
        known: Any = request
        known.route_path = route.path
        try:
            known.caller = self._admit(request, route)
        except NotPermitted as refused:
            self._watch.refused(route, Author(refused.author, source_of(request)), names)
            raise
        if self._pages is None:
            return await _answered(route, request, names)
        if route.drawn_by is not None:
            return await self._pages.answer(
                request, route.drawn_by, lambda: Deferred.fromCoroutine(_answered(route, request, names))
            )
        if route.method == "GET" or route.role is Role.NOBODY:  # or a flood of wrong log-ins had all pages drawn anew
            return await _answered(route, request, names)
        self._pages.forget()
        try:
            return await _answered(route, request, names)
        finally:
            self._pages.forget()

    def _admit(self, request: IRequest, route: HttpRoute) -> Caller:
        """The author, if it may ask for that. The kernel is asked last, since that costs most. Raises Rejected."""
        if route.method != "GET":
            judge_change(request, is_form=route.is_form)
        if route.role is Role.NOBODY and int(request.getHeader(b"content-length") or b"0") > STRANGERS_BYTES:
            raise Rejected(413, f"A body here has {STRANGERS_BYTES} bytes at most.")
        caller = self._permission.admit(request, route.role, route.path)
        refusal: Rejected | None = getattr(request, "refusal", None)
        if refusal is not None:
            raise refusal
        return caller

    def _found(self, request: IRequest) -> tuple[HttpRoute, dict[str, str]]:
        """The route of a request, and the values of its placeholders. Raises Rejected."""
        path = "/" + unquote_to_bytes(request.path).decode().lstrip("/")
        found = [(route, match) for route in self.routes if (match := route.pattern.fullmatch(path))]
        method = "GET" if request.method == b"HEAD" else request.method.decode("latin-1")
        for route, match in found:
            if route.method == method:
                return route, match.groupdict()
        if found:
            allowed = {route.method for route, _ in found}
            allowed |= {"HEAD"} if "GET" in allowed else set()
            raise Rejected(405, "The method is not allowed for the requested URL.", ", ".join(sorted(allowed)))
        raise Rejected(404, "The requested URL was not found on the server.")


async def _answered(route: HttpRoute, request: IRequest, names: Mapping[str, str]) -> bytes:
    """The answer of a route to a request that was admitted."""
    answer = route.answer(request, **names)
    return answer if isinstance(answer, bytes) else await answer


def _error(failure: Failure, request: IRequest, error_page: ErrorPage | None) -> bytes:
    """The body for an error: a page for a browser, else JSON. A mistake of ours goes to the log, not to the client."""
    error = failure.value
    if isinstance(error, Elsewhere) and _is_page(request):
        return see_other(request, error.page_for(request))
    if isinstance(error, NotLoggedIn):
        request.setHeader(b"www-authenticate", b"Bearer")
    status, text = 500, "The gateway made a mistake; its log says more."
    if isinstance(error, Rejected | NotChanged):
        status, text = error.status, str(error)
    else:
        log.failure("the administration interface failed at {path}", failure=failure, path=request.path)
    if isinstance(error, Rejected) and error.allow:
        request.setHeader(b"allow", error.allow.encode())
    if error_page is not None and _is_for_people(request):
        return error_page(request, status, text)
    return error_body(request, status, text)


def _is_for_people(request: IRequest) -> bool:
    """Whether a browser shows the answer: no other client wants HTML."""
    return b"text/html" in (request.getHeader(b"accept") or b"")


def _is_page(request: IRequest) -> bool:
    """Whether a person reads the answer, and can be led to another page."""
    return request.method == b"GET" and _is_for_people(request)
