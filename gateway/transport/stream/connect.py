"""Connections that we begin, and the choice of one to use again.

A connection is shared only by targets that were verified alike: the same listener, transport, address, ORIGINAL name
and TlsTerms. A name that an attacker points at the address of a trusted peer therefore never rides on the peer's
connection (CVE-2020-15260). Not here: the connection itself (connection.py), the targets (routing).
"""

from collections.abc import Callable

from attrs import frozen
from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.transport.flow import Address, FailureKind, Target, TlsTerms, Transport, TransportFailure
from gateway.transport.sockets import TransportReactor, is_any_address, own_addresses
from gateway.transport.stream.accept import StreamListener
from gateway.transport.stream.connection import ConnectionServices, StreamProtocol
from gateway.transport.stream.connections import Connections
from gateway.transport.stream.stream_flow import StreamFlow
from gateway.transport.stream.system_words import connect_failure
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.tls.channel import TlsChannel
from gateway.transport.tls.contexts import ClientTls

log = Logger()


@frozen
class ReuseKey:
    """The key that two requests on one connection share; terms and name are empty for TCP."""

    listener: str
    address: Address
    name: str
    terms: TlsTerms | None


class Connector:
    """Begins connections, or finds the one that is up already."""

    def __init__(
        self, reactor: TransportReactor, services: ConnectionServices, connections: Connections, tls: ClientTls
    ) -> None:
        self._reactor = reactor
        self._services = services
        self._connections = connections
        self._tls = tls
        self._flows: dict[ReuseKey, StreamFlow] = {}

    def flow_to(
        self, target: Target, source: StreamListener, terms: TlsTerms, within: float | None = None
    ) -> StreamFlow:
        """The flow to a target with a numeric host; its connection may still be coming up, within so many seconds.
        Never raises."""
        is_tls = target.transport is Transport.TLS
        key = ReuseKey(
            source.listener.name, target.address, target.name.lower() if is_tls else "", terms if is_tls else None
        )
        flow = self._flows.get(key)
        if flow is not None and flow.is_open:
            return flow
        flow = self._flows[key] = self._new_flow(target, source, key)
        try:
            channel = self._tls.channel(terms, target.name, target.address) if is_tls else None
        except CertificateError as error:  # our own files: nothing that a fallback to plain may hide
            failure = TransportFailure(FailureKind.CERTIFICATE, str(error))
            self._reactor.callLater(0, self._failed, flow, failure)
            return flow
        self._connect(flow, self._protocol(flow, target, terms, channel), source, within)
        return flow

    def forget_all(self) -> None:
        """New requests get new connections; those in use live on."""
        self._flows.clear()

    def _new_flow(self, target: Target, source: StreamListener, key: ReuseKey) -> StreamFlow:
        own_host = None if key.terms is None else key.terms.own_host
        _, advertised = own_addresses(source.listener, source.port, target.address.host, own_host)

        def ended(flow: StreamFlow) -> None:
            self._connections.discard(flow)
            if self._flows.get(key) is flow:
                del self._flows[key]

        number = self._connections.new_number()
        flow = StreamFlow(source.listener, target.address, advertised, number, ended, target.name)
        self._connections.add(flow)
        return flow

    def _connect(
        self, flow: StreamFlow, protocol: StreamProtocol, source: StreamListener, within: float | None
    ) -> None:
        own = source.listener.address
        self._reactor.connectTCP(
            flow.remote.host,
            flow.remote.port,
            _Attempt(flow, protocol, self._failed),
            timeout=within or self._services.patience.handshake,
            bindAddress=None if is_any_address(own) else (own, 0),
        )

    def _failed(self, flow: StreamFlow, failure: TransportFailure) -> None:
        if flow.is_open and flow.is_secure:
            self._services.handshakes.failed(flow, failure)
        flow.fail(failure)

    def _protocol(
        self, flow: StreamFlow, target: Target, terms: TlsTerms, channel: TlsChannel | None
    ) -> StreamProtocol:
        def remember(channel: TlsChannel) -> None:
            self._tls.remember(terms, target.name, target.address, channel)

        return StreamProtocol(flow, self._services, channel, remember if channel is not None else None)


class _Attempt(ClientFactory):
    """One connection coming up."""

    noisy = False

    def __init__(
        self, flow: StreamFlow, protocol: StreamProtocol, failed: Callable[[StreamFlow, TransportFailure], None]
    ) -> None:
        self._flow = flow
        self._protocol = protocol
        self._failed = failed

    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol | None:
        """The protocol of the connection; None closes it, where nobody wants it any more."""
        return self._protocol if self._flow.is_open else None

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """TCP did not come up."""
        self._failed(self._flow, connect_failure(reason.value, self._flow.remote))
