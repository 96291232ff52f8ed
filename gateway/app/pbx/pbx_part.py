"""PBXs and trunks that do not register ([[phone]]): where there are any, every part that knows phones knows them.

A gateway without them is made of the plain parts: nothing of this costs its calls anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.app.parts import Basis, GatewayPart
from gateway.app.pbx.pbx_standing import PbxStanding
from gateway.app.signalling_part import SignallingPart
from gateway.config.model import Configuration, Domain
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import LocationStore
from gateway.registrar.callers import Callers
from gateway.registrar.phones import Phones
from gateway.routing.pbx.pbx import Pbx
from gateway.routing.pbx.pbx_callers import PbxCallers, PbxPhones
from gateway.routing.pbx.pbx_health import PbxHealth
from gateway.routing.pbx.pbx_registration import PbxRegistration, RegistrationBasis
from gateway.routing.pbx.pbx_router import PbxRouter
from gateway.routing.pbx.pbx_ways import PbxWays, pbxs_of
from gateway.routing.pbx.pbxs import Pbxs
from gateway.routing.pbx.registration_way import RegistrationWay
from gateway.routing.router import Router
from gateway.routing.trunk import Trunk
from gateway.security.policy.peer_memory import PeerMemory

log = Logger()

RESOLVING_SECONDS: Final = 5.0
"""Between two looks for names whose answers are old."""
LOOK_SECONDS: Final = 1.0
"""Between two looks for registrations that are due."""


class PbxPart(GatewayPart):
    """The PBXs of a configuration; ``foreign`` gives the providers' addresses."""

    def __init__(
        self, basis: Basis, signalling: SignallingPart, secret: bytes, foreign: Callable[[], set[str]]
    ) -> None:
        self._basis = basis
        self._secret = secret
        self.transport = signalling.transport
        pbxs = self._pbxs_of(basis.configuration)
        self.is_used = bool(pbxs)
        """Whether there were any at the start: a reload changes them, and the first one takes a restart."""
        self.ways = PbxWays(pbxs, self.transport, signalling.locator, foreign)
        send, events = signalling.transactions.send_request, basis.metrics.events
        self.health = PbxHealth(basis.reactor, self.ways, send, events)
        self.pbxs = Pbxs(self.ways, self.health.is_down)
        self.registrations: tuple[PbxRegistration, ...] = ()
        self._around: RegistrationBasis | None = None
        self._rounds = [LoopingCall(self.ways.refresh), LoopingCall(self._look)]
        for one in self._rounds:
            one.clock = basis.reactor
        basis.metrics.asked.add(self._figures)
        self.standing = PbxStanding(self.ways, self.health, self.registration_of)
        basis.routes.extend(self.standing.routes())

    def router(self, store: LocationStore) -> Router:
        """The router: to PBXs as well, where there are any."""
        configuration = self._basis.configuration
        return PbxRouter(configuration, store, self.pbxs) if self.is_used else Router(configuration, store)

    def callers(
        self, store: LocationStore, domain_named: Callable[[str], Domain | None], memory: PeerMemory
    ) -> Callers:
        """The callers, in the same way."""
        if self.is_used:
            return PbxCallers(store, domain_named, memory, pbxs=self.pbxs)
        return Callers(store, domain_named, memory)

    def phones(self, store: LocationStore) -> Phones:
        """Phones as peers of dialogs, in the same way."""
        if self.is_used:
            return PbxPhones(store, self.pbxs, self.health.unheard)
        return Phones(store, self.transport.flow)

    def register_by(self, trunk: Trunk, router: Router, password_of: Callable[[str, str], str | None]) -> None:
        """Register accounts by this way to providers; begins with `start`."""
        to_provider = RegistrationWay(trunk, router, password_of, self.transport)
        self._around = RegistrationBasis(
            to_provider, self._basis.reactor.seconds, self._basis.random.token, self._basis.metrics.events
        )
        self._register()

    def start(self) -> None:
        """Begin the rounds: names, the PBXs' health, registrations."""
        if self.is_used:
            for rounds, seconds in zip(self._rounds, (RESOLVING_SECONDS, LOOK_SECONDS), strict=True):
                rounds.start(seconds, now=True)
            self.health.begin()

    def tell_bound(self, store: LocationStore, pbxs: Iterable[Pbx]) -> None:
        """Tell of phones that have registered from an address which is a PBX's now: their requests are the PBX's."""
        for pbx in pbxs:
            keys = filter(None, map(self.ways.key_of, pbx.known()))
            for aor in sorted({one.aor for key in keys for one in store.over(key)}):
                log.warn("{aor} has registered from an address of phone {phone}", aor=aor, phone=pbx.terms.name)

    def stop(self) -> Deferred[None]:
        """End the rounds. Registrations at providers stay until their time is over: a restart goes on with them."""
        self.health.stop()
        for rounds in self._rounds:
            if rounds.running:
                rounds.stop()
        for registration in self.registrations:
            registration.stop()
        return succeed(None)

    def change(self, configuration: Configuration, store: LocationStore) -> None:
        """Go by the tables and domains as they are now, and register again where a password was wrong. Calls that are
        up go on. Registrations of accounts that are no more are left to their end at the provider."""
        if not self.is_used:
            return
        fresh = self.pbxs.adopt(self._pbxs_of(configuration))
        self.ways.refresh()
        self.health.begin()
        self.tell_bound(store, fresh)
        self._register()
        for registration in self.registrations:
            registration.hurry()

    def registration_of(self, pbx: Pbx) -> PbxRegistration | None:
        """The registration of a PBX's account; None where the gateway does not register it."""
        return next((one for one in self.registrations if one.pbx is pbx), None)

    def _pbxs_of(self, configuration: Configuration) -> list[Pbx]:
        return pbxs_of(configuration, self._secret, self._basis.clock.now)

    def _register(self) -> None:
        """Have a registration for each PBX that wants one: the one of before, where it is for the same."""
        before, around = {one.pbx.terms.name: one for one in self.registrations}, self._around
        every = list[PbxRegistration]()
        for pbx in self.pbxs.all if around is not None else ():
            old = before.get(pbx.terms.name)
            if old is not None and old.serve(pbx):
                every.append(before.pop(pbx.terms.name))
            elif pbx.terms.register and around is not None:
                every.append(PbxRegistration(pbx, around))
        for gone in before.values():
            gone.stop()
        self.registrations = tuple(every)

    def _look(self) -> None:
        for registration in self.registrations:
            registration.look()

    def _figures(self) -> Iterator[Sample]:
        for pbx in self.pbxs.all:
            places = pbx.known()
            down = sum(map(self.health.is_down, places))
            yield Metrics.pbx_places, (pbx.terms.name, "up"), len(places) - down
            yield Metrics.pbx_places, (pbx.terms.name, "down"), down
            yield Metrics.pbx_names, (pbx.terms.name,), sum(one.is_found is False for one in pbx.addresses)
        for registration in self.registrations:
            name = registration.pbx.terms.name
            yield Metrics.pbx_registered, (name,), int(registration.is_registered)
            yield Metrics.pbx_registration_failures, (name,), registration.failed
