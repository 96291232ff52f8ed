"""Signalling: listeners and connections, transactions, DNS."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger
from twisted.names.client import Resolver

from gateway.app.parts import Adopt, Basis, GatewayPart
from gateway.app.start_checks import allow_connections
from gateway.config.model import Configuration, Nameserver, SourceLimits
from gateway.ingress.core import UasCore
from gateway.routing.locate import Locator
from gateway.routing.names import Names
from gateway.routing.names_file import NamesFile
from gateway.routing.pbx.pbx import tls_of
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.matching import is_taken
from gateway.transaction.room import MIB, Ceiling
from gateway.transport.arrival import TransportUser
from gateway.transport.flow import TlsTerms
from gateway.transport.layer import TransportLayer
from gateway.transport.trace.tracing import Tracing

log = Logger()


class SignallingPart(GatewayPart):
    """The layers of RFC 3261 sections 17 and 18, and RFC 3263."""

    def __init__(self, basis: Basis, phones: Mapping[str, int]) -> None:
        """``phones`` is the number of registered phones by source, as it is at each moment."""
        self._phones = phones
        self._configuration = basis.configuration
        reactor = basis.reactor
        self.transport = TransportLayer(reactor, basis.configuration.listeners, basis.metrics)
        self.tracing = Tracing(basis.configuration, self.transport.tap, basis.clock, basis.random, reactor)
        basis.metrics.asked.add(self.tracing.figures)
        self.transactions = TransactionLayer(
            reactor, _ceiling(basis.configuration.limits), basis.random.digits, self.transport.crowd
        )
        self._know(basis.configuration)
        names = Names(_resolver(basis.configuration.gateway.nameservers, reactor), reactor)
        self.locator = Locator(names)
        path = basis.configuration.gateway.state_directory / "dns.json"
        self._names = NamesFile(path, names, reactor, basis.clock.now)

    @inlineCallbacks
    def start(self, user: TransportUser, core: UasCore) -> Generator[Deferred[Any], Any, None]:
        """Open the listeners: messages go to the user, new requests from there to the core.

        Fails with CannotListen or CertificateError.
        """
        allow_connections(self._configuration)
        self._names.start()
        self.transactions.start(core)
        self.tracing.start()
        self.transport.reload(_client_terms(self._configuration))
        yield self.transport.start(user)
        for listener in self._configuration.listeners:
            log.info(
                "listening for {side} on {transport} {address}",
                side=listener.side,
                transport=listener.transport,
                address=self.transport.address_of(listener.name),
            )

    @property
    def shed(self) -> int:
        """Calls refused so far because they had waited too long."""
        return self.transactions.shed + self.transport.unread.count

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Close every listener and connection, and end all transactions."""
        self._names.stop()
        yield self.transport.stop()
        self.transactions.stop()
        yield self.tracing.stop()

    def adopt(self, configuration: Configuration) -> None:
        """Calls for help are told by this configuration."""
        self._know(configuration)

    def _know(self, configuration: Configuration) -> None:
        numbers = {number for domain in configuration.domains for number in domain.emergency_numbers}
        self.transport.crowd.know(self._phones, numbers)
        if configuration.numbers:
            numbers.add("")  # a rule may make any number one for help
        self.transport.unread.know(self._phones, numbers, partial(is_taken, self.transactions.taken))

    def prepare(self, configuration: Configuration) -> Adopt:
        """Read certificates, keys and trust again. Raises CertificateError."""
        return self.transport.prepare(_client_terms(configuration))


def _client_terms(configuration: Configuration) -> Iterator[TlsTerms]:
    """The terms of TLS on which the gateway connects to others."""
    yield from map(TlsTerms.of, configuration.providers)
    yield from map(tls_of, configuration.phones)


def _ceiling(limits: SourceLimits) -> Ceiling:
    return Ceiling(
        held=limits.waiting_mib * MIB,
        held_per_source=limits.waiting_mib_per_source * MIB,
        longest_request=limits.longest_request_kib * 1024,
    )


def _resolver(nameservers: Sequence[Nameserver], reactor: Any) -> Resolver:
    """Asks these, or those that the system's configuration names."""
    if nameservers:
        return Resolver(servers=[(one.address, one.port) for one in nameservers], reactor=reactor)
    return Resolver(resolv="/etc/resolv.conf", reactor=reactor)
