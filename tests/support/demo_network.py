"""UDP in memory, for endpoints that take a reactor's listenUDP: a datagram written by one is received by the other at
once.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUDP, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

Place = tuple[str, int]


@implementer(IReactorUDP)
class Network:
    """All addresses of one machine; a datagram to a port that is not bound is lost."""

    def __init__(self) -> None:
        self.bound: dict[Place, Socket] = {}

    def listenUDP(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,  # noqa: N803
    ) -> IListeningPort:
        if (interface, port) in self.bound:
            raise CannotListenError(interface, port, OSError("taken"))
        socket = Socket(self, (interface, port), protocol)
        self.bound[interface, port] = socket
        protocol.makeConnection(cast(IUDPTransport, socket))
        return socket


@implementer(IListeningPort)
class Socket:
    """One bound port."""

    def __init__(self, network: Network, place: Place, protocol: DatagramProtocol) -> None:
        self._network = network
        self._place = place
        self._protocol = protocol

    def write(self, datagram: bytes, remote: Place) -> None:
        receiver = self._network.bound.get(remote)
        if receiver is not None:
            receiver.receive(datagram, self._place)

    def receive(self, datagram: bytes, source: Place) -> None:
        self._protocol.datagramReceived(datagram, source)

    def startListening(self) -> None:
        """It listens from the beginning."""

    def stopListening(self) -> None:
        del self._network.bound[self._place]

    def getHost(self) -> Place:  # type: ignore[override]
        return self._place
