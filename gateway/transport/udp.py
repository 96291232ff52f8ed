"""SIP over UDP (RFC 3261 section 18): one socket a listener, one flow a remote address.

    datagram -> DatagramListener.datagramReceived -> (banned? dropped) -> (keep-alive? answered) -> earned
                                                  -> arrivals.receive(data, flow), or crowd.add while there is one
    UdpFlow.send -> paid, or withheld -> sendto

This is the gateway's hottest entry, so a datagram from a known peer costs one dictionary look-up here and no allocation
of our own. Flows are values of (listener, remote) that are kept for the sake of speed only: forgetting one loses
nothing, so the table is simply emptied when it is full: then hosts prove again that they are there (allowance.py).

A keep-alive earns nothing: its answer is half as long, and other bytes are not to be had for it. Not here: parsing and
received/rport (arrival.py).
"""

import socket
from collections.abc import Callable
from operator import attrgetter
from typing import Final, Self, cast

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, ISystemHandle
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from gateway.base.address_ranges import MAPPED, unmapped
from gateway.config.model import Listener
from gateway.transport.allowance import Allowance
from gateway.transport.arrival import Arrivals
from gateway.transport.crowd import filling
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
    CannotListen,
    TransportReactor,
    cannot_listen,
    mark_signalling,
    own_addresses,
    widen_receive_buffer,
)

log = Logger()

MAX_FLOWS = 65536
"""Remote addresses remembered by one listener."""

OPEN_AGAIN: Final = 0.5
"""Seconds until a socket that an error closed is opened, and between two tries."""

LARGEST_DATAGRAM = 65535
"""Bytes: nothing that arrives is cut off."""

A_FEW: Final = 8 * 1024
"""Bytes that are read in a row: each message is worked on at once, and a hundred new calls would keep all else waiting
for a second, the look at the queue among it."""
ALL: Final = 256 * 1024
"""The same while messages only take their place in the crowd."""

PING, PONG = b"\r\n\r\n", b"\r\n"
_KEEP_ALIVE_BYTES = b"\r\n\0 \t"
_LONGEST_KEEP_ALIVE = 16

Peer = tuple[str, int]


class UdpFlow(Flow):
    """The way to one remote address from one listener. It never fails by itself: UDP does not tell."""

    __slots__ = ("_peer", "_port", "_tap", "key")

    key: FlowKey
    """The listener and the remote address, which say it all."""

    def __init__(self, port: "DatagramListener", peer: Peer, local: Address, advertised: Address) -> None:
        super().__init__(port.listener, local, Address(unmapped(peer[0]), peer[1]), advertised)
        self._port = port
        self._peer = peer
        self._tap = port.tap
        self.key = FlowKey(self.listener.name, Transport.UDP, self.remote)
        self.allowance = port.allowance_of(self.remote.host)

    is_open = cast(bool, property(attrgetter("_port.is_current"), doc="Whether the listener is, at this address."))

    def send(self, data: bytes) -> None:
        """One datagram, or none when the host has not earned it or the system refuses it: the transaction sends again,
        or times out."""
        if not self.allowance.is_proved and not self.allowance.pay(len(data)):
            self._port.withheld += 1
            return
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

    def moved(self) -> Flow | None:
        """See Flow."""
        port = self._port.successor
        if port is None:
            return None
        flow = port.flow(self.remote.host, self.remote.port)
        return flow.moved() or flow

    def watch(self, lost: Watcher) -> Callable[[], None]:
        """Told only when the listener stops."""
        return self._port.watchers.add(lost)


class DatagramListener(DatagramProtocol):
    """One UDP listener of the configuration."""

    noisy = False

    def __init__(
        self,
        listener: Listener,
        arrivals: Arrivals,
        widen: Callable[[Address], Flow | None] = lambda remote: None,
    ) -> None:
        self.listener = listener
        self.widen = widen  # gives the flow for requests that are too long for UDP, or None
        self.port = listener.port  # the one bound, once it is
        self.is_open = False
        self.is_current = False  # open, and not left for another address, where messages are taken for a while
        self.successor: DatagramListener | None = None  # at that other address
        self.unsent = 0  # the system did not take them
        self.withheld = 0  # their host has not earned them
        self.tap = arrivals.tap
        self._banned = arrivals.banned
        self._crowd = arrivals.crowd
        self._arrivals = arrivals
        self._flows: dict[Peer, UdpFlow] = {}
        self._allowances: dict[str, Allowance] = {}  # by host: never more than flows
        self.watchers = Watchers()  # told when it stops or moves
        self._socket: socket.socket | None = None
        self._listening: IListeningPort | None = None
        self._reactor: TransportReactor | None = None
        self._again: IDelayedCall | None = None

    @property
    def flow_count(self) -> int:
        """Flows that are remembered, at most MAX_FLOWS."""
        return len(self._flows)

    @property
    def filling(self) -> float:
        """The part of the socket's receive buffer that waits to be read, 0 to 1."""
        return 0.0 if self._socket is None else filling(self._socket)

    def read_for(self, is_crowd: bool) -> None:
        """Read ALL in a row for the crowd, else A_FEW, before timers and other sockets have their turn."""
        if self.transport is not None:
            self.transport.maxThroughput = ALL if is_crowd else A_FEW  # type: ignore[attr-defined]

    def start(self, reactor: TransportReactor) -> None:
        """Open the socket. Raises CannotListen."""
        self._reactor = reactor
        try:
            self._listening = reactor.listenUDP(
                self.port, self, interface=self.listener.address, maxPacketSize=LARGEST_DATAGRAM
            )
        except CannotListenError as error:
            raise cannot_listen(self.listener, error) from error

    def at(self, address: str) -> Self:
        """The same listener at another address, not yet started. Hosts that have proved to be there need not again."""
        arrivals, listener = self._arrivals, evolve(self.listener, address=address)
        other = type(self)(listener, arrivals, self.widen)
        other._allowances = self._allowances.copy()
        return other

    def leave(self, successor: "DatagramListener") -> None:
        """That one, at another address, is used from now on: begin nothing here, and tell the watchers of it."""
        self.is_current, self.successor = False, successor
        self.watchers.tell(TransportFailure(FailureKind.CLOSED, f"listener {self.listener.name} has another address"))

    def stop(self) -> Deferred[object]:
        """Close the socket and tell the watchers; fires when it is closed."""
        self.is_open = self.is_current = False
        self._reactor = None
        again, self._again = self._again, None
        if again is not None:
            again.cancel()
        self.watchers.tell(TransportFailure(FailureKind.CLOSED, f"listener {self.listener.name} stopped"))
        self._forget()
        self._let_go()
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
        self._banned.filters.add(handle)
        self.port = transport.getHost().port
        self.read_for(self._crowd.is_on)
        self.is_open, self.is_current = True, self.successor is None

    def stopProtocol(self) -> None:  # noqa: N802
        """The socket is closed. Not by us: reading it met an error, as when memory or buffers of the system run out,
        and Twisted closes such a socket for ever. It is opened again; flows and their transactions go on over it."""
        self._let_go()
        self._listening = None
        if self.is_open:
            self.is_open = self.is_current = False
            log.error(
                "listener {listener}: an error closed its socket, it is opened again", listener=self.listener.name
            )
            self._open_later()

    def _let_go(self) -> None:
        handle, self._socket = self._socket, None
        if handle is not None:
            self._banned.filters.remove(handle)

    def _open_later(self) -> None:
        if self._reactor is not None:
            self._again = self._reactor.callLater(OPEN_AGAIN, self._open_again, self._reactor)

    def _open_again(self, reactor: TransportReactor) -> None:
        self._again = None
        try:
            self.start(reactor)
        except CannotListen as error:
            log.error("{reason}", reason=error)
            self._open_later()
        except Exception:  # memory may still be short
            log.failure("listener {listener} cannot be opened yet", listener=self.listener.name)
            self._open_later()

    def datagramReceived(self, datagram: bytes, addr: Peer) -> None:
        """One datagram; nothing raises out of here. A banned source costs nothing more, and takes no room."""
        banned = self._banned
        if banned.is_on and (banned.drops(addr[0], "udp") or banned.drops_of_suspect(addr[0], datagram)):
            return
        flows = self._flows
        flow = flows[addr] if addr in flows else self._remember(addr)
        if len(datagram) <= _LONGEST_KEEP_ALIVE and not datagram.strip(_KEEP_ALIVE_BYTES):
            if datagram == PING:  # RFC 5626 section 4.4.1 has this for streams; phones do it over UDP too
                self.send(PONG, addr)
            return
        allowance = flow.allowance
        if not allowance.is_proved:
            allowance.earn(len(datagram))
        if self._crowd.is_on:
            self._crowd.add(datagram, flow)
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
        peer = (MAPPED + host if ":" in self.listener.address and ":" not in host else host, port)
        return self._flows.get(peer) or self._remember(peer)

    def allowance_of(self, host: str) -> Allowance:
        """The bytes that a host may be sent; all flows to it share them."""
        allowance = self._allowances.get(host)
        if allowance is None:
            allowance = self._allowances[host] = Allowance()
        return allowance

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
            self._forget()
        flow = self._flows[peer] = UdpFlow(self, peer, *own_addresses(self.listener, self.port, unmapped(peer[0])))
        return flow

    def _forget(self) -> None:
        """Both at once: a host would have two allowances, else, and proofs for one of them."""
        self._flows.clear()
        self._allowances.clear()
