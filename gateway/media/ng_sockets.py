"""Sockets to relays: UNIX datagrams to a worker of ours, UDP to an rtpengine.

A socket of UDP is connected, so that it hears the kernel's word (ICMP) that nobody has the relay's port open: that is
sooner than silence. It is bound to an address of this machine, then, and is opened anew where that may be gone
(`NgClient.reopen`). Not here: the protocol (ng).
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Final

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUDP, IReactorUNIXDatagram
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.internet.unix import DatagramPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.media.ng import NgClient

UNIX_WINDOW: Final = 8
"""Requests under way at once to a UNIX socket; more wait here. Linux queues ten datagrams (net.unix.max_dgram_qlen) and
drops the rest: the copies of a burst would come as a burst again, and most of it would fail."""
MAXIMUM_DATAGRAM: Final = 262_144
OF_THE_WAY: Final = (
    errno.EMSGSIZE,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ENONET,
    errno.ENOPROTOOPT,
    errno.EACCES,
)
"""Other errors that ICMP brings (icmp(7)): of routers and firewalls between, which say nothing about the relay. Whether
it is there is told by its silence."""

log = Logger()


def unix_client(clock: IReactorTime, unix: IReactorUNIXDatagram, own: Path, target: Path) -> NgClient:
    """A client that binds `own`, which replies come to, and asks the worker at `target`."""

    def listen(protocol: DatagramProtocol) -> IListeningPort:
        own.unlink(missing_ok=True)
        port = RepliesPort(str(own), protocol, MAXIMUM_DATAGRAM, 0o600, unix)  # type: ignore[no-untyped-call]
        port.startListening()  # type: ignore[no-untyped-call]
        return port

    client = NgClient(clock, listen, str(target), own)
    client.window = UNIX_WINDOW
    return client


def udp_client(clock: IReactorTime, udp: IReactorUDP, host: str, port: int) -> NgClient:
    """A client of the rtpengine at that numeric address."""

    def listen(protocol: DatagramProtocol) -> IListeningPort:
        _look_for_way(host, port)
        own = "::" if ":" in host else "0.0.0.0"  # noqa: S104  (connected, it hears that address alone)
        connected = ConnectedPort(0, protocol, own, MAXIMUM_DATAGRAM, udp)  # type: ignore[no-untyped-call]
        connected.startListening()  # type: ignore[no-untyped-call]
        connected.connect(host, port)  # type: ignore[no-untyped-call]
        return connected

    client = NgClient(clock, listen, (host, port))
    client.is_connected = True
    return client


def _look_for_way(host: str, port: int) -> None:
    """Raises CannotListenError where this machine has no way to that address now: a port that is open already could not
    be taken back before the reactor's next turn."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, port))
        except OSError as error:
            raise CannotListenError("", 0, error) from None


class RepliesPort(DatagramPort):
    """A UNIX socket that is read into one buffer: Twisted makes one of the largest size for each datagram, and for the
    reading that finds nothing more, which takes several times as long as to read."""

    _buffer = memoryview(bytearray(MAXIMUM_DATAGRAM))
    """For all: nothing of it is used after the datagram was copied out."""

    def doRead(self) -> None:
        """Take datagrams, but no more than the reactor's fair share."""
        taken = 0
        while taken < self.maxThroughput:
            try:
                length, source = self.socket.recvfrom_into(self._buffer)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
                    return
                raise
            taken += length
            try:
                self.protocol.datagramReceived(bytes(self._buffer[:length]), source)
            except Exception:  # the guard of this entry point, as Twisted's: the next datagram is another's
                log.failure("an answer of the relay was not understood")


class ConnectedPort(Port):
    """A connected socket that outlives an error. epoll tells of one as it does of a connection's end, and Twisted would
    close the port then, before it could say what the error is."""

    def readConnectionLost(self, reason: Failure) -> None:
        """There is an error to be read."""
        self.startReading()  # type: ignore[no-untyped-call]
        self.doRead()

    def doRead(self) -> None:
        """Take datagrams, or the word that nobody has the port open."""
        try:
            super().doRead()  # type: ignore[no-untyped-call]
        except OSError as error:
            if error.errno not in OF_THE_WAY:
                raise
