"""Administration: HTTP for operators and Prometheus."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from gateway.admin.api import admin_resource
from gateway.admin.counts import Counts
from gateway.admin.inspection import NotChanged
from gateway.admin.overview import Overview
from gateway.admin.ports import as_listener, open_socket, open_tcp, own_names
from gateway.admin.site import BoundedSite
from gateway.admin.v1.resources import ApiV1
from gateway.admin.v1.stream import EventStreams
from gateway.admin.v1.trace_routes import TraceRoutes
from gateway.app.administration.accounts_part import AccountsPart
from gateway.app.administration.operation_part import OperationPart
from gateway.app.administration.pages_part import pages_part
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.config.switches import Settings
from gateway.state.listing.call_list import CallList
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
        counts = Counts(
            calls.calls,
            calls.dialogs,
            calls.subscriptions,
            state.store,
            transport,
            calls.relay,
            signalling.transactions,
            basis.reactor,
        )
        self.overview = overview = Overview(
            settings,
            calls.calls,
            state.history,
            state.store,
            state.memory,
            settings.audit,
            basis.clock.now,
            transport.certificate_reports,
            counts.now,
            CallList(state.ended_calls, calls.calls.records, basis.clock.wall),
            state.devices,
        )
        self._accounts = accounts = AccountsPart(basis, settings.audit)
        streams = EventStreams(basis.metrics.events, basis.reactor, int(basis.clock.wall()))
        traces = TraceRoutes(signalling.tracing.traces, settings.audit, basis.reactor)
        part = pages_part(basis, settings, overview, calls, lambda: operation.is_draining, accounts.changes)
        others = (*accounts.routes(part.desk), *operation.routes, *traces.routes(), *part.routes)
        api = ApiV1(overview, overview, accounts.door, streams, basis.clock.wall, others)
        listener = as_listener(basis.configuration.admin)
        self._tls = None if listener is None else transport.serve_tls(listener)
        names, routes = own_names(basis.configuration.admin, self._tls), (*others, *api.routes())
        drawing = part.desk.error, part.kept
        self.front = admin_resource(overview, overview, basis.metrics, accounts.door, routes, names, *drawing)
        self._ports: list[Any] = []

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Read the users, then listen. Fails with CannotListen."""
        yield self._accounts.start()
        configuration, reactor = self._basis.configuration, self._basis.reactor
        admin, front = configuration.admin, self.front
        try:
            self._ports.append(open_tcp(reactor, admin, BoundedSite(front, reactor), self._tls))
        except CannotListenError as error:
            raise CannotListen(f"admin.{refused_port('tcp', admin.address, admin.port, error)}") from None
        port = self._ports[0].getHost().port
        scheme = "http" if self._tls is None else "https"
        log.info("administration on {scheme}://{address}:{port}/", scheme=scheme, address=admin.address, port=port)
        path = admin.socket_in(configuration.gateway.state_directory)
        socket = open_socket(reactor, path, BoundedSite(front, reactor))
        self._ports += [socket] if socket is not None else []

    def reload(self, who: str) -> None:
        """Read the configuration again. The log is told, of a mistake as well."""
        with suppress(NotChanged):
            self.overview.reload(who)

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Listen no more."""
        ports, self._ports = self._ports, []
        for port in ports:
            yield maybeDeferred(port.stopListening)
        yield self._accounts.stop()
