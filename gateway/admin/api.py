"""The administration interface over HTTP: JSON for machines, pages for people, /metrics for Prometheus.

What lives here: the routes and their errors. What does not: what every answer has in common (`front`), what is asked of
the gateway (`inspection`), the look of the pages (`pages`). Nothing here changes the gateway: each route is GET.

    HTTP -> front (Host, headers) -> route -> Inspection -> JSON | page
"""

import json

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Site
from werkzeug.exceptions import HTTPException, NotFound

from gateway.admin.front import Front, error_body
from gateway.admin.inspection import Inspection, Json
from gateway.admin.pages import STYLE, Pages
from gateway.metrics import CONTENT_TYPE, Metrics

log = Logger()


def admin_site(inspection: Inspection, metrics: Metrics) -> Site:
    """The protocol factory to listen with."""
    return Site(admin_resource(inspection, metrics))


def admin_resource(inspection: Inspection, metrics: Metrics) -> IResource:
    """All of the administration interface as one web resource."""
    return Front(Api(inspection, metrics).app.resource())


class Api:
    """The routes."""

    app = Klein()

    def __init__(self, inspection: Inspection, metrics: Metrics) -> None:
        self._inspection = inspection
        self._metrics = metrics
        self._pages = Pages()

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: IRequest) -> bytes:
        """That the gateway answers at all: for health checks of containers and service managers."""
        return _json(request, {"status": "ok"})

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: IRequest) -> bytes:
        """All metrics in the Prometheus text format."""
        return _typed(request, CONTENT_TYPE, self._metrics.exposition())

    @app.route("/api/calls", methods=["GET"])
    def calls(self, request: IRequest) -> bytes:
        """A summary of each call, the latest first."""
        return _json(request, [*self._inspection.calls()])

    @app.route("/api/calls/<path:call_id>", methods=["GET"])
    def call(self, request: IRequest, call_id: str) -> bytes:
        """All that is known of one call."""
        return _json(request, self._find(call_id))

    @app.route("/api/phones", methods=["GET"])
    def phones(self, request: IRequest) -> bytes:
        """The phones that are registered."""
        return _json(request, [*self._inspection.phones()])

    @app.route("/api/domains", methods=["GET"])
    def domains(self, request: IRequest) -> bytes:
        """The domains and their policy."""
        return _json(request, [*self._inspection.domains()])

    @app.route("/api/peers", methods=["GET"])
    def peers(self, request: IRequest) -> bytes:
        """The providers and what they were last seen to do."""
        return _json(request, [*self._inspection.peers()])

    @app.route("/", methods=["GET"])
    def calls_page(self, request: IRequest) -> bytes:
        """The calls, for people."""
        return _html(request, self._pages.calls(self._inspection.calls()))

    @app.route("/calls/<path:call_id>", methods=["GET"])
    def call_page(self, request: IRequest, call_id: str) -> bytes:
        """One call with its ladder and reasons, for people."""
        return _html(request, self._pages.call(self._find(call_id)))

    @app.route("/style.css", methods=["GET"])
    def style(self, request: IRequest) -> bytes:
        """The pages' style sheet."""
        return _typed(request, b"text/css; charset=utf-8", STYLE)

    @app.handle_errors(HTTPException)
    def refused(self, request: IRequest, failure: Failure) -> bytes:
        """No such route, no such thing, or no such method on it."""
        error = failure.value
        assert isinstance(error, HTTPException)
        status = error.code or 500
        for name, value in error.get_headers():
            if name == "Allow":
                request.setHeader(b"allow", value.encode())
        return error_body(request, status, error.description or error.name)

    @app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """A mistake of ours: it goes to the log, never to the client."""
        log.failure("the administration interface failed at {path}", failure=failure, path=request.path)
        return error_body(request, 500, "The gateway made a mistake; its log says more.")

    def _find(self, call_id: str) -> dict[str, Json]:
        found = self._inspection.call(call_id)
        if found is None:
            raise NotFound(f"There is no call {call_id}.")
        return found


def _json(request: IRequest, value: Json) -> bytes:
    return _typed(request, b"application/json", json.dumps(value).encode() + b"\n")


def _html(request: IRequest, text: str) -> bytes:
    return _typed(request, b"text/html; charset=utf-8", text.encode())


def _typed(request: IRequest, content_type: bytes, body: bytes) -> bytes:
    request.setHeader(b"content-type", content_type)
    return body
