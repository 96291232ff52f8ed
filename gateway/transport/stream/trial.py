"""A TLS connection on trial: a probe begins it, looks at the handshake, may ask a few requests, and closes it.

    Trials.open(target, terms) -> TCP, handshake -> Trial with `shown`, or TrialFailed
                                                    |- listen(heard, lost), send(bytes)
                                                    `- close()

It is apart from the connections of calls: none of its bytes reach the transactions, no session is resumed, nothing is
remembered. All that a peer can make it keep is bounded: MOST_BYTES for its whole life, CONNECT_WITHIN for TCP and
HANDSHAKE_WITHIN from there to the end of the handshake, however slowly bytes drip.

Not here: the contexts (tls/contexts.py), the meaning of all that was seen (b2bua/probe).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, TypeVar, cast

from attrs import frozen
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from gateway.config.model import Side
from gateway.sip.errors import MalformedMessage
from gateway.sip.framing import KeepAlive, StreamFramer
from gateway.sip.message import Response
from gateway.sip.parser import parse
from gateway.transport.flow import Address, FailureKind, Target, TlsTerms, TransportFailure
from gateway.transport.layer import TransportLayer
from gateway.transport.sockets import (
    StreamTransport,
    TransportReactor,
    is_any_address,
    own_addresses,
    tune_connection,
)
from gateway.transport.stream.keepalive import PONG
from gateway.transport.stream.system_words import connect_failure, how_it_ended
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.tls.channel import TlsChannel, TlsFailed
from gateway.transport.tls.contexts import bare_channel, offered_ciphers, unwatch

CONNECT_WITHIN: Final = 3.0
HANDSHAKE_WITHIN: Final = 5.0
"""Seconds."""
MOST_BYTES: Final = 256 * 1024
"""That a peer may send in the life of one trial."""
MOST_CERTIFICATES: Final = 20
"""Of a peer's chain that are kept."""
_ASKED: Final = b"read server certificate request"
"""OpenSSL's words for the state after a server's CertificateRequest."""

Heard = Callable[[Response], None]
Lost = Callable[[TransportFailure], None]
Pieces = TypeVar("Pieces")


class TrialFailed(Exception):
    """The connection did not come up; failure says why. The version is the one that the server had chosen by then."""

    def __init__(self, failure: TransportFailure, version: str = "", wants_certificate: bool = False) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.version = version
        self.wants_certificate = wants_certificate


@frozen
class Shown:
    """A server's side of a handshake that was complete."""

    version: str
    """By OpenSSL's names, as the cipher suite: TLSv1.3."""
    cipher: str
    chain: tuple[bytes, ...]
    """DER, the server's own certificate first; MOST_CERTIFICATES at most."""
    length: int
    """Certificates of the whole chain."""
    wants_certificate: bool
    """Whether it asked for one of ours."""


@frozen
class Limit:
    """A handshake that is to be unlike that of a call."""

    version: str | None = None
    """One version alone, "1.0" to "1.3"; None: all that the terms allow."""
    is_bare: bool = False
    """Whether anybody's certificate will do: for a look, with nothing sent over it."""
    cipher: str | None = None
    """One cipher of TLS 1.2 alone; bare only."""


NO_LIMIT: Final = Limit()


class Trials:
    """Begins trials, from the address of the listener that calls leave from."""

    def __init__(self, reactor: TransportReactor, transport: TransportLayer) -> None:
        self._reactor = reactor
        self._transport = transport

    def ciphers(self) -> tuple[str, ...]:
        """The ciphers of TLS 1.2 that calls offer unless their provider's configuration has others."""
        return offered_ciphers()

    async def open(self, target: Target, terms: TlsTerms, limit: Limit = NO_LIMIT) -> Trial:
        """A connection with its handshake complete and, unless it is bare, its peer verified. Raises TrialFailed."""
        port = self._transport.port_toward(target, Side.PROVIDER)
        if port is None:
            reason = f"no provider listener for {target.transport} to {target.address}"
            raise TrialFailed(TransportFailure(FailureKind.TIMEOUT, reason))
        try:
            if limit.is_bare:
                channel, connection = bare_channel(target.name, limit.version, limit.cipher)
            else:
                channel, connection = self._transport.clients.trial(terms, target.name, limit.version)
            channel.start()
        except CertificateError as error:
            raise TrialFailed(TransportFailure(FailureKind.CERTIFICATE, str(error))) from error
        except TlsFailed as failed:  # such as a cipher that is not strong enough for this system
            raise TrialFailed(failed.failure) from failed
        listener, address = port.listener, target.address
        _, advertised = own_addresses(listener, port.port, address.host, terms.own_host)
        trial = Trial(self._reactor, channel, connection, str(advertised), limit.is_bare)
        bound = None if is_any_address(listener.address) else (listener.address, 0)
        factory = _Attempt(trial, address)
        self._reactor.connectTCP(address.host, address.port, factory, timeout=CONNECT_WITHIN, bindAddress=bound)
        await trial.ready
        return trial


class Trial(Protocol):
    """One connection on trial. ``ready`` fires at the end of the handshake, or fails with TrialFailed."""

    def __init__(
        self,
        reactor: TransportReactor,
        channel: TlsChannel,
        connection: SSL.Connection,
        advertised: str,
        is_bare: bool,
    ) -> None:
        """``advertised`` is our host and port, for Via and Contact."""
        self.ready: Deferred[None] = Deferred(lambda _: self._abandon())
        self.advertised = advertised
        self._channel = channel
        self._connection = connection
        self._is_bare = is_bare
        self._tcp: StreamTransport | None = None
        self._framer = StreamFramer()
        self._received = 0
        self._wants_certificate = False
        self._is_abandoned = False
        self._failure: TransportFailure | None = None
        self._heard: Heard | None = None
        self._lost: Lost | None = None
        self._late = reactor.callLater(CONNECT_WITHIN + HANDSHAKE_WITHIN, self._too_late)
        connection.set_info_callback(self._state_changed)

    @property
    def shown(self) -> Shown:
        """The server's side of the handshake, once it is complete."""
        chain = self._connection.get_peer_cert_chain() or []
        kept = tuple(one.to_cryptography().public_bytes(Encoding.DER) for one in chain[:MOST_CERTIFICATES])
        agreed = self._channel.agreed
        return Shown(agreed.version, agreed.cipher, kept, len(chain), self._wants_certificate)

    @property
    def failure(self) -> TransportFailure | None:
        """How the connection has ended; None while it is up."""
        return self._failure

    def listen(self, heard: Heard, lost: Lost) -> None:
        """Give every response that comes to ``heard``, and the end of the connection to ``lost``, once."""
        self._heard, self._lost = heard, lost

    def send(self, data: bytes) -> None:
        """Send a message to a verified peer. Nothing happens once the connection has ended."""
        if self._failure is not None:
            return
        if self._is_bare or not self._channel.is_open:
            raise AssertionError("nothing is sent to a peer that was not verified")
        try:
            self._channel.send(data)
        except TlsFailed as failed:
            self.fail(failed.failure)
            return
        self._flush()

    def close(self) -> None:
        """End the connection; nobody is told."""
        self._heard = self._lost = None
        if self._failure is None:
            self._channel.close()
            self._flush()
            self.fail(TransportFailure(FailureKind.CLOSED, "the probe is over"))

    def fail(self, failure: TransportFailure) -> None:
        """End the connection for this reason, which is told to its listener; a second one changes nothing."""
        if self._failure is not None:
            return
        self._failure = failure
        unwatch(self._connection)
        if self._late.active():
            self._late.cancel()
        if self._tcp is not None:
            self._tcp.abortConnection() if failure.kind is not FailureKind.CLOSED else self._tcp.loseConnection()
        lost, self._lost, self._heard = self._lost, None, None
        if self._is_abandoned:
            return
        if not self.ready.called:
            version = self._connection.get_protocol_version_name() if self._received else ""
            self.ready.errback(TrialFailed(failure, version, self._wants_certificate))
        elif lost is not None:
            lost(failure)

    def _abandon(self) -> None:
        """Nobody waits for the handshake any more, so nobody is told of its end."""
        self._is_abandoned = True
        self.close()

    def connectionMade(self) -> None:
        """TCP is up."""
        self._tcp = cast(StreamTransport, self.transport)
        handle = getattr(self._tcp, "socket", None)
        if isinstance(handle, socket.socket):
            tune_connection(handle)
        if self._failure is not None:
            self._tcp.abortConnection()
            return
        self._late.reset(HANDSHAKE_WITHIN)
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the network; nothing raises out of here."""
        if self._failure is not None:
            return
        self._received += len(data)
        if self._received > MOST_BYTES:
            self.fail(TransportFailure(FailureKind.CLOSED, f"it sends more than {MOST_BYTES} bytes"))
            return
        for piece in self._step(lambda: self._channel.receive(data)) or []:
            self._receive(piece)
        if self._channel.has_peer_closed and self._failure is None:
            self.fail(TransportFailure(FailureKind.CLOSED, "closed by the peer"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """TCP has ended."""
        words = how_it_ended(reason.value)
        is_up = self._channel.is_open
        self.fail(TransportFailure(FailureKind.CLOSED, words) if is_up else self._channel.ended(words))

    def _step(self, step: Callable[[], Pieces]) -> Pieces | None:
        """A step of the TLS channel, its output sent; None if it failed and so ended the connection."""
        was_open = self._channel.is_open
        try:
            result = step()
        except TlsFailed as failed:
            self._flush()
            self.fail(failed.failure)
            return None
        self._flush()
        if self._channel.is_open and not was_open:
            self._late.cancel()
            unwatch(self._connection)
            self.ready.callback(None)
        return result

    def _flush(self) -> None:
        data = self._channel.outgoing()
        if data and self._tcp is not None:
            self._tcp.write(data)

    def _receive(self, data: bytes) -> None:
        try:
            pieces = self._framer.receive(data)
            for piece in pieces:
                if piece is KeepAlive.PING:
                    self.send(PONG)
                elif isinstance(piece, bytes):
                    message = parse(piece)
                    if isinstance(message, Response) and self._heard is not None:
                        self._heard(message)
        except MalformedMessage as malformed:
            self.fail(TransportFailure(FailureKind.CLOSED, f"it speaks no SIP: {malformed.reason}"))

    def _too_late(self) -> None:
        if self._tcp is None:
            self.fail(TransportFailure(FailureKind.TIMEOUT, "it does not answer"))
        else:
            self.fail(self._channel.timed_out("no handshake in time"))

    def _state_changed(self, connection: SSL.Connection, where: int, _: int) -> None:
        if _ASKED in connection.get_state_string():
            self._wants_certificate = True


class _Attempt(ClientFactory):
    """One trial coming up."""

    noisy = False

    def __init__(self, trial: Trial, address: Address) -> None:
        self._trial = trial
        self._address = address

    def buildProtocol(self, addr: IAddress | None) -> Trial | None:
        """The protocol of the connection; None closes it, where the probe is over."""
        return self._trial if self._trial.failure is None else None

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """TCP did not come up."""
        self._trial.fail(connect_failure(reason.value, self._address))
