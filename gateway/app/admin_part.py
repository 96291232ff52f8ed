"""Administration: HTTP for operators and Prometheus."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from gateway.admin.api import admin_resource
from gateway.admin.counts import Counts
from gateway.admin.overview import Overview
from gateway.admin.permission import Operators
from gateway.admin.site import BoundedSite
from gateway.app.calls_part import CallsPart
from gateway.app.media_part import MediaPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.start_checks import tell
from gateway.app.state_part import StatePart
from gateway.config.doubts import of_administration
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
        media: MediaPart,
        signalling: SignallingPart,
        calls: CallsPart,
    ) -> None:
        self._basis = basis
        transport = signalling.transport
        counts = Counts(
            calls.calls,
            calls.dialogs,
            calls.subscriptions,
            state.store,
            transport,
            media.relay,
            signalling.transactions,
            basis.reactor,
        )
        self.overview = Overview(
            settings,
            calls.calls,
            state.history,
            state.store,
            state.memory,
            settings.audit,
            basis.clock.now,
            transport.certificate_reports,
            counts.now,
        )
        self._port: Any = None

    def start(self) -> None:
        """Listen. Raises CannotListen."""
        admin = self._basis.configuration.admin
        tell(of_administration(admin))
        reactor, operators = self._basis.reactor, Operators.named(admin.operators)
        resource = admin_resource(self.overview, self.overview, self._basis.metrics, operators)
        site = BoundedSite(resource, operators, reactor)
        try:
            self._port = reactor.listenTCP(admin.port, site, interface=admin.address)
        except CannotListenError as error:
            raise CannotListen(f"admin.{refused_port('tcp', admin.address, admin.port, error)}") from None
        port = self._port.getHost().port
        log.info("administration on http://{address}:{port}/", address=admin.address, port=port)

    def stop(self) -> Deferred[None]:
        """Listen no more."""
        return succeed(None) if self._port is None else maybeDeferred(self._port.stopListening)
