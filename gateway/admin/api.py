"""The administration interface over HTTP: JSON for machines, /metrics for Prometheus.

Here: the routes and their answers. Not here: finding the route of a request (`routes`), the headers of every answer
(`hardening`), the questions to the gateway (`inspection`), pages for people (`pages`), bounds (`site`), users, log-in
and tokens (`accounts`).

    HTTP -> Front (Host, headers) -> route -> change? of a page of ours, or JSON -> Permission: the role of the route?
                                              -> GET: Inspection -> JSON     POST: Control -> JSON
"""

from collections.abc import Container, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Front, Network, Proxies, Rejected
from gateway.admin.http_bodies import as_json, as_typed, asked_of, listed, text_of
from gateway.admin.inspection import Control, Inspection, Permission, Role, Row, caller_of
from gateway.admin.kept_pages import KeptPages
from gateway.admin.routes import ErrorPage, HttpRoute, HttpRoutes, RouteWatch
from gateway.admin.turns import Turns
from gateway.observe.metrics import CONTENT_TYPE, Metrics


def admin_resource(
    inspection: Inspection,
    control: Control,
    metrics: Metrics,
    permission: Permission,
    more: Sequence[HttpRoute] = (),
    names: Container[str] = (),
    error_page: ErrorPage | None = None,
    pages: KeptPages | None = None,
    proxies: Sequence[Network] = (),
    turns: Turns | None = None,
) -> Front:
    """All of the administration interface as one web resource. ``more``: the routes of pages and accounts. ``names``:
    those of this host beside localhost. ``error_page`` draws an error for people, ``pages`` keeps pages shortly,
    ``proxies`` are those in front. Long answers are made in ``turns``, so that no call waits for them."""
    routes = (*more, *Api(inspection, control, metrics, turns).routes())
    return Front(
        HttpRoutes(routes, permission, RouteWatch(metrics, control), error_page, pages), names, Proxies(proxies)
    )


class Api:
    """The answers, and the routes that lead to them."""

    def __init__(self, inspection: Inspection, control: Control, metrics: Metrics, turns: Turns | None = None) -> None:
        """Without ``turns``, answers are made at once."""
        self._turns = turns
        self._inspection = inspection
        self._control = control
        self._metrics = metrics

    def routes(self) -> tuple[HttpRoute, ...]:
        """All routes; of two that match, the first counts."""
        return (
            HttpRoute("GET", "/healthz", self.healthz, Role.NOBODY),
            HttpRoute("GET", "/metrics", self.metrics, Role.VIEWER),
            HttpRoute("GET", "/api/calls", self.calls, Role.VIEWER),
            HttpRoute("GET", "/api/calls/{call_id:path}", self.call, Role.VIEWER),
            HttpRoute("GET", "/api/cdr", self.cdr, Role.VIEWER),
            HttpRoute("GET", "/api/phones", self.phones, Role.VIEWER),
            HttpRoute("GET", "/api/domains", self.domains, Role.VIEWER),
            HttpRoute("GET", "/api/domains/{name}", self.domain, Role.VIEWER),
            HttpRoute("POST", "/api/domains/{name}", self.switch_domain, Role.OPERATOR),
            HttpRoute("POST", "/api/reload", self.reload, Role.ADMIN),
            HttpRoute("POST", "/api/peers/forget", self.forget_peer, Role.OPERATOR),
            HttpRoute("POST", "/api/peers/learn", self.learn_peer, Role.OPERATOR),
            HttpRoute("GET", "/api/peers", self.peers, Role.VIEWER),
            HttpRoute("GET", "/api/certificates", self.certificates, Role.VIEWER),
            HttpRoute("GET", "/api/counts", self.counts, Role.VIEWER),
        )

    def healthz(self, request: IRequest) -> bytes:
        """Says that the gateway answers: for health checks of containers and service managers."""
        return as_json(request, {"status": "ok"})

    async def metrics(self, request: IRequest) -> bytes:
        """All metrics in the Prometheus text format."""
        return as_typed(request, CONTENT_TYPE, await self._joined(self._metrics.texts()))

    async def calls(self, request: IRequest) -> bytes:
        """A summary of each call, the latest first."""
        return await self._list(request, self._inspection.calls())

    def call(self, request: IRequest, call_id: str) -> Deferred[bytes]:
        """All that is known of one call."""
        return self._find(call_id).addCallback(lambda call: as_json(request, call))

    async def cdr(self, request: IRequest) -> bytes:
        """The call detail records of the latest calls that ended."""
        return await self._list(request, self._inspection.call_details())

    async def phones(self, request: IRequest) -> bytes:
        """The phones that are registered."""
        return await self._list(request, self._inspection.phones())

    def domains(self, request: IRequest) -> bytes:
        """The domains and their policy."""
        return as_json(request, [*self._inspection.domains()])

    def domain(self, request: IRequest, name: str) -> bytes:
        """One domain, with the audit of its changes."""
        found = self._inspection.domain(name)
        if found is None:
            raise Rejected(404, f"There is no domain {name}.")
        return as_json(request, found)

    def switch_domain(self, request: IRequest, name: str) -> bytes:
        """Set a domain's security: {"security": "required" | "preferred" | "off" | "configured"}."""
        asked, who = asked_of(request), caller_of(request).author
        return as_json(request, self._control.switch_domain(name, text_of(asked, "security"), who))

    def reload(self, request: IRequest) -> bytes:
        """Read the configuration again: {}."""
        asked_of(request)
        return as_json(request, self._control.reload(caller_of(request).author))

    def forget_peer(self, request: IRequest) -> bytes:
        """Forget the features that a peer was seen to have: {"name": ...}."""
        asked, who = asked_of(request), caller_of(request).author
        return as_json(request, self._control.forget_peer(text_of(asked, "name"), who))

    def learn_peer(self, request: IRequest) -> bytes:
        """Expect something of a peer: {"name": ..., "features": ["tls", "srtp"]}."""
        asked, who = asked_of(request), caller_of(request).author
        features = asked.get("features")
        if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
            raise Rejected(400, "features is missing: a list of texts.")
        return as_json(request, self._control.learn_peer(text_of(asked, "name"), [str(item) for item in features], who))

    def peers(self, request: IRequest) -> bytes:
        """The providers, and the features that they were last seen to have."""
        return as_json(request, [*self._inspection.peers()])

    def certificates(self, request: IRequest) -> bytes:
        """The certificates that the TLS listeners serve."""
        return as_json(request, [*self._inspection.certificates()])

    def counts(self, request: IRequest) -> bytes:
        """How much there is of everything at this moment."""
        return as_json(request, self._inspection.counts())

    def _find(self, call_id: str) -> Deferred[Row]:
        def found(call: Row | None) -> Row:
            if call is None:
                raise Rejected(404, f"There is no call {call_id}.")
            return call

        return self._inspection.call(call_id).addCallback(found)

    async def _list(self, request: IRequest, rows: Iterable[Row]) -> bytes:
        """The rows as one list, each gathered when its turn has come."""
        return as_typed(request, b"application/json", await self._joined(listed(rows)))

    async def _joined(self, texts: Iterable[str]) -> bytes:
        """The texts as one: between pieces of a third of a millisecond, calls have their turn."""
        return ("".join(texts) if self._turns is None else await self._turns.joined(texts)).encode()
