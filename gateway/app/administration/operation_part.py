"""Operation: whether the gateway takes calls, and its drain.

Of what a service manager asks and an operator orders, the parts that are spread over the others are joined here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.admin.routes import HttpRoute
from gateway.admin.v1.operation import OperationApi
from gateway.app.calls_part import CallsPart
from gateway.app.ingress_part import IngressPart
from gateway.app.media_part import MediaPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.config.switches import Settings
from gateway.ingress.readiness import Readiness


class OperationPart(GatewayPart):
    """Readiness, and the routes for it and for the drain."""

    def __init__(
        self,
        basis: Basis,
        settings: Settings,
        media: MediaPart,
        peers: PeersPart,
        calls: CallsPart,
        ingress: IngressPart,
    ) -> None:
        self._drain = ingress.drain
        self._seconds = basis.configuration.gateway.drain_seconds
        readiness = Readiness(
            ingress.drain,
            ingress.is_listening,
            lambda: media.nodes,
            peers.trunk.health.targets,
            lambda: len(settings.current.providers),
        )
        basis.metrics.asked.add(readiness.figures)
        api = OperationApi(readiness.reasons, ingress.drain, calls.calls, settings.audit, self._seconds)
        self.routes: Sequence[HttpRoute] = api.routes()

    @property
    def is_draining(self) -> bool:
        """Whether no new calls are taken, be there calls left or not."""
        return self._drain.is_draining

    def terminate(self, end: Callable[[], None]) -> None:
        """Drain, then ``end`` the process; asked a second time, end it at once."""
        if not self._drain.is_final:
            self._drain.begin(self._seconds, end)
        elif self._drain.is_waiting:
            self._drain.stop()
            end()
