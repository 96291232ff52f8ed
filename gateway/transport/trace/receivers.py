"""The ways to a HEP receiver: datagrams over UDP, or a connection over TCP or TLS that is made again when it ends.

    HepExporter.up(sender) <- connected, and with TLS its handshake done     down() <- gone     flush() <- room again

Not here: packets and the queue (`exporter`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

from OpenSSL import crypto
from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import DatagramProtocol, Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.config.tables.hep_table import Hep, HepReceiver
from gateway.transport.tls.certificates import read_chain

log = Logger()

LEAST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
"""Seconds between two attempts to connect."""
CONNECT_SECONDS: Final = 10
"""For one attempt."""


class PacketSender(Protocol):
    """The way to the receiver while it is up."""

    def send(self, data: bytes) -> bool:
        """Send a packet; False where it cannot be taken at the moment."""


class WaitingPackets(Protocol):
    """The packets that wait."""

    def up(self, sender: PacketSender) -> None:
        """The way to the receiver is there."""

    def down(self) -> None:
        """It is there no more."""

    def flush(self) -> None:
        """Send the packets that wait, as long as it is taken."""


class ReceiverWay(Protocol):
    """One of the two below."""

    def start(self) -> None:
        """Begin to connect."""

    def stop(self) -> Any:
        """Close; gives a Deferred, or None."""


def way_to(terms: Hep, reactor: Any, queue: WaitingPackets) -> ReceiverWay:
    """The way to the receiver. Raises CertificateError where its trust cannot be read."""
    return (
        ReceiverDatagrams(terms.to, reactor, queue)
        if terms.to.transport == "udp"
        else ReceiverStream(terms, reactor, queue)
    )


class ReceiverDatagrams(DatagramProtocol):
    """UDP: sent, and nobody says whether it arrived."""

    noisy = False

    def __init__(self, to: HepReceiver, reactor: Any, queue: WaitingPackets) -> None:
        self._to = to
        self._reactor = reactor
        self._queue = queue
        self._port: Any = None

    def start(self) -> None:
        host = "::" if ":" in self._to.host else "0.0.0.0"  # noqa: S104 - nothing is listened to
        self._port = self._reactor.listenUDP(0, self, interface=host)
        self._queue.up(self)

    def stop(self) -> Any:
        self._queue.down()
        return None if self._port is None else self._port.stopListening()

    def send(self, data: bytes) -> bool:
        try:
            self.transport.write(data, (self._to.host, self._to.port))  # type: ignore[union-attr]
        except OSError:  # too long for a datagram, or no route: UDP may lose any
            pass
        return True


class ReceiverStream(Factory):
    """TCP or TLS, again and again."""

    noisy = False

    def __init__(self, terms: Hep, reactor: Any, queue: WaitingPackets) -> None:
        self.queue = queue
        self.is_tls = terms.to.transport == "tls"
        endpoint: Any = HostnameEndpoint(reactor, terms.to.host, terms.to.port, timeout=CONNECT_SECONDS)
        if self.is_tls:
            endpoint = wrapClientTLS(optionsForClientTLS(terms.to.host, trustRoot=_trust(terms.trust)), endpoint)
        self._service = ClientService(endpoint, self, backoffPolicy(LEAST_WAIT, LONGEST_WAIT), reactor)
        self._is_told = False

    def start(self) -> None:
        self._service.startService()
        self._service.whenConnected(failAfterFailures=1).addErrback(self._failed)

    def stop(self) -> Any:
        self.queue.down()
        return self._service.stopService() if self._service.running else None

    def buildProtocol(self, addr: object) -> ReceiverConnection:
        connection = ReceiverConnection(self)
        connection.factory = self
        return connection

    def lost(self) -> None:
        """The connection is gone: said once, until one has been up again."""
        self.queue.down()
        if not self._is_told and self._service.running:
            self._is_told = True
            log.warn("the HEP receiver is gone; messages for it wait, and it is tried again")

    def connected(self, connection: ReceiverConnection) -> None:
        """A connection is up, and with TLS its certificate is verified."""
        self._is_told = False
        log.info("the HEP receiver is there")
        self.queue.up(connection)

    def _failed(self, failure: Failure) -> None:
        if not self._is_told and self._service.running:
            self._is_told = True
            log.warn("the HEP receiver cannot be reached: {reason}", reason=failure.getErrorMessage())


@implementer(IPushProducer, IHandshakeListener)
class ReceiverConnection(TwistedProtocol):
    """One connection to the receiver: it takes packets until its buffer is full, and again when it is empty."""

    def __init__(self, stream: ReceiverStream) -> None:
        self._stream = stream
        self._is_full = False

    def connectionMade(self) -> None:
        """TCP is up."""
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]
        if not self._stream.is_tls:
            self._stream.connected(self)

    def handshakeCompleted(self) -> None:
        """TLS is up: before, nothing is said to a peer that is not proved."""
        self._stream.connected(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has ended."""
        self._stream.lost()

    def send(self, data: bytes) -> bool:
        """Write a packet; False while the receiver reads too slowly."""
        if self._is_full:
            return False
        self.transport.write(data)  # type: ignore[union-attr]
        return True

    def pauseProducing(self) -> None:
        """The buffer is full."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """It is empty."""
        self._is_full = False
        self._stream.queue.flush()

    def stopProducing(self) -> None:
        """The connection is gone: connectionLost says so."""
        self._is_full = True


def _trust(trust: str | Path) -> Any:
    """The system's authorities, or those in a file of PEM certificates. Raises CertificateError."""
    if not isinstance(trust, Path):
        return platformTrust()
    return trustRootFromCertificates([Certificate(crypto.X509.from_cryptography(one)) for one in read_chain(trust)])
