"""The administration interface of a node that waits: it lives, it takes no calls, and it names the node that does.

    /healthz 200    /readyz 503 "standby: ..."    /metrics    /api/v1/cluster    /may-hold    everything else 503

There are no users here: accounts are the active node's, and come with the rest of its state. So metrics go to
`metrics_from` and to this machine, and the state of the cluster to root, the gateway's user and operators: the
kernel names them. On becoming active the gateway's own interface opens at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gateway.admin.accounts.proofs import user_of_socket
from gateway.admin.hardening import FOR_ALL, SOCKET, Front, NotPermitted, Proxies, Rejected, is_among, source_of
from gateway.admin.http_bodies import as_json, as_typed
from gateway.admin.inspection import Caller, Role
from gateway.admin.permission import Operators, is_loopback
from gateway.admin.ports import as_listener, open_socket, open_tcp, own_names
from gateway.admin.routes import HttpRoute, HttpRoutes, RouteWatch
from gateway.admin.site import BoundedSite
from gateway.admin.status.cluster_api import ClusterAnswer, ClusterApi
from gateway.admin.turns import Turns
from gateway.config.model import Admin, Configuration
from gateway.observe.cluster_metrics import ClusterMetrics
from gateway.observe.figures import AskedCollector, AskedRow, Sample
from gateway.observe.metrics import CONTENT_TYPE
from gateway.transport.sockets import CannotListen, refused_port
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.tls.contexts import ServerTls

log = Logger()

CERTIFICATE_SECONDS: Final = 60.0
"""Between two looks for another certificate of the interface."""
METRICS: Final = "/metrics"


class WaitingDoor:
    """Admits requests to a node that waits."""

    def __init__(self, admin: Admin) -> None:
        self._operators = Operators.named(admin.operators)
        self._monitors = admin.metrics_from

    def admit(self, request: IRequest, role: Role, path: str) -> Caller:
        """See Permission. Raises Rejected."""
        source = source_of(request)
        if path in FOR_ALL or (path == METRICS and is_among(source, self._monitors)):
            return Caller("anybody", Role.NOBODY, source)
        if source == SOCKET:
            number = user_of_socket(request)
            found = None if number is None else self._operators.known(number)
            if found is None:
                raise NotPermitted("another user", "The socket is for root, the gateway's user and operators.")
            return Caller(found.name, found.role, source)
        if path == METRICS and is_loopback(source):
            return Caller("anybody on this machine", Role.VIEWER, source)
        found = self._operators.asking(request)
        return Caller(found.name, found.role, source)


class _Unwatched(RouteWatch):
    """Counts nothing: nobody is served here."""

    def __init__(self) -> None:
        pass

    def answered(self, path: str, status: int) -> None:
        """See RouteWatch."""

    def refused(self, *_: object) -> None:
        """See RouteWatch."""


class WaitingAnswers:
    """The answers. `look` tells how this node stands."""

    def __init__(self, look: Callable[[], ClusterAnswer], figures: Callable[[], Iterable[Sample]]) -> None:
        self._look = look
        rows = [row for row in vars(ClusterMetrics).values() if isinstance(row, AskedRow)]
        self._registry = CollectorRegistry()
        collector = AskedCollector(rows)
        collector.add(figures)
        self._registry.register(collector)

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them; of two that match, the first counts."""
        return (
            HttpRoute("GET", "/healthz", lambda request: as_json(request, {"status": "ok"}), Role.NOBODY),
            HttpRoute("GET", "/readyz", self.readyz, Role.NOBODY),
            HttpRoute("GET", METRICS, self.metrics, Role.VIEWER),
            *ClusterApi(self._look).routes(),
            *(HttpRoute(method, "{rest:path}", self.elsewhere, Role.VIEWER) for method in ("GET", "POST")),
        )

    def readyz(self, request: IRequest) -> bytes:
        """That this node takes no calls."""
        request.setResponseCode(503)
        return as_json(request, {"status": "not ready", "reasons": [self._standing()]})

    def metrics(self, request: IRequest) -> bytes:
        """The metrics of the cluster, which are all there are."""
        return as_typed(request, CONTENT_TYPE, generate_latest(self._registry))

    def elsewhere(self, request: IRequest, rest: str) -> bytes:
        """Everything else is the active node's."""
        raise Rejected(503, f"This node waits, {self._standing()}.")

    def _standing(self) -> str:
        answer = self._look()
        if not answer.store_answers:
            return "standby: the cluster's store does not answer"
        if answer.active:
            return f"standby: {answer.active} is active"
        if not answer.has_address:
            return f"standby: no node is active, and {answer.address} is not on this machine"
        return "standby: no node is active"


class WaitingSite:
    """The ports of the interface while this node waits."""

    def __init__(self, configuration: Configuration, answers: WaitingAnswers, reactor: Any) -> None:
        """Raises CertificateError."""
        admin, self._reactor, self._configuration = configuration.admin, reactor, configuration
        listener = as_listener(admin)
        self._tls = None if listener is None else ServerTls(listener)
        routes = HttpRoutes(answers.routes(), WaitingDoor(admin), _Unwatched())
        self._front = Front(routes, own_names(admin, self._tls), Proxies(admin.trusted_proxies))
        self._ports: list[Any] = []
        self._renewing = LoopingCall(self._renew)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return bool(self._ports)

    def start(self) -> None:
        """Listen. Raises CannotListen."""
        admin, reactor, turns = self._configuration.admin, self._reactor, Turns(self._reactor)
        try:
            self._ports.append(open_tcp(reactor, admin, BoundedSite(self._front, reactor, turns), self._tls))
        except CannotListenError as error:
            raise CannotListen(f"admin.{refused_port('tcp', admin.address, admin.port, error)}") from None
        path = admin.socket_in(self._configuration.gateway.state_directory)
        socket = open_socket(reactor, path, BoundedSite(self._front, reactor, turns))
        self._ports += [socket] if socket is not None else []
        if self._tls is not None:
            self._renewing.start(CERTIFICATE_SECONDS, now=False)

    async def stop(self) -> None:
        """Listen no more."""
        if self._renewing.running:
            self._renewing.stop()
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)

    def _renew(self) -> None:
        assert self._tls is not None
        try:
            self._tls.adopt(self._tls.prepare())
        except CertificateError as error:
            log.warn("[admin] goes on with the certificate that it has: {reason}", reason=str(error))
