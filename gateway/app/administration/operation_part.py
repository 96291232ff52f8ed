"""Operation: whether the gateway takes calls, its drain, and this machine under it.

Of what a service manager asks and an operator orders, the parts that are spread over the others are joined here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.admin.routes import HttpRoute
from gateway.admin.v1.operation import OperationApi
from gateway.app.calls_part import CallsPart
from gateway.app.ingress_part import IngressPart
from gateway.app.media_part import MediaPart
from gateway.app.network.network_part import NetworkPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.app.succession.calls_at_stop import Fate, fate_of_calls, fate_with_this_file
from gateway.app.succession.last_words import LAST_WORDS_SECONDS
from gateway.b2bua.calls import Unsettled
from gateway.config.model import Listener
from gateway.config.switches import Settings
from gateway.ingress.readiness import Readiness

log = Logger()

_FATES: Final = {True: "left to the next process", False: "ended"}


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
        self._basis, self._keeps = basis, False
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
        api = OperationApi(readiness.reasons, ingress.drain, calls.calls, settings.audit, self._seconds, self._at_stop)
        self.routes: Sequence[HttpRoute] = api.routes()

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The listeners, at the addresses that they have now."""
        return self._transport.listeners

    def start(self) -> None:
        """Begin to watch this machine's addresses and clock."""
        fate = self._fate()
        log.info("at SIGTERM: calls that are up are {fate}, since {why}", fate=_FATES[fate.keeps], why=fate.why)
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
        fate = fate_with_this_file(self._fate(), self._basis.configuration)
        log.info("calls that are up are {fate}, since {why}", fate=_FATES[fate.keeps], why=fate.why)
        self._terminate(end, keeps=fate.keeps)

    def hand_over(self, end: Callable[[], None]) -> None:
        """The same for a process that another one follows at once: calls that are up are left to it, where any are
        kept."""
        self._terminate(end, keeps=self._basis.configuration.gateway.keep_calls)

    def end_calls(self, end: Callable[[], None]) -> None:
        """End every call, on both sides, then ``end`` the process."""
        self._drain.begin(LAST_WORDS_SECONDS)
        self._calls.end_calls("The gateway is being stopped", end)

    def _fate(self) -> Fate:
        basis, cluster = self._basis, self._basis.cluster
        is_another_there = None if cluster is None else cluster.is_another_there
        return fate_of_calls(basis.configuration.gateway, basis.parentage, is_another_there=is_another_there)

    def _at_stop(self) -> tuple[str, str]:
        fate = self._fate()
        return fate.word, fate.why

    def _terminate(self, end: Callable[[], None], *, keeps: bool) -> None:
        is_first = not self._drain.is_final
        self._keeps = keeps if is_first else self._keeps
        then = partial(self._leave_calls, end) if self._keeps else end
        if is_first:
            self._drain.begin(self._seconds, then, Unsettled(self._calls.calls) if keeps else None)
        elif self._drain.is_waiting:
            self._drain.stop()
            then()

    def _leave_calls(self, end: Callable[[], None]) -> None:
        self._calls.leave_calls()
        end()
