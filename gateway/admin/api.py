"""The administration interface over HTTP: JSON for machines, pages for people, /metrics for Prometheus.

What lives here: the routes and their errors. What does not: what every answer has in common (`front`), what is asked of
the gateway (`inspection`), the look of the pages (`pages`), who asks (`asker`).

    HTTP -> front (Host, headers) -> GET route  -> Inspection -> JSON | page
                                     POST route -> from this machine, as JSON? -> Control -> JSON

A POST changes the gateway, so it is taken from loopback only, and never from a web page: a page cannot send
application/json to another origin without asking first, which is not answered, and its Origin shows it anyway.
"""

import json
from ipaddress import ip_address

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Site
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, NotFound, UnsupportedMediaType

from gateway.admin.hardening import Front, error_body
from gateway.admin.inspection import Control, Inspection, NotChanged, Row
from gateway.admin.local_user import owner_of
from gateway.admin.pages import STYLE, Pages
from gateway.base.json_codec import Json
from gateway.observe.metrics import CONTENT_TYPE, Metrics

log = Logger()

MAXIMUM_BYTES = 65_536
"""Of the body of a POST."""


def admin_site(inspection: Inspection, control: Control, metrics: Metrics) -> Site:
    """The protocol factory to listen with."""
    return QuietSite(admin_resource(inspection, control, metrics))  # type: ignore[no-untyped-call]


def admin_resource(inspection: Inspection, control: Control, metrics: Metrics) -> IResource:
    """All of the administration interface as one web resource."""
    return Front(Api(inspection, control, metrics).app.resource())


class QuietSite(Site):
    """Health checks and Prometheus ask several times a minute: that is no news. Changes are in the audit log."""

    def log(self, request: HttpRequest) -> None:
        """One line at level debug."""
        log.debug("{method} {path}: {code}", method=request.method, path=request.path, code=request.code)


class Api:
    """The routes."""

    app = Klein()

    def __init__(self, inspection: Inspection, control: Control, metrics: Metrics) -> None:
        self._inspection = inspection
        self._control = control
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
    def call(self, request: IRequest, call_id: str) -> Deferred[bytes]:
        """All that is known of one call."""
        return self._find(call_id).addCallback(lambda call: _json(request, call))

    @app.route("/api/cdr", methods=["GET"])
    def cdr(self, request: IRequest) -> bytes:
        """The call detail records of the latest calls that ended."""
        return _json(request, [*self._inspection.call_details()])

    @app.route("/api/phones", methods=["GET"])
    def phones(self, request: IRequest) -> bytes:
        """The phones that are registered."""
        return _json(request, [*self._inspection.phones()])

    @app.route("/api/domains", methods=["GET"])
    def domains(self, request: IRequest) -> bytes:
        """The domains and their policy."""
        return _json(request, [*self._inspection.domains()])

    @app.route("/api/domains/<name>", methods=["GET"])
    def domain(self, request: IRequest, name: str) -> bytes:
        """One domain, with who changed what of it and when."""
        found = self._inspection.domain(name)
        if found is None:
            raise NotFound(f"There is no domain {name}.")
        return _json(request, found)

    @app.route("/api/domains/<name>", methods=["POST"])
    def switch_domain(self, request: IRequest, name: str) -> bytes:
        """Set a domain's security: {"security": "required" | "preferred" | "off" | "configured"}."""
        asked, who = _change(request)
        return _json(request, self._control.switch_domain(name, _text(asked, "security"), who))

    @app.route("/api/reload", methods=["POST"])
    def reload(self, request: IRequest) -> bytes:
        """Read the configuration again: {}."""
        _, who = _change(request)
        return _json(request, self._control.reload(who))

    @app.route("/api/peers/forget", methods=["POST"])
    def forget_peer(self, request: IRequest) -> bytes:
        """Forget what a peer was seen to do: {"name": ...}."""
        asked, who = _change(request)
        return _json(request, self._control.forget_peer(_text(asked, "name"), who))

    @app.route("/api/peers/learn", methods=["POST"])
    def learn_peer(self, request: IRequest) -> bytes:
        """Expect something of a peer: {"name": ..., "features": ["tls", "srtp"]}."""
        asked, who = _change(request)
        features = asked.get("features")
        if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
            raise BadRequest("features is missing: a list of texts.")
        return _json(request, self._control.learn_peer(_text(asked, "name"), [str(item) for item in features], who))

    @app.route("/api/peers", methods=["GET"])
    def peers(self, request: IRequest) -> bytes:
        """The providers and what they were last seen to do."""
        return _json(request, [*self._inspection.peers()])

    @app.route("/api/certificates", methods=["GET"])
    def certificates(self, request: IRequest) -> bytes:
        """The certificates that the TLS listeners serve."""
        return _json(request, [*self._inspection.certificates()])

    @app.route("/api/counts", methods=["GET"])
    def counts(self, request: IRequest) -> bytes:
        """How much there is of everything at this moment."""
        return _json(request, self._inspection.counts())

    @app.route("/", methods=["GET"])
    def calls_page(self, request: IRequest) -> bytes:
        """The calls, for people."""
        return _html(request, self._pages.calls(self._inspection.calls()))

    @app.route("/calls/<path:call_id>", methods=["GET"])
    def call_page(self, request: IRequest, call_id: str) -> Deferred[bytes]:
        """One call with its ladder and reasons, for people."""
        return self._find(call_id).addCallback(lambda call: _html(request, self._pages.call(call)))

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

    @app.handle_errors(NotChanged)
    def not_changed(self, request: IRequest, failure: Failure) -> bytes:
        """A change that was refused; everything is as it was."""
        error = failure.value
        assert isinstance(error, NotChanged)
        return error_body(request, error.status, str(error))

    @app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """A mistake of ours: it goes to the log, never to the client."""
        log.failure("the administration interface failed at {path}", failure=failure, path=request.path)
        return error_body(request, 500, "The gateway made a mistake; its log says more.")

    def _find(self, call_id: str) -> Deferred[Row]:
        def found(call: Row | None) -> Row:
            if call is None:
                raise NotFound(f"There is no call {call_id}.")
            return call

        return self._inspection.call(call_id).addCallback(found)


def _change(request: IRequest) -> tuple[Row, str]:
    """What a POST asks, and who asks it; refused unless it comes from this machine and not from a web page."""
    client, server = request.getClientAddress(), request.getHost()
    host = getattr(client, "host", "")
    if not _is_loopback(host):
        raise Forbidden("Changes are made from the gateway's own machine only.")
    if request.getHeader(b"origin") is not None:
        raise Forbidden("Changes are not made from web pages.")
    if (request.getHeader(b"content-type") or b"").split(b";")[0].strip().lower() != b"application/json":
        raise UnsupportedMediaType("A change is asked for with a JSON object.")
    try:
        asked = json.loads(request.content.read(MAXIMUM_BYTES))
    except ValueError:
        raise BadRequest("This is no JSON.") from None
    if not isinstance(asked, dict):
        raise BadRequest("A change is asked for with a JSON object.")
    owner = owner_of((host, getattr(client, "port", 0)), (getattr(server, "host", ""), getattr(server, "port", 0)))
    return asked, owner or f"somebody at {host}"


def _text(asked: Row, key: str) -> str:
    value = asked.get(key)
    if not isinstance(value, str):
        raise BadRequest(f"{key} is missing: a text.")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _json(request: IRequest, value: Json) -> bytes:
    return _typed(request, b"application/json", json.dumps(value).encode() + b"\n")


def _html(request: IRequest, text: str) -> bytes:
    return _typed(request, b"text/html; charset=utf-8", text.encode())


def _typed(request: IRequest, content_type: bytes, body: bytes) -> bytes:
    request.setHeader(b"content-type", content_type)
    return body
