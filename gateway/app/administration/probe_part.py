"""Probes: the parts that they look through, handed to them, and their routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.admin.probes.probe_pages import ProbePages
from gateway.admin.probes.probe_routes import ProbeRoutes
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.start_checks import go_on_without
from gateway.app.state_part import StatePart
from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.jobs.regular_probes import KEPT, RegularProbes
from gateway.b2bua.probe.outlook.domain_outlook import Outlooks
from gateway.b2bua.probe.probes import Probes
from gateway.config.model import Configuration, Listener, Media
from gateway.config.switches import Settings
from gateway.transport.stream.trial import Trials

log = Logger()

LOOK_SECONDS: Final = 60.0
"""Between two looks whether a provider is to be probed."""


class ProbePart(GatewayPart):
    """The probes of a gateway."""

    def __init__(
        self,
        basis: Basis,
        settings: Settings,
        state: StatePart,
        signalling: SignallingPart,
        calls: CallsPart,
        placed: Callable[[], Configuration],
    ) -> None:
        """``placed`` gives the configuration with the addresses that interfaces have now."""
        around = Around(
            clock=basis.reactor,
            ports=basis.reactor,
            wall=basis.clock.wall,
            new_token=basis.random.token,
            locator=signalling.locator,
            health=calls.health,
            trials=Trials(basis.reactor, signalling.transport),
            transport=signalling.transport,
            transactions=signalling.transactions,
            memory=state.memory,
            store=state.store,
            relay=calls.relay,
            media_address=lambda: media_address(placed().media),
            own_hosts=lambda: own_hosts(signalling.transport.listeners, placed()),
            password_of=calls.admission.password_of,
            domains=lambda: settings.current.domains,
            providers=lambda: settings.current.providers,
        )
        self._probes = Probes(around, basis.metrics, basis.configuration.gateway.state_directory)
        self.outlooks = Outlooks(self._probes, around)
        self._table = state.probes
        wall, events = basis.clock.wall, basis.metrics.events
        self._regular = RegularProbes(self._probes, state.probes, events, lambda: settings.current.providers, wall)
        basis.metrics.asked.add(self._regular.figures)
        self._round = LoopingCall(self._look)
        self._round.clock = basis.reactor
        routes = ProbeRoutes(self._probes, self._regular, settings.audit)
        basis.routes.extend(routes.routes())
        basis.pages.append(lambda desk: ProbePages(routes, desk).routes())

    def start(self) -> Deferred[Any]:
        """Read the regular probes of before, and begin to look whether one is due. Fails with InUse."""
        self._round.start(LOOK_SECONDS, now=False)
        kept = self._table.latest(KEPT).addCallback(self._regular.recall)
        return kept.addErrback(go_on_without)

    def stop(self) -> Deferred[None]:
        """End the probes that run."""
        if self._round.running:
            self._round.stop()
        self._regular.stop()
        self._probes.stop()
        return succeed(None)

    def _look(self) -> Deferred[None]:
        looked = Deferred.fromCoroutine(self._regular.look())
        return looked.addErrback(lambda failure: log.failure("no regular probe was made", failure=failure))


def media_address(media: Media) -> str:
    """The address at which phones' media are."""
    return media.phone_address or media.address


def own_hosts(listeners: Iterable[Listener], placed: Configuration) -> frozenset[str]:
    """The addresses that these listeners, the administration and media listen on."""
    media = placed.media
    others = placed.admin.address, media.address, media.phone_address, media.provider_address
    return frozenset(one for one in (*(listener.address for listener in listeners), *others) if one)
