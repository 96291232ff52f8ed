"""A network in memory with the reactor interface that gateway.transport uses: time is a clock, bytes move when told to.

    network = MemoryNetwork()
    layer = TransportLayer(network, ...)
    peer = network.connect(("127.0.0.1", 5060))
    network.settle()

Connections have the back pressure of real ones: a side that does not read keeps the other's buffer full, whose producer
is asked for no more.
"""

import itertools
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,  # noqa: A004
    TimeoutError,  # noqa: A004
)
from twisted.internet.interfaces import IListeningPort, IPullProducer, ITransport
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

SEGMENT = 16 * 1024
"""Bytes delivered at once."""

Place = tuple[str, int]


def address_of(place: Place) -> IPv4Address | IPv6Address:
    """Twisted's form of a place."""
    kind = IPv6Address if ":" in place[0] else IPv4Address
    return kind("TCP", *place)


@implementer(ITransport)
class MemoryConnection:
    """One end of a connection."""

    def __init__(self, own: Place, peer: Place) -> None:
        self._own = own
        self._peer = peer
        self.other: MemoryConnection | None = None
        self.protocol: Protocol | None = None
        self.buffer = bytearray()
        self.producer: IPullProducer | None = None
        self.is_reading = True
        self.is_ending = False
        self.is_over = False
        self.moved = 0  # bytes delivered

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if not self.is_over and not self.is_ending:
            self.buffer += data

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        self.is_ending = True

    def abortConnection(self) -> None:
        other = self.other
        self._lose(ConnectionDone())
        if other is not None:
            other._lose(ConnectionLost())

    def registerProducer(self, producer: IPullProducer, streaming: bool) -> None:
        assert not streaming
        assert self.producer is None
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.is_reading = False

    def resumeProducing(self) -> None:
        self.is_reading = True

    def getHost(self) -> IPv4Address | IPv6Address:
        return address_of(self._own)

    def getPeer(self) -> IPv4Address | IPv6Address:
        return address_of(self._peer)

    def pump(self) -> bool:
        """Move one segment; whether anything happened."""
        other = self.other
        if other is None or self.is_over:
            return False
        if self.buffer and other.is_reading:
            data = bytes(self.buffer[:SEGMENT])
            self.moved += len(data)
            del self.buffer[:SEGMENT]
            assert other.protocol is not None
            other.protocol.dataReceived(data)
            self._drained()
            return True
        if self.is_ending and not self.buffer and self.producer is None:
            self._lose(ConnectionDone())
            other._lose(ConnectionDone())
            return True
        return False

    def _drained(self) -> None:
        if not self.buffer and self.producer is not None:
            self.producer.resumeProducing()

    def _lose(self, reason: Exception) -> None:
        if self.is_over:
            return
        self.is_over = True
        protocol, self.protocol, self.other = self.protocol, None, None
        if protocol is not None:
            protocol.connectionLost(Failure(reason))


@implementer(IListeningPort)
class MemoryPort:
    """A listening port."""

    def __init__(self, network: "MemoryNetwork", place: Place, factory: Any) -> None:
        self._network = network
        self.place = place
        self.factory = factory

    def startListening(self) -> None:
        """It does already."""

    def stopListening(self) -> Deferred[None]:
        self._network.ports.pop(self.place, None)
        return succeed(None)

    def getHost(self) -> IPv4Address | IPv6Address:
        return address_of(self.place)


class RecordingSocket(socket.socket):
    """A UDP socket that sends nothing and remembers what it was to send."""

    def __init__(self, family: int) -> None:
        super().__init__(family, socket.SOCK_DGRAM)
        self.sent: list[tuple[bytes, Any]] = []
        self.error: OSError | None = None

    def sendto(self, data: bytes, address: Any) -> int:  # type: ignore[override]
        if self.error is not None:
            raise self.error
        self.sent.append((data, address))
        return len(data)


@implementer(IListeningPort)
class MemoryDatagrams:
    """A UDP port: what arrives is given to it, what leaves is in `sent`."""

    maxThroughput = 0  # noqa: N815 - the name that Twisted has

    def __init__(self, place: Place, protocol: DatagramProtocol) -> None:
        self.place = place
        self.protocol = protocol
        self.socket = RecordingSocket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
        protocol.makeConnection(self)  # type: ignore[arg-type]

    def startListening(self) -> None:
        """It does already."""

    @property
    def sent(self) -> list[tuple[bytes, Any]]:
        return self.socket.sent

    def arrive(self, datagram: bytes, source: Place) -> None:
        """A datagram from somewhere."""
        self.protocol.datagramReceived(datagram, source)

    def getHandle(self) -> socket.socket:
        return self.socket

    def write(self, datagram: bytes, address: Place) -> None:
        """Send a datagram."""
        self.socket.sendto(datagram, address)

    def getHost(self) -> IPv4Address | IPv6Address:
        return address_of(self.place)

    def stopListening(self) -> Deferred[None]:
        self.socket.close()
        self.protocol.doStop()
        return succeed(None)


class RawPeer(Protocol):
    """A peer without a SIP stack: bytes out, bytes in."""

    def __init__(self) -> None:
        self.received = b""
        self.is_closed = False
        self.connection: MemoryConnection | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_closed = True

    def send(self, data: bytes) -> None:
        """Put bytes on the wire; settle() moves them."""
        assert self.connection is not None
        self.connection.write(data)


class MemoryNetwork(Clock):
    """The reactor of a test, and the network with it."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[Place, MemoryPort] = {}
        self.datagrams: dict[Place, MemoryDatagrams] = {}
        self.connections: list[MemoryConnection] = []
        self.silent: set[Place] = set()  # places that never answer
        self.connected: list[Place] = []  # what connectTCP was called with
        self._connecting: deque[Callable[[], None]] = deque()
        self._ephemeral = itertools.count(40_000)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> MemoryPort:
        place = (interface, port or next(self._ephemeral))
        if place in self.ports:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        self.ports[place] = MemoryPort(self, place, factory)
        return self.ports[place]

    def listenUDP(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,  # noqa: N803
    ) -> MemoryDatagrams:
        place = (interface, port or next(self._ephemeral))
        if place in self.datagrams:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        self.datagrams[place] = MemoryDatagrams(place, protocol)
        return self.datagrams[place]

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory,
        timeout: float = 30,
        bindAddress: Place | None = None,  # noqa: N803
    ) -> Any:
        place = (host, port)
        self.connected.append(place)
        if place in self.silent:
            self.callLater(timeout, factory.clientConnectionFailed, None, Failure(TimeoutError()))
            return
        own = (bindAddress[0] if bindAddress else "127.0.0.1", next(self._ephemeral))
        self._connecting.append(lambda: self._connect(own, place, factory))

    def connect(self, place: Place, source: str = "127.0.0.1") -> RawPeer:
        """A raw peer connected to a listening port of the gateway."""
        peer = RawPeer()
        self._link(peer, (source, next(self._ephemeral)), place)
        return peer

    def settle(self, rounds: int = 10_000) -> None:
        """Let everything happen that needs no time."""
        for _ in range(rounds):
            busy = bool(self._connecting)
            while self._connecting:
                self._connecting.popleft()()
            for connection in list(self.connections):
                busy = connection.pump() or busy
            self.connections = [one for one in self.connections if not one.is_over]
            self.advance(0)
            if not busy and not self._connecting:
                return
        raise AssertionError("the network never came to rest")

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, a step at a time, with the network at work in between."""
        for _ in range(int(seconds / step)):
            self.advance(step)
            self.settle()

    def _connect(self, own: Place, place: Place, factory: ClientFactory) -> None:
        if place not in self.ports:
            factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))  # type: ignore[arg-type]
            return
        protocol = factory.buildProtocol(address_of(place))
        if protocol is not None:
            self._link(protocol, own, place)

    def _link(self, client: Any, own: Place, place: Place) -> None:
        near, far = MemoryConnection(own, place), MemoryConnection(place, own)
        near.other, far.other = far, near
        server = self.ports[place].factory.buildProtocol(address_of(own))
        near.protocol, far.protocol = client, server
        if isinstance(client, RawPeer):
            client.connection = near
        self.connections += [near, far]
        client.makeConnection(near)
        if server is None:
            far.abortConnection()
        else:
            server.makeConnection(far)
