"""Operation: whether the gateway takes calls, its drain, and this machine under it.

Of what a service manager asks and an operator orders, the parts that are spread over the others are joined here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred

from gateway.admin.routes import HttpRoute
from gateway.admin.v1.operation import OperationApi
from gateway.app.calls_part import CallsPart
from gateway.app.ingress_part import IngressPart
from gateway.app.media_part import MediaPart
from gateway.app.network.network_part import NetworkPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.b2bua.calls import Unsettled
from gateway.config.model import AtStop, Listener
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
        self._drain, self._transport = ingress.drain, ingress.transport
        self._seconds = basis.configuration.gateway.drain_seconds
        self._calls = calls
        section = basis.configuration.gateway
        self._keeps, self._can_keep = section.stop is AtStop.KEEP, section.keep_calls
        self.network = NetworkPart(basis, settings, peers, calls, ingress)
        readiness = Readiness(
            ingress.drain,
            ingress.is_listening,
            lambda: media.nodes,
            peers.trunk.health.targets,
            lambda: len(settings.current.providers),
            self.network.addresses.reasons,
        )
        basis.metrics.asked.add(readiness.figures)
        api = OperationApi(readiness.reasons, ingress.drain, calls.calls, settings.audit, self._seconds)
        self.routes: Sequence[HttpRoute] = api.routes()

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The listeners, at the addresses that they have now."""
        return self._transport.listeners

    def start(self) -> None:
        """Begin to watch this machine's addresses and clock."""
        self.network.start()

    def stop(self) -> Deferred[None]:
        """Watch no more."""
        return self.network.stop()

    @property
    def is_draining(self) -> bool:
        """Whether no new calls are taken, be there calls left or not."""
        return self._drain.is_draining

    def terminate(self, end: Callable[[], None]) -> None:
        """Drain, then ``end`` the process; asked a second time, end it at once.

        Where calls that are up are left to the next process, the drain is of the others.
        """
        self._terminate(end, keeps=self._keeps)

    def hand_over(self, end: Callable[[], None]) -> None:
        """The same for a process that another one follows at once: calls that are up are left to it, where any are
        kept."""
        self._terminate(end, keeps=self._can_keep)

    def _terminate(self, end: Callable[[], None], *, keeps: bool) -> None:
        awaited = Unsettled(self._calls.calls) if keeps else None
        then = partial(self._leave_calls, end) if keeps else end
        if not self._drain.is_final:
            self._drain.begin(self._seconds, then, awaited)
        elif self._drain.is_waiting:
            self._drain.stop()
            then()

    def _leave_calls(self, end: Callable[[], None]) -> None:
        self._calls.leave_calls()
        end()
