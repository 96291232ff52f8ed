"""A table of routes over twisted.web: the method and path of a request choose the function that answers it.

    request -> HttpRoutes -> HttpRoute.answer(request, **placeholders) -> body, at once or later
                 `-> 404, 405 with Allow, or the error that was raised, as JSON

Here: matching, waiting for an answer, errors. Not here: the routes (api), the headers of every answer (hardening).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote_to_bytes

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from gateway.admin.hardening import Rejected, error_body
from gateway.admin.inspection import NotChanged, Role

log = Logger()

_PLACEHOLDER = re.compile(r"\{(\w+)(:path)?\}")


@attrs.frozen
class HttpRoute:
    """Answers one method on one path. The path has placeholders: {name} is a segment, {name:path} may hold slashes."""

    method: str
    path: str
    answer: Callable[..., bytes | Deferred[bytes]]
    """Takes the request and the placeholders, decoded."""
    role: Role
    """The right that it needs."""
    query: type[attrs.AttrsInstance] | None = None
    """The parameters of its query, as a class; None for one without."""
    change: type[attrs.AttrsInstance] | None = None
    """The JSON object that its request carries, as a class; None for one without."""
    schema: object = None
    """The type of the JSON that it answers: an attrs class, or a list of one; None where the answer is no JSON."""
    pattern: re.Pattern[str] = attrs.field(init=False)

    @pattern.default
    def _compiled(self) -> re.Pattern[str]:
        pieces = _PLACEHOLDER.split(self.path)
        texts, names, kinds = pieces[::3], pieces[1::3], pieces[2::3]
        groups = [f"(?P<{name}>{'.+' if kind else '[^/]+'})" for name, kind in zip(names, kinds, strict=True)]
        return re.compile("".join(a + b for a, b in zip(map(re.escape, texts), [*groups, ""], strict=True)), re.DOTALL)


class HttpRoutes(Resource):
    """The routes as one web resource. HEAD is GET; twisted.web leaves the body out."""

    isLeaf = True

    def __init__(self, routes: Sequence[HttpRoute]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._routes = routes

    def render(self, request: Request) -> int:
        """Answer now or when the answer is there; not where the client has gone meanwhile."""
        is_gone = False

        def lost(_: Failure) -> None:
            nonlocal is_gone
            is_gone = True

        def send(body: bytes) -> None:
            if not is_gone:
                request.setHeader(b"content-length", b"%d" % len(body))
                request.write(body)
                request.finish()

        request.notifyFinish().addErrback(lost)
        Deferred.fromCoroutine(self._answer(request)).addErrback(_error, request).addCallback(send)
        return NOT_DONE_YET

    async def _answer(self, request: IRequest) -> bytes:
        path = "/" + unquote_to_bytes(request.path).decode().lstrip("/")
        found = [(route, match) for route in self._routes if (match := route.pattern.fullmatch(path))]
        method = "GET" if request.method == b"HEAD" else request.method.decode("latin-1")
        for route, match in found:
            if route.method == method:
                answer = route.answer(request, **match.groupdict())
                return await answer if isinstance(answer, Deferred) else answer
        if found:
            allowed = {route.method for route, _ in found}
            allowed |= {"HEAD"} if "GET" in allowed else set()
            raise Rejected(405, "The method is not allowed for the requested URL.", ", ".join(sorted(allowed)))
        raise Rejected(404, "The requested URL was not found on the server.")


def _error(failure: Failure, request: IRequest) -> bytes:
    """The body for an error. A mistake of ours goes to the log, never to the client."""
    error = failure.value
    if isinstance(error, Rejected):
        if error.allow:
            request.setHeader(b"allow", error.allow.encode())
        return error_body(request, error.status, str(error))
    if isinstance(error, NotChanged):
        return error_body(request, error.status, str(error))
    log.failure("the administration interface failed at {path}", failure=failure, path=request.path)
    return error_body(request, 500, "The gateway made a mistake; its log says more.")
