"""Peers: registered phones, the providers and the ways to them, and the proof that a sender is one of them."""

from __future__ import annotations

import secrets

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall

from gateway.app.parts import Adopt, Basis, GatewayPart
from gateway.app.pbx.pbx_part import PbxPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.base.private_files import SECRET_BYTES, kept_secret
from gateway.config.model import Configuration, Domain
from gateway.config.switches import Settings
from gateway.observe.figures import PbxFigures
from gateway.registrar.acceptance import Rules
from gateway.registrar.nat_pings import NatPings
from gateway.registrar.news import RegistrationNews
from gateway.registrar.registrar import Registrar
from gateway.routing.forward import NextHop
from gateway.routing.locate import resolver_of
from gateway.routing.pbx.pbx_callers import PbxRules
from gateway.routing.trunk import Trunk
from gateway.security.admission import DomainAdmission
from gateway.security.answering import Answering
from gateway.security.authenticator import Authenticator
from gateway.security.nonces import Nonces

EXPIRY_SECONDS = 5.0
"""Between two looks for bindings whose time is over."""

RESOLVING_SECONDS = 5.0
"""Between two looks for names of peers that are to be resolved again."""


class PeersPart(GatewayPart):
    """The registrar, the router, the trunk with the health of its targets, and admission."""

    def __init__(self, basis: Basis, state: StatePart, signalling: SignallingPart, settings: Settings) -> None:
        """Raises CredentialsError for a domain's file of passwords that cannot be used."""
        configuration = self._configuration = basis.configuration
        self._state = state
        # A secret of this process: after a restart, which forgets the used ones, no older nonce is good.
        authenticator = Authenticator(Nonces(secrets.token_bytes(SECRET_BYTES), secrets.token_bytes))
        resolve, now = resolver_of(signalling.locator), basis.clock.now
        self.admission = DomainAdmission(configuration, authenticator, resolve, now, basis.metrics.observations)
        self._secret = kept_secret(configuration.gateway.state_directory / "secret")
        self.pbx = PbxPart(basis, signalling, self._secret, self.admission.addresses)
        self.router = self.pbx.router(state.store)
        self.callers = self.pbx.callers(state.store, self.router.domain_named, state.memory)
        basis.metrics.asked.add(self.admission.figures)
        answering = Answering(self.admission.password_of, self.callers.is_bound, basis.random.token)
        self.trunk = Trunk(
            basis.reactor,
            signalling.locator,
            signalling.transport,
            signalling.transactions,
            state.memory,
            answering,
        )
        self.pbx.register_by(self.trunk, self.router, self.admission.password_of)
        news = RegistrationNews(basis.metrics, basis.clock.now, state.device_watches)
        self.registrar = self._new_registrar(basis, settings, news)
        transport, transactions = signalling.transport, signalling.transactions
        reach, send, new_token = transport.flow, transactions.send_request, basis.random.token
        self.nat_pings = NatPings(state.store, basis.reactor, reach, send, new_token, news)
        state.device_watches.add(self.nat_pings)
        self._expiry = LoopingCall(self.registrar.expire)
        self._resolving = LoopingCall(self.admission.refresh)

    def start(self) -> None:
        """Begin the rounds: bindings that expire, targets that are asked, names that are resolved again."""
        self._expiry.start(EXPIRY_SECONDS, now=True)
        self.trunk.health.start(self._configuration.providers)
        self.pbx.start()
        self.pbx.tell_bound(self._state.store, self.pbx.pbxs.all)
        self.nat_pings.start(_ping_seconds(self._configuration))
        self._resolving.start(RESOLVING_SECONDS, now=True)

    def stop(self) -> Deferred[None]:
        """End the rounds."""
        self.trunk.health.stop()
        self.pbx.stop()
        self.nat_pings.stop()
        for rounds in (self._resolving, self._expiry):
            if rounds.running:
                rounds.stop()
        return succeed(None)

    def prepare(self, configuration: Configuration) -> Adopt:
        """Read passwords again. Raises CredentialsError."""
        prepared = self.admission.prepare(configuration)

        def adopt() -> None:
            self.admission.adopt(prepared)
            self.admission.refresh()

        return adopt

    def adopt(self, configuration: Configuration) -> None:
        """New calls and registrations go by this configuration; those in progress keep their own."""
        self.router.adopt(configuration)
        self.pbx.change(configuration, self._state.store)
        self.trunk.health.start(configuration.providers)

    def pbx_figures(self) -> tuple[PbxFigures, ...]:
        """How PBXs stand."""
        return self.pbx.standing.figures()

    def _next_hop(self, domain: Domain) -> NextHop:
        return NextHop(domain, self.router.provider_of(domain))

    def _new_registrar(self, basis: Basis, settings: Settings, news: RegistrationNews) -> Registrar:
        state, common = self._state, (self._state.store, self._state.memory, basis.clock, self._secret)
        changed_at = settings.changed_at
        rules = PbxRules(*common, changed_at, self.pbx.pbxs) if self.pbx.is_used else Rules(*common, changed_at)
        return Registrar(
            self.router.domain_named,
            lambda request, domain, user: self.trunk.forward(request, self._next_hop(domain), user, user.leaving),
            state.store,
            rules,
            basis.random.token,
            news,
        )


def _ping_seconds(configuration: Configuration) -> dict[str, int]:
    return {listener.name: listener.nat_ping_seconds for listener in configuration.listeners}
