"""The system's sockets: marking, buffers, addresses, and a clear word when a port is taken.

Lives here: everything that UDP, TCP and TLS need alike. Not here: the messages.
"""

import errno
import ipaddress
import resource
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IPullProducer,
)
from twisted.internet.protocol import ClientFactory, DatagramProtocol

from gateway.base.network.kernel import source_address_toward
from gateway.config.model import Listener
from gateway.transport.flow import Address

SIGNALLING_DSCP = 24
"""CS3, the class of signalling (RFC 4594 section 4.2)."""

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes asked for on UDP sockets: a burst of some 3,000 messages waits there while Python is busy."""

UNACKNOWLEDGED_WITHIN = 30
"""Seconds that sent bytes may stay unacknowledged before the connection counts as lost."""

PROBE_AFTER = 60
"""Seconds of silence after which the kernel asks whether the other end of a connection is still there."""


class TransportReactor(Protocol):
    """The transport's part of a reactor."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object) -> IDelayedCall: ...  # noqa: A002

    def listenUDP(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = ...,
        maxPacketSize: int = ...,  # noqa: N803
    ) -> IListeningPort: ...

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = ..., interface: str = ...
    ) -> IListeningPort: ...

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory,
        timeout: float = ...,
        bindAddress: tuple[str, int] | None = ...,  # noqa: N803
    ) -> IConnector: ...


class StreamTransport(Protocol):
    """The transport's part of a TCP connection."""

    def write(self, data: bytes) -> None: ...

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def registerProducer(self, producer: IPullProducer, streaming: bool) -> None: ...  # noqa: N802

    def unregisterProducer(self) -> None: ...  # noqa: N802

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def getHost(self) -> IAddress: ...


class CannotListen(OSError):
    """A listener's port cannot be opened; str() is one line for the operator."""


def cannot_listen(listener: Listener, error: CannotListenError) -> CannotListen:
    """One line that names the listener, the key of its table, its address and port, and the error."""
    kind = "udp" if listener.transport == "udp" else "tcp"
    return CannotListen(f"listener {listener.name}: {refused_port(kind, listener.address, listener.port, error)}")


def refused_port(kind: str, address: str, port: int, error: CannotListenError) -> str:
    """The key ("address" or "port") that a port of "udp" or "tcp" could not be opened for, and why."""
    match getattr(error.socketError, "errno", None):
        case errno.EADDRINUSE:
            look = f"ss -l{kind[0]}np 'sport = :{port}'"
            return f"port: {kind} port {port} of {address} is taken by another program ({look} shows it)"
        case errno.EADDRNOTAVAIL:
            return f"address: {address} is no address of this machine"
        case errno.EACCES:
            return f"port: {kind} port {port} may not be opened by this user: below 1024 it needs CAP_NET_BIND_SERVICE"
        case _:
            return f"port: {kind} port {port} of {address} cannot be used: {error.socketError}"


def mark_signalling(handle: socket.socket, dscp: int = SIGNALLING_DSCP) -> None:
    """Mark packets that leave the socket with that DSCP; a system that refuses is no reason to fail."""
    options = [(socket.IPPROTO_IP, socket.IP_TOS)]  # of an IPv6 socket too: it may speak to IPv4 peers
    if handle.family == socket.AF_INET6:
        options.append((socket.IPPROTO_IPV6, socket.IPV6_TCLASS))
    for level, option in options:
        try:
            handle.setsockopt(level, option, dscp << 2)
        except OSError:
            continue


def widen_receive_buffer(handle: socket.socket) -> int:
    """Let the kernel keep a burst of datagrams: past net.core.rmem_max where we may, up to it where not. Bytes it keeps
    now, its own account of each datagram left out."""
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    for option in (force, socket.SO_RCVBUF):
        try:
            handle.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
        except OSError:
            continue
        break
    return (
        handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    )  # socket(7): the kernel doubles the size that is asked for


def tune_connection(handle: socket.socket, dscp: int = SIGNALLING_DSCP) -> None:
    """Settings of every TCP connection: small messages leave at once (a TLS peer's first answer took 42 ms without),
    and a peer that vanished is noticed (RFC 5482), also while nothing is sent."""
    mark_signalling(handle, dscp)
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 4), PROBE_AFTER),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 5), PROBE_AFTER // 4),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", 18), UNACKNOWLEDGED_WITHIN * 1000),
    ):
        try:
            handle.setsockopt(level, option, value)
        except OSError:
            continue


def raise_open_files() -> int:
    """Let this process have as many files open as it may have: 1,024 are usual and a thousand phones; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def is_any_address(host: str) -> bool:
    """Whether the host stands for every address of this machine (0.0.0.0, ::)."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""


def is_ipv6(host: str) -> bool:
    """Whether the numeric host is an IPv6 address."""
    return ":" in host


def own_addresses(
    listener: Listener, port: int, remote_host: str, own_host: str | None = None
) -> tuple[Address, Address]:
    """The address that messages to the remote host leave from, and the one that it is told; port is the one bound, and
    own_host the name that this peer knows us by, where it is another than the listener's."""
    host = listener.address
    if is_any_address(host):
        host = source_address_toward(remote_host) or host
    return shared_address(host, port), shared_address(own_host or listener.advertised_host or host, port)


@lru_cache(maxsize=1024)
def shared_address(host: str, port: int) -> Address:
    """An address of ours: one object for all the connections that have it."""
    return Address(host, port)
