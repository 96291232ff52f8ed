"""Signalling: listeners and connections, transactions, DNS."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger
from twisted.names.client import Resolver

from gateway.app.parts import Adopt, Basis, GatewayPart
from gateway.app.start_checks import allow_connections
from gateway.config.model import Configuration, Nameserver, SourceLimits
from gateway.ingress.core import UasCore
from gateway.ingress.gate import Gate
from gateway.routing.locate import Locator
from gateway.routing.names import Names
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.room import MIB, Ceiling
from gateway.transport.acme.renewal import Certificates
from gateway.transport.flow import TlsTerms
from gateway.transport.layer import TransportLayer
from gateway.transport.trace.tracing import Tracing

log = Logger()


class SignallingPart(GatewayPart):
    """The layers of RFC 3261 sections 17 and 18, and RFC 3263."""

    def __init__(self, basis: Basis) -> None:
        self._configuration = basis.configuration
        reactor = basis.reactor
        self.transport = TransportLayer(reactor, basis.configuration.listeners, basis.metrics)
        self.tracing = Tracing(basis.configuration, self.transport.tap, basis.clock, basis.random, reactor)
        basis.metrics.asked.add(self.tracing.figures)
        acme, state = basis.configuration.acme, basis.configuration.gateway.state_directory
        self._certificates = None if acme is None else Certificates(acme, state, basis.clock, reactor)
        self.transactions = TransactionLayer(reactor, _ceiling(basis.configuration.limits), basis.random.digits)
        self.locator = Locator(Names(_resolver(basis.configuration.gateway.nameservers, reactor), reactor))

    @inlineCallbacks
    def start(self, gate: Gate, core: UasCore) -> Generator[Deferred[Any], Any, None]:
        """Open the listeners: messages go to the gate, new requests from there to the core.

        Fails with CannotListen or CertificateError.
        """
        allow_connections(self._configuration)
        self.transactions.start(core)
        self.tracing.start()
        self.transport.reload(map(TlsTerms.of, self._configuration.providers))
        yield self.transport.start(gate)
        if self._certificates is not None:
            self._certificates.start()
        for listener in self._configuration.listeners:
            log.info(
                "listening for {side} on {transport} {address}",
                side=listener.side,
                transport=listener.transport,
                address=self.transport.address_of(listener.name),
            )

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Close every listener and connection, and end all transactions."""
        if self._certificates is not None:
            self._certificates.stop()
        yield self.transport.stop()
        self.transactions.stop()
        yield self.tracing.stop()

    def prepare(self, configuration: Configuration) -> Adopt:
        """Read certificates, keys and trust again. Raises CertificateError."""
        return self.transport.prepare(map(TlsTerms.of, configuration.providers))


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
