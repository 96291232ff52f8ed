"""SIP on one connection, TCP or TLS (RFC 3261 section 18, RFC 5626 section 4.4.1).

    network -> dataReceived -> (channel: TLS) -> StreamFramer -> arrivals.receive(message, flow)
    StreamFlow.send -> send -> (channel: TLS) -> network, or a bounded queue while the peer does not read

Lives here: the wire from its first byte to its last. Not here: TLS (channel.py), time-outs (keepalive.py), the flow
that the layers above hold (stream_flow.py).
"""

import socket
from collections import deque
from collections.abc import Callable
from typing import TypeVar, cast

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import TimeoutError  # noqa: A004
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.sip.errors import MalformedMessage
from gateway.sip.framing import Framer, KeepAlive, StreamFramer
from gateway.transport.arrival import Arrivals
from gateway.transport.flow import FailureKind, TransportFailure
from gateway.transport.sockets import StreamTransport, shared_address, tune_connection
from gateway.transport.stream.keepalive import PATIENCE, PING, PONG, Liveness, Patience
from gateway.transport.stream.stream_flow import MAX_QUEUE, StreamFlow
from gateway.transport.stream.system_words import how_it_ended
from gateway.transport.stream.timer_wheel import TimerWheel
from gateway.transport.tls.channel import TlsChannel, TlsFailed
from gateway.transport.tls.handshake_log import Handshakes

T = TypeVar("T")

PIECE = 64 * 1024
"""Bytes given to the transport at once, or one message if it is longer."""

LINGER = 10.0
"""Seconds that a peer has to take our last words."""


@frozen
class ConnectionServices:
    """Common to all connections of one transport layer; ``seconds`` never go back."""

    arrivals: Arrivals
    wheel: TimerWheel
    handshakes: Handshakes
    seconds: Callable[[], float]
    patience: Patience = PATIENCE


@implementer(IPullProducer)
class StreamProtocol(Protocol):
    """One TCP or TLS connection on the wire."""

    def __init__(
        self,
        flow: StreamFlow,
        services: ConnectionServices,
        channel: TlsChannel | None,
        remember: Callable[[TlsChannel], None] | None = None,
    ) -> None:
        self.slot: int | None = None
        self._tcp: StreamTransport | None = None  # while the connection is up
        self._flow = flow
        self._services = services
        self._channel = channel
        self._remember = remember  # set on connections that we began: keeps the TLS session for the next
        self._framer: Framer = StreamFramer()
        self._liveness = Liveness(flow.is_client, services.seconds())
        self._socket: socket.socket | None = None
        self._unsent: deque[bytes] | None = None  # while the peer does not read
        self._unsent_bytes = 0

    # -- the connection begins

    def connectionMade(self) -> None:
        """TCP is up."""
        self._tcp = cast(StreamTransport, self.transport)
        handle = getattr(self._tcp, "socket", None)
        if isinstance(handle, socket.socket):
            self._socket = handle
            tune_connection(handle, self._flow.listener.dscp)
        self._flow.wire = self
        self._plan_visit()
        if self._channel is None:
            self._open()
        elif self._flow.is_client:  # a server's channel begins with the client's hello
            self._guarded(self._channel.start)

    def _open(self) -> None:
        assert self._tcp is not None
        self._liveness.ready(self._services.seconds())
        self._plan_visit()
        host = self._tcp.getHost()
        assert isinstance(host, IPv4Address | IPv6Address)
        self._flow.opened(shared_address(host.host, host.port))

    def _handshake_done(self, channel: TlsChannel) -> None:
        self._flow.identity, self._flow.tls, self._flow.valid_until = channel.outcome
        self._services.handshakes.succeeded(self._flow)
        self._open()

    # -- input

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the network; nothing raises out of here."""
        channel = self._channel
        if not self._flow.is_open:
            return
        if channel is None:
            self._receive(data)
            return
        pieces = self._guarded(channel.receive, data)
        if pieces is None:
            self._services.handshakes.not_tls(self._flow, self._flow.is_client, data)
            return
        if channel.is_open and not self._flow.is_connected:
            self._handshake_done(channel)
        if self._remember is not None and pieces:
            self._remember(channel)
            self._remember = None
        for piece in pieces:
            self._receive(piece)
        if not pieces and self._flow.is_connected:
            self._nothing_yet(channel)
        if channel.has_peer_closed:
            self._flow.fail(TransportFailure(FailureKind.CLOSED, "closed by the peer"))

    def _nothing_yet(self, channel: TlsChannel) -> None:
        """A record that drips in is a message that does: it has as long, or could hold the connection for an hour."""
        is_partial = channel.is_mid_record or not self._framer.is_idle
        self._liveness.received(self._services.seconds(), False, is_partial)
        if is_partial:
            self._plan_visit()

    def _guarded(self, step: Callable[..., T], *arguments: bytes) -> T | None:
        """The result of a step of the TLS channel, its output sent; None if it failed and so ended the connection."""
        assert self._channel is not None
        try:
            result = step(*arguments)
        except TlsFailed as failed:
            self._write(self._channel.outgoing())
            self._fail(failed.failure)
            return None
        self._write(self._channel.outgoing())
        return result

    def _receive(self, data: bytes) -> None:
        flow, framer = self._flow, self._framer
        try:
            pieces = framer.receive(data)
        except MalformedMessage as malformed:
            self._give_up(malformed, data)
            return
        is_partial = not framer.is_idle
        self._liveness.received(self._services.seconds(), bool(pieces), is_partial)
        if is_partial:
            self._plan_visit()
        for piece in pieces:
            if not flow.is_open:
                return
            if isinstance(piece, bytes):
                if not self._liveness.has_spoken:
                    self._liveness.has_spoken = True
                    flow.spoke()
                self._services.arrivals.receive(piece, flow)
            elif piece is KeepAlive.PING:
                self.send(PONG)
            else:
                self._liveness.answers_pings = True
        if framer.broken is not None and flow.is_open:
            self._give_up(framer.broken, data)

    def _give_up(self, malformed: MalformedMessage, data: bytes) -> None:
        self._services.arrivals.reject(malformed, self._flow, data)
        self._flow.fail(TransportFailure(FailureKind.CLOSED, f"no SIP stream: {malformed.reason}"))

    # -- output

    def send(self, data: bytes) -> None:
        """One message, or a keep-alive."""
        if (tap := self._services.arrivals.tap).is_on:
            tap.sent(data, self._flow)
        channel = self._channel
        if channel is None:
            self._write(data)
            return
        try:
            channel.send(data)
        except TlsFailed as failed:
            self._fail(failed.failure)
            return
        self._write(channel.outgoing())

    def _write(self, data: bytes) -> None:
        if not data or self._tcp is None:
            return
        if self._unsent is None:
            sent = self._send_now(data)
            if sent < len(data):
                self._hold(data[sent:] if sent else data)
            return
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes > MAX_QUEUE:
            self._flow.fail(TransportFailure(FailureKind.CLOSED, "the peer reads too slowly"))
            self._abort()

    def _send_now(self, data: bytes) -> int:
        """Bytes that the kernel took. Asking it directly saves the reactor a round and three system calls a message;
        nothing can be overtaken, because we wait whenever bytes wait in the transport."""
        if self._socket is None:
            return 0
        try:
            return self._socket.send(data)
        except OSError:  # full, or broken: then the transport finds out and says so
            return 0

    def _hold(self, data: bytes) -> None:
        """The peer does not read: feed the transport piece by piece, and read no more from a client meanwhile."""
        assert self._tcp is not None
        self._unsent, self._unsent_bytes = deque((data,)), len(data)
        self._liveness.stalled(self._services.seconds())
        self._plan_visit()
        if not self._liveness.is_client:
            self._tcp.pauseProducing()
        self._tcp.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """The transport has sent all it had."""
        if self._tcp is None or self._unsent is None:
            return
        if self._unsent:
            self._liveness.stalled(self._services.seconds())
            self._tcp.write(self._next_piece(self._unsent))
            return
        self._unsent = None
        self._liveness.flowing(self._services.seconds())
        self._plan_visit()
        self._tcp.unregisterProducer()
        if not self._liveness.is_client:
            self._tcp.resumeProducing()

    def _next_piece(self, unsent: deque[bytes]) -> bytes:
        pieces = [unsent.popleft()]
        size = len(pieces[0])
        while unsent and size < PIECE:
            pieces.append(unsent.popleft())
            size += len(pieces[-1])
        self._unsent_bytes -= size
        return b"".join(pieces)

    def stopProducing(self) -> None:
        """The connection is gone: connectionLost says so."""

    # -- time

    def visit(self, now: float) -> float | None:
        """Ping, or end a wait that was long enough."""
        if not self._flow.is_open:  # said goodbye a while ago, and the peer has not taken it
            self._abort()
            return None
        verdict = self._liveness.look(now, self._services.patience)
        if verdict.expired is not None:
            self._expire(verdict.expired)
            return None
        if verdict.ping:
            self._ping()
        return self._liveness.next_look(self._services.patience)

    def _ping(self) -> None:
        self.send(PING)

    def _plan_visit(self) -> None:
        self._services.wheel.visit_at(self, self._liveness.next_look(self._services.patience))

    def _expire(self, reason: str) -> None:
        is_over = self._flow.is_connected and not self._flow.is_client
        failure = TransportFailure(FailureKind.CLOSED if is_over else FailureKind.TIMEOUT, reason)
        channel = self._channel
        if self._flow.is_client and channel is not None and not channel.is_open:
            failure = channel.timed_out(reason)
        self._fail(failure)
        self._abort()

    # -- the end

    def drop(self) -> None:
        """End the connection politely; the peer has LINGER seconds to take the bytes on their way."""
        tcp, channel, unsent = self._tcp, self._channel, self._unsent
        if tcp is None:
            return
        if unsent is not None:
            tcp.unregisterProducer()
            tcp.write(b"".join(unsent))
        if channel is not None and channel.is_open:
            channel.close()
            tcp.write(channel.outgoing())
        tcp.loseConnection()
        self._services.wheel.forget(self)
        self._services.wheel.visit_at(self, self._services.seconds() + LINGER)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The network ended it."""
        self._tcp = self._socket = self.transport = None
        self._services.wheel.forget(self)
        self._fail(_failure(reason.value, self._channel))

    def _fail(self, failure: TransportFailure) -> None:
        if self._flow.is_open and self._channel is not None and not self._flow.is_connected:
            self._services.handshakes.failed(self._flow, failure)
        self._flow.fail(failure)

    def _abort(self) -> None:
        if self._tcp is not None:
            self._tcp.abortConnection()


def _failure(reason: BaseException | None, channel: TlsChannel | None) -> TransportFailure:
    """The failure that ended a connection: a peer that hangs up on a TLS hello does not speak TLS."""
    if isinstance(reason, TimeoutError):
        return TransportFailure(FailureKind.TIMEOUT, "the peer does not answer any more")
    if channel is not None and not channel.is_open:
        return channel.ended(f"{how_it_ended(reason)} during the handshake")
    return TransportFailure(FailureKind.CLOSED, how_it_ended(reason))
