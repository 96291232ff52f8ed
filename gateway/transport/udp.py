"""SIP over UDP (RFC 3261 section 18): one socket a listener, one flow a remote address.

    datagram -> DatagramListener.datagramReceived -> (keep-alive? answered) -> arrivals.receive(data, flow)
    UdpFlow.send -> sendto

This is the gateway's hottest entry, so a datagram from a known peer costs one dictionary look-up here and no allocation
of our own. Flows are values of (listener, remote) that are kept for the sake of speed only: forgetting one loses
nothing, so the table is simply emptied when it is full. Not here: parsing and received/rport (arrival.py).
"""

import socket
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, ISystemHandle
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from gateway.config.model import Listener
from gateway.transport.arrival import Arrivals
from gateway.transport.flow import (
    UDP_MESSAGE_LIMIT,
    Address,
    FailureKind,
    Flow,
    FlowKey,
    Transport,
    TransportFailure,
    Watcher,
    Watchers,
)
from gateway.transport.sockets import (
    RECEIVE_BUFFER,
    TransportReactor,
    cannot_listen,
    mark_signalling,
    own_addresses,
    unmapped,
    widen_receive_buffer,
)

log = Logger()

MAX_FLOWS = 65536
"""Remote addresses remembered by one listener."""

LARGEST_DATAGRAM = 65535
"""Bytes: nothing that arrives is cut off."""

PING, PONG = b"\r\n\r\n", b"\r\n"
_KEEP_ALIVE_BYTES = b"\r\n\0 \t"
_LONGEST_KEEP_ALIVE = 16

Peer = tuple[str, int]


class UdpFlow(Flow):
    """The way to one remote address from one listener. It never fails by itself: UDP does not tell."""

    __slots__ = ("_peer", "_port", "_tap")

    def __init__(self, port: "DatagramListener", peer: Peer, local: Address, advertised: Address) -> None:
        super().__init__(port.listener, local, Address(unmapped(peer[0]), peer[1]), advertised)
        self._port = port
        self._peer = peer
        self._tap = port.tap

    @property
    def is_open(self) -> bool:
        """Whether the listener is."""
        return self._port.is_open

    @property
    def key(self) -> FlowKey:
        """The listener and the remote address say it all."""
        return FlowKey(self.listener.name, Transport.UDP, self.remote)

    def send(self, data: bytes) -> None:
        """One datagram, or none when the system refuses it: the transaction sends again, or times out."""
        if self._tap.is_on:
            self._tap.sent(data, self)
        self._port.send(data, self._peer)

    def close(self) -> None:
        """Nothing to end."""

    def at_port(self, port: int) -> Flow:
        """The flow to another port of the same host."""
        return self if port == self.remote.port else self._port.flow(self.remote.host, port)

    def wider(self, size: int) -> Flow | None:
        """TCP to the same host and port, toward providers."""
        return self._port.widen(self.remote) if size > UDP_MESSAGE_LIMIT else None

    def watch(self, lost: Watcher) -> Callable[[], None]:
        """Told only when the listener stops."""
        return self._port.watch(lost)


class DatagramListener(DatagramProtocol):
    """One UDP listener of the configuration."""

    noisy = False

    def __init__(
        self, listener: Listener, arrivals: Arrivals, widen: Callable[[Address], Flow | None] = lambda remote: None
    ) -> None:
        self.listener = listener
        self.widen = widen  # gives the flow for requests that are too long for UDP, or None
        self.port = listener.port  # the one bound, once it is
        self.is_open = False
        self.unsent = 0
        self.tap = arrivals.tap
        self._arrivals = arrivals
        self._flows: dict[Peer, UdpFlow] = {}
        self._watchers = Watchers()
        self._socket: socket.socket | None = None
        self._listening: IListeningPort | None = None

    @property
    def flow_count(self) -> int:
        """Flows that are remembered, at most MAX_FLOWS."""
        return len(self._flows)

    def start(self, reactor: TransportReactor) -> None:
        """Open the socket. Raises CannotListen."""
        try:
            self._listening = reactor.listenUDP(
                self.listener.port, self, interface=self.listener.address, maxPacketSize=LARGEST_DATAGRAM
            )
        except CannotListenError as error:
            raise cannot_listen(self.listener, error) from error

    def stop(self) -> Deferred[object]:
        """Close the socket and tell the watchers; fires when it is closed."""
        self.is_open = False
        self._watchers.tell(TransportFailure(FailureKind.CLOSED, f"listener {self.listener.name} stopped"))
        self._flows.clear()
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening) if listening is not None else maybeDeferred(lambda: None)

    def startProtocol(self) -> None:  # noqa: N802
        """The socket is bound."""
        transport = self.transport
        assert transport is not None
        handle = cast(ISystemHandle, transport).getHandle()
        assert isinstance(handle, socket.socket)
        self._socket = handle
        mark_signalling(self._socket, self.listener.dscp)
        kept = widen_receive_buffer(self._socket)
        if kept < RECEIVE_BUFFER:
            log.warn(
                "listener {listener}: a burst of {kept} KiB is kept, of {wanted} asked for: raise net.core.rmem_max",
                listener=self.listener.name,
                kept=kept // 1024,
                wanted=RECEIVE_BUFFER // 1024,
            )
        self.port = transport.getHost().port
        self.is_open = True

    def datagramReceived(self, datagram: bytes, addr: Peer) -> None:
        """One datagram; nothing raises out of here."""
        flow = self._flows.get(addr)
        if flow is None:
            flow = self._remember(addr)
        if len(datagram) <= _LONGEST_KEEP_ALIVE and not datagram.strip(_KEEP_ALIVE_BYTES):
            if datagram == PING:  # RFC 5626 section 4.4.1 has this for streams; phones do it over UDP too
                self.send(PONG, addr)
            return
        self._arrivals.receive(datagram, flow)

    def send(self, data: bytes, peer: Peer) -> None:
        """Send or drop."""
        if self._socket is None or not self.is_open:
            return
        try:
            self._socket.sendto(data, peer)
        except OSError as error:  # a full buffer, no route, a message over 64 KiB: UDP may lose any datagram
            self._not_sent(peer, error)

    def flow(self, host: str, port: int) -> UdpFlow:
        """The flow to a numeric host and port."""
        peer = (f"::ffff:{host}" if ":" in self.listener.address and ":" not in host else host, port)
        return self._flows.get(peer) or self._remember(peer)

    def watch(self, lost: Watcher) -> Callable[[], None]:
        """Call lost when the listener stops."""
        return self._watchers.add(lost)

    def _not_sent(self, peer: Peer, error: OSError) -> None:
        """Tell of the first, the tenth, the hundredth: a firewall or a route that is gone lets down thousands."""
        self.unsent += 1
        is_told = str(self.unsent).strip("0") == "1"
        (log.warn if is_told else log.debug)(
            "listener {listener}: the system did not send {count} datagrams so far, this one to {peer}: {reason}",
            listener=self.listener.name,
            count=self.unsent,
            peer=peer[0],
            reason=error.strerror,
        )

    def _remember(self, peer: Peer) -> UdpFlow:
        if len(self._flows) >= MAX_FLOWS:
            self._flows.clear()
        flow = self._flows[peer] = UdpFlow(self, peer, *own_addresses(self.listener, self.port, unmapped(peer[0])))
        return flow
