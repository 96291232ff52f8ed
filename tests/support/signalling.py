"""The whole signalling of a gateway in a memory network: transport, gate, transactions, core, registrar and calls.

    site = Signalling()
    site.datagram(b"INVITE ...")               a phone's datagram; returns the answers
    peer = site.network.connect(TCP)           a phone's connection
    site.provider                              the messages to the provider, over UDP

Joined as the gateway joins it, except the relay (which rewrites at once), the store (memory) and the network.
The provider is plain UDP at a numeric address, and answers when the test says so.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from gateway.app.calls_part import CallsPart
from gateway.app.defence_part import DefencePart
from gateway.app.ingress_part import IngressPart
from gateway.app.parts import Basis
from gateway.app.pbx.pbx_part import PbxPart
from gateway.base.tokens import Random
from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Listener, Media, Provider, Security, Side
from gateway.observe.metrics import Metrics
from gateway.registrar.acceptance import Rules
from gateway.registrar.news import RegistrationNews
from gateway.registrar.registrar import Forwarded, Registrar
from gateway.routing.forward import NextHop
from gateway.routing.locate import Locator
from gateway.routing.trunk import Trunk
from gateway.security.access_list import Resolved
from gateway.security.admission import DomainAdmission
from gateway.security.answering import Answering
from gateway.security.authenticator import Authenticator
from gateway.security.nonces import Nonces
from gateway.security.policy.peer_memory import PeerMemory
from gateway.sip.message import Message, Request
from gateway.sip.parser import parse
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.room import Ceiling
from gateway.transport.arrival import TransportUser
from gateway.transport.layer import TransportLayer
from gateway.transport.stream.accept import LIMITS, ConnectionLimits
from gateway.transport.udp import DatagramListener
from tests.support.ladder import TestRelay
from tests.support.memory_network import MemoryNetwork, Place
from tests.support.parts import GivenLimits, GivenMedia, GivenPeers, GivenSignalling, MemoryState, basis_of

UDP: Place = ("192.0.2.1", 5060)
TCP: Place = ("192.0.2.1", 5060)
TLS: Place = ("192.0.2.1", 5061)
TRUNK: Place = ("198.51.100.1", 5060)
PROVIDER: Place = ("198.51.100.21", 5060)
PHONE: Place = ("192.0.2.11", 5070)

DOMAINS = ("example.com", "example.net", "example.org", "company.com")


@implementer(ILogObserver)
class OurFailures:
    """Collects what the gateway logs as a bug of its own while it is used as a context."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __enter__(self) -> OurFailures:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"].name == "critical":
            self.events.append(event)


class Signalling:
    """A gateway without media, and the network that it is in."""

    def __init__(
        self,
        certificate: tuple[Path, Path] | None = None,
        ceiling: Ceiling | None = None,
        limits: ConnectionLimits = LIMITS,
        more: tuple[Listener, ...] = (),
        provider: str = f"sip:{PROVIDER[0]}:{PROVIDER[1]};transport=udp",
        registered_callers_only: bool = False,
        begin: float = 0.0,
        terms: Mapping[str, object] | None = None,
    ) -> None:
        """All clocks begin at `begin`; `terms` are parts of the configuration that are others; with
        `defence` among them messages pass its lookout first."""
        self.network = network = MemoryNetwork()
        network.rightNow = begin
        network.connectTCP = _refused  # type: ignore[method-assign]
        self.metrics = Metrics(CollectorRegistry())
        self.configuration = configuration = _configuration(certificate, more, provider, registered_callers_only)
        configuration = attrs.evolve(configuration, **(terms or {}))  # type: ignore[arg-type]
        self.transport = TransportLayer(network, configuration.listeners, self.metrics, limits=limits)
        drawn = Random(random.Random(7).randbytes)
        self.transactions = TransactionLayer(network, ceiling=ceiling, random=drawn.digits)
        basis = basis_of(configuration, network, self.metrics, "{:016x}")
        state = MemoryState(basis)
        self.store, self.state = state.store, state
        # Hosts of the provider are numeric, and so are located without asking anybody.
        signalling = GivenSignalling(self.transport, self.transactions, Locator(None))  # type: ignore[arg-type]
        self.trunk = Trunk(network, signalling.locator, self.transport, self.transactions, state.memory, Answering())
        authenticator = Authenticator(Nonces(b"s" * 32, random.Random(8).randbytes))
        self.admission = DomainAdmission(
            configuration, authenticator, _no_names, network.seconds, self.metrics.observations
        )
        self.registrar = self._new_registrar(basis, state.memory)
        self.relay = TestRelay()
        pbx = PbxPart(basis, signalling, b"s" * 32, self.admission.addresses)
        peers = GivenPeers(self.registrar, pbx, self.trunk, self.admission, self.store)
        self.limits = GivenLimits(basis)
        parts = CallsPart(basis, state, GivenMedia(self.relay), signalling, peers, self.limits)
        self.calls, self.subscriptions, self.dialogs = parts.calls, parts.subscriptions, parts.dialogs
        self.forgotten = parts.b2bua.forgotten
        ingress = IngressPart(basis, signalling, peers, parts)
        self.overload = ingress.overload
        self.transactions.start(ingress.core)
        self.admission.refresh()
        self.defence: DefencePart | None = None
        if terms is not None and "defence" in terms:
            self.defence = DefencePart(basis, state, signalling, peers, parts, ingress)
        user: TransportUser = ingress.gate if self.defence is None else self.defence.lookout
        self.transport.start(user).addErrback(_raise)

    @property
    def place(self) -> Place:
        """Where phones connect over TLS."""
        return TLS

    def prove(self, source: Place = PHONE, place: Place = UDP) -> None:
        """A host has shown a UDP listener before that it is there: it is sent a 100 at once, and every copy."""
        listener = self.network.datagrams[place].protocol
        assert isinstance(listener, DatagramListener)
        listener.allowance_of(source[0]).prove()

    def datagram(self, data: bytes, source: Place = PHONE, place: Place = UDP) -> list[bytes]:
        """Give a datagram to a listener; what that listener sent then, to anybody."""
        socket = self.network.datagrams[place]
        socket.sent.clear()
        socket.arrive(data, source)
        return [sent for sent, _ in socket.sent]

    @property
    def provider(self) -> list[Message]:
        """What the provider was sent and nobody has looked at yet; taken by looking."""
        sent = self.network.datagrams[TRUNK].sent
        messages = [parse(data) for data, target in sent if target == PROVIDER]
        sent.clear()
        return messages

    def answer(self, request: Request, status: int) -> None:
        """The provider answers what it was sent."""
        response = request.response(status, to_tag="provider")
        self.network.datagrams[TRUNK].arrive(response.to_bytes(), PROVIDER)

    def run_out(self, seconds: float = 200.0) -> None:
        """Let every timer of a transaction and of a call run out."""
        self.network.pump([1.0] * int(seconds))

    def is_empty(self) -> bool:
        """Whether no transaction, call, dialog or subscription is left."""
        left = (self.transactions.counts_alive(), len(self.calls), len(self.dialogs), len(self.subscriptions))
        return not any(left)

    def _new_registrar(self, basis: Basis, memory: PeerMemory) -> Registrar:
        domains = {domain.name: domain for domain in basis.configuration.domains}
        provider = basis.configuration.providers[0]

        def forward(request: Request, domain: Domain, user: Forwarded) -> None:
            self.trunk.forward(request, NextHop(domain, provider), user, user.leaving)

        rules = Rules(self.store, memory, basis.clock, b"s" * 32)
        new_token = basis.random.token
        news = RegistrationNews(self.metrics, basis.clock.now)
        return Registrar(lambda host: domains.get(host.lower()), forward, self.store, rules, new_token, news)


def _refused(*_: object, **__: object) -> None:
    raise AssertionError("nobody is connected to")


def _raise(failure: object) -> None:
    raise AssertionError(failure)


def _no_names(name: str) -> Deferred[Resolved]:
    raise AssertionError(f"{name} is asked for")


def _configuration(
    certificate: tuple[Path, Path] | None, more: tuple[Listener, ...], provider: str, registered_callers_only: bool
) -> Configuration:
    listeners = [
        Listener("phones", Side.PHONES, "udp", *UDP),
        Listener("phones-tcp", Side.PHONES, "tcp", *TCP),
        Listener("provider", Side.PROVIDER, "udp", *TRUNK),
        *more,
    ]
    if certificate is not None:
        listeners.append(
            Listener("phones-tls", Side.PHONES, "tls", *TLS, certificate=certificate[0], private_key=certificate[1])
        )
    return Configuration(
        gateway=GatewaySection("gw", Path("/nowhere")),
        listeners=tuple(listeners),
        media=Media("127.0.0.1"),
        providers=(Provider("main", provider),),
        domains=tuple(
            Domain(name, "main", Security.OFF, registered_callers_only=registered_callers_only) for name in DOMAINS
        ),
        admin=Admin(),
        source=Path("/nowhere/gateway.toml"),
    )
