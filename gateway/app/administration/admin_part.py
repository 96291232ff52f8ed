"""Administration: HTTP for operators and Prometheus."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from gateway.admin.api import admin_resource
from gateway.admin.inspection import NotChanged
from gateway.admin.ports import as_listener, open_socket, open_tcp, own_names
from gateway.admin.site import BoundedSite
from gateway.admin.v1.resources import ApiV1
from gateway.admin.v1.stream import EventStreams
from gateway.admin.v1.trace_routes import TraceRoutes
from gateway.app.administration import lulls
from gateway.app.administration.accounts_part import AccountsPart
from gateway.app.administration.assessment_part import AssessmentPart, PlaceNow
from gateway.app.administration.operation_part import OperationPart
from gateway.app.administration.overview_part import overview_of
from gateway.app.administration.pages_part import pages_part
from gateway.app.administration.phones_part import PhonesPart
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.config.switches import Settings
from gateway.transport.sockets import CannotListen, refused_port

log = Logger()


class AdminPart(GatewayPart):
    """The administration interface."""

    def __init__(
        self,
        basis: Basis,
        settings: Settings,
        state: StatePart,
        signalling: SignallingPart,
        calls: CallsPart,
        operation: OperationPart,
    ) -> None:
        self._basis = basis
        transport = signalling.transport
        self._turns = turns = lulls.turns(basis, transport)
        self._tidying = lulls.tidying(turns)
        self.overview = overview = overview_of(basis, settings, state, signalling, calls, turns)
        self._accounts = accounts = AccountsPart(basis, settings.audit)
        streams = EventStreams(basis.metrics.events, basis.reactor, int(basis.clock.wall()))
        basis.routes.extend(TraceRoutes(signalling.tracing.traces, settings.audit, basis.reactor).routes())
        servers = operation.network.other_dhcp_servers
        now = PlaceNow(lambda: evolve(self._phones.surroundings(), rogue_dhcp=servers()), operation.network.placed)
        self._assessment = AssessmentPart(basis, settings, state, signalling, calls, now)
        means = self._assessment.office_means(turns.next)
        self._phones = PhonesPart(basis, settings, state, signalling, calls, means)
        self.provisioning = self._phones.provisioning
        part = pages_part(basis, settings, overview, calls, operation, turns)
        others = (*accounts.routes(part.desk), *operation.routes, *part.routes, *basis.offered(part.desk))
        api = ApiV1(overview, overview, accounts.door, streams, basis.clock.wall, others)
        listener = as_listener(basis.configuration.admin)
        self._tls = None if listener is None else transport.serve_tls(listener)
        names, routes = own_names(basis.configuration.admin, self._tls), (*others, *api.routes())
        self._pages, drawing = part.desk.pages, (part.desk.error, part.kept)
        proxies = basis.configuration.admin.trusted_proxies
        self.front = admin_resource(
            overview, overview, basis.metrics, accounts.door, routes, names, *drawing, proxies, turns
        )
        self._ports: list[Any] = []

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Read the users, then listen; no part is started later. Fails with CannotListen and InUse."""
        yield self._accounts.start()
        configuration, reactor, cluster = self._basis.configuration, self._basis.reactor, self._basis.cluster
        if cluster is not None:
            yield Deferred.fromCoroutine(cluster.leave_ports())
        admin, front = configuration.admin, self.front
        try:
            self._ports.append(open_tcp(reactor, admin, BoundedSite(front, reactor, self._turns), self._tls))
        except CannotListenError as error:
            raise CannotListen(f"admin.{refused_port('tcp', admin.address, admin.port, error)}") from None
        port = self._ports[0].getHost().port
        scheme = "http" if self._tls is None else "https"
        log.info("administration on {scheme}://{address}:{port}/", scheme=scheme, address=admin.address, port=port)
        path = admin.socket_in(configuration.gateway.state_directory)
        self._tidying.start(lulls.LOOK_SECONDS)
        loaded = Deferred.fromCoroutine(self._pages.load(self._turns))
        loaded.addErrback(lambda failure: log.failure("the pages' templates are not read", failure))
        socket = open_socket(reactor, path, BoundedSite(front, reactor, self._turns))
        self._ports += [socket] if socket is not None else []
        yield self._phones.start()
        yield self._assessment.start(lambda: not self._accounts.register.is_open_to_all)
        lulls.spare_long_lived()

    def reload(self, who: str) -> None:
        """Read the configuration again. The log is told, of a mistake as well."""
        with suppress(NotChanged):
            self.overview.reload(who)

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Listen no more."""
        if self._tidying.running:
            self._tidying.stop()
        ports, self._ports = self._ports, []
        for port in ports:
            yield maybeDeferred(port.stopListening)
        yield self._assessment.stop()
        yield self._phones.stop()
        yield self._accounts.stop()
