"""Peers: registered phones, the providers and the ways to them, and the proof that a sender is one of them."""

from __future__ import annotations

import secrets

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall

from gateway.app.parts import Adopt, Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.base.private_files import SECRET_BYTES, kept_secret
from gateway.config.model import Configuration, Domain
from gateway.config.switches import Settings
from gateway.registrar.acceptance import Rules
from gateway.registrar.callers import Callers
from gateway.registrar.news import RegistrationNews
from gateway.registrar.registrar import Registrar
from gateway.registrar.sightings import DeviceSightings
from gateway.routing.forward import NextHop
from gateway.routing.locate import resolver_of
from gateway.routing.router import Router
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
        self.admission = DomainAdmission(configuration, authenticator, resolver_of(signalling.locator), basis.clock.now)
        self.router = Router(configuration, state.store)
        self.callers = Callers(state.store, self.router.domain_named)
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
        self.registrar = self._new_registrar(basis, settings)
        self._expiry = LoopingCall(self.registrar.expire)
        self._resolving = LoopingCall(self.admission.refresh)

    def start(self) -> None:
        """Begin the rounds: bindings that expire, targets that are asked, names that are resolved again."""
        self._expiry.start(EXPIRY_SECONDS, now=True)
        self.trunk.health.start(self._configuration.providers)
        self._resolving.start(RESOLVING_SECONDS, now=True)

    def stop(self) -> Deferred[None]:
        """End the rounds."""
        self.trunk.health.stop()
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
        self.trunk.health.start(configuration.providers)

    def _next_hop(self, domain: Domain) -> NextHop:
        return NextHop(domain, self.router.provider_of(domain))

    def _new_registrar(self, basis: Basis, settings: Settings) -> Registrar:
        state, secret = self._state, kept_secret(basis.configuration.gateway.state_directory / "secret")
        return Registrar(
            self.router.domain_named,
            lambda request, domain, user: self.trunk.forward(request, self._next_hop(domain), user, user.leaving),
            state.store,
            Rules(state.store, state.memory, basis.clock, secret, settings.changed_at),
            basis.random.token,
            RegistrationNews(basis.metrics, basis.clock.now, DeviceSightings(state.devices)),
        )
