"""Connections that peers begin: the listening port of TCP or TLS, and its limits.

One source can have `per_source` connections, of which the silent ones give way first and end by themselves (no
handshake in 10 s, no message in 60 s, a message of more than 30 s: keepalive.py), and cost `new_per_second` handshakes,
about 1 ms of CPU each. Not here: the bytes of a connection (connection.py).
"""

from typing import Self, cast

from attrs import evolve, frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gateway.base.address_ranges import unmapped
from gateway.base.rate import Rate, RateLimit, source_of
from gateway.config.model import Listener
from gateway.transport.flow import Address, FailureKind, TransportFailure
from gateway.transport.sockets import TransportReactor, cannot_listen, own_addresses
from gateway.transport.stream.connection import ConnectionServices, StreamProtocol
from gateway.transport.stream.connections import Connections
from gateway.transport.stream.stream_flow import StreamFlow
from gateway.transport.tls.channel import TlsChannel
from gateway.transport.tls.contexts import ServerTls

log = Logger()

BACKLOG = 1024
"""Connections that the kernel keeps for us: every phone of a site comes back at once after a power cut."""


@frozen
class ConnectionLimits:
    """How many accepted connections may be up at once."""

    per_listener: int = 20_000
    per_source: int = 1_000
    """From one address (IPv6: one /64); a whole office may share one."""
    new_per_second: int = 50
    """From one source, once twice per_source have come at once: all phones of an office may come back twice."""

    @classmethod
    def of(cls, listener: Listener) -> Self:
        """Those that the configuration has for a listener."""
        return cls(listener.connections, listener.connections_per_source, listener.new_connections_per_source)


LIMITS = ConnectionLimits()


class StreamListener(Factory):
    """One TCP or TLS listener of the configuration."""

    noisy = False

    def __init__(
        self,
        listener: Listener,
        services: ConnectionServices,
        connections: Connections,
        tls: ServerTls | None,
        limits: ConnectionLimits = LIMITS,
    ) -> None:
        self.listener = listener
        self.port = listener.port  # the one bound, once it is
        self.is_open = False
        self.refused = 0
        self._services = services
        self._connections = connections
        self._tls = tls
        self._limits = limits
        self._count = 0
        self._by_source: dict[str, int] = {}
        rate = Rate(limits.new_per_second, 2 * limits.per_source)
        self._rate = RateLimit(rate, 2 * limits.per_listener)  # room for all phones of a site to come back at once
        self._silent: dict[int, StreamFlow] = {}  # oldest first
        self._listening: IListeningPort | None = None

    def start(self, reactor: TransportReactor) -> None:
        """Open the port. Raises CannotListen."""
        try:
            self._listening = reactor.listenTCP(self.listener.port, self, BACKLOG, self.listener.address)
        except CannotListenError as error:
            raise cannot_listen(self.listener, error) from error
        self.is_open = True
        host = self._listening.getHost()
        if isinstance(host, IPv4Address | IPv6Address):
            self.port = host.port

    def stopFactory(self) -> None:  # noqa: N802
        """The port is closed: stopped, or an error closed it."""
        self.is_open = False

    def at(self, address: str) -> Self:
        """The same listener at another address, not yet started."""
        listener = evolve(self.listener, address=address)
        return type(self)(listener, self._services, self._connections, self._tls, self._limits)

    def stop(self) -> Deferred[object]:
        """Accept no more; connections that are up stay."""
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening) if listening is not None else succeed(None)

    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol | None:
        """The protocol of one connection; None closes it at once."""
        peer = cast(IPv4Address | IPv6Address, addr)
        banned = self._services.arrivals.banned
        if banned.is_on and banned.drops(peer.host, self.listener.transport):
            return None
        remote = Address(unmapped(peer.host), peer.port)
        if not self._has_room(remote.host):
            self.refused += 1
            log.debug("{listener}: no room for {source}", listener=self.listener.name, source=remote)
            return None
        flow = self._new_flow(remote)
        return self._protocol(flow, self._tls.channel() if self._tls is not None else None)

    def _protocol(self, flow: StreamFlow, channel: TlsChannel | None) -> StreamProtocol:
        """The protocol of a connection that was let in."""
        return StreamProtocol(flow, self._services, channel)

    def _has_room(self, source: str) -> bool:
        if self._by_source.get(source_of(source), 0) >= self._limits.per_source:
            return False
        if not self._rate.allows(source, self._services.seconds()):
            return False
        if self._count >= self._limits.per_listener and self._silent:
            self._make_room()
        return self._count < self._limits.per_listener

    def _make_room(self) -> None:
        """The oldest silent connection gives way, so that silent ones never take all slots.

        An honest peer has the time that an attacker needs to fill the table again, which `new_per_second` makes long.
        """
        oldest = next(iter(self._silent.values()))
        oldest.fail(TransportFailure(FailureKind.CLOSED, "nothing was said, and the slot is needed"))

    def _new_flow(self, remote: Address) -> StreamFlow:
        _, advertised = own_addresses(self.listener, self.port, remote.host)
        flow = StreamFlow(self.listener, remote, advertised, self._connections.new_number(), self._ended)
        self._connections.add(flow)
        self._silent[flow.number] = flow
        flow.when_heard(self._heard)
        self._count += 1
        source = source_of(remote.host)
        self._by_source[source] = self._by_source.get(source, 0) + 1
        return flow

    def _heard(self, flow: StreamFlow) -> None:
        self._silent.pop(flow.number, None)

    def _ended(self, flow: StreamFlow) -> None:
        self._connections.discard(flow)
        self._silent.pop(flow.number, None)
        self._count -= 1
        source = source_of(flow.remote.host)
        left = self._by_source[source] - 1
        if left:
            self._by_source[source] = left
        else:
            del self._by_source[source]
