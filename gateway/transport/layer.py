"""The transport layer as the others see it (RFC 3261 section 18): opens the listeners, gives flows, hands up messages.

    TransportLayer(reactor, listeners, metrics); start(user); flow_to(target, side, terms).send(bytes)

Lives here: joining the parts. Not here: anything that knows a socket or a certificate.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from gateway.config.model import Listener, Side
from gateway.observe.figures import ListenerFigures, Sample
from gateway.observe.metrics import Metrics
from gateway.transport.arrival import Arrival, TransportUser
from gateway.transport.flow import (
    Address,
    FailureKind,
    Flow,
    FlowKey,
    Target,
    TlsTerms,
    Transport,
    TransportFailure,
    is_ip_address,
)
from gateway.transport.long_requests import CONNECT_WITHIN, Widening
from gateway.transport.sockets import CannotListen, TransportReactor, is_ipv6
from gateway.transport.stream.accept import ConnectionLimits, StreamListener
from gateway.transport.stream.connect import Connector
from gateway.transport.stream.connection import ConnectionServices
from gateway.transport.stream.connections import Connections
from gateway.transport.stream.keepalive import PATIENCE, Patience
from gateway.transport.stream.stream_flow import StreamFlow
from gateway.transport.stream.timer_wheel import TimerWheel
from gateway.transport.tls.certificates import CertificateReport
from gateway.transport.tls.contexts import ClientTls, ServerTls
from gateway.transport.tls.handshake_log import Handshakes
from gateway.transport.tls.reload import Renewal
from gateway.transport.udp import DatagramListener
from gateway.transport.websocket.web_connection import WebSocketListener

Port = DatagramListener | StreamListener


class TransportLayer:
    """All listeners of the gateway and all connections."""

    def __init__(
        self,
        reactor: TransportReactor,
        listeners: Iterable[Listener],
        metrics: Metrics,
        patience: Patience = PATIENCE,
        limits: ConnectionLimits | None = None,
    ) -> None:
        """limits are for every listener, instead of those that each one's configuration has."""
        self._reactor = reactor
        self.listeners = tuple(listeners)
        """The listeners, at the addresses that they have now."""
        self._limits = limits

        def read_for(is_crowd: bool) -> None:
            for port in _over_udp((*self._ports.values(), *self._left)):
                port.read_for(is_crowd)

        self._arrival = Arrival(metrics, self.listeners, reactor, self._filling, read_for)
        self.crowd = self._arrival.crowd
        self.unread = self._arrival.unread
        self.tap = self._arrival.tap
        self.banned = self._arrival.banned
        self._wheel = TimerWheel(reactor)
        self.handshakes = Handshakes(metrics, self._arrival.wrong_ports)
        self._services = ConnectionServices(self._arrival, self._wheel, self.handshakes, reactor.seconds, patience)
        self._connections = Connections()
        self._tls = Renewal(reactor, metrics, lambda: self._connector.forget_all())
        self._connector = Connector(reactor, self._services, self._connections, self._tls.clients)
        self._widening = Widening(reactor, self._connect_wide)
        self._ports: dict[str, Port] = {}
        self._left: list[Port] = []  # at addresses of before, until nobody writes to them any more
        metrics.listeners.add(self.figures)
        metrics.asked.add(self._tls_figures)
        metrics.asked.add(self._banned_figures)

    @property
    def is_listening(self) -> bool:
        """Whether every listener is open."""
        return len(self._ports) == len(self.listeners) and all(port.is_open for port in self._ports.values())

    @property
    def connection_count(self) -> int:
        """Connections up or coming up, on all listeners."""
        return len(self._connections)

    @property
    def message_count(self) -> int:
        """Messages that have arrived so far, on all listeners."""
        return self._arrival.messages

    def start(self, user: TransportUser) -> Deferred[None]:
        """Open every listener, or none, and give the user all that arrives.

        Fails with CannotListen or CertificateError, one line for the operator.
        """
        self._arrival.start(user)
        self._connections.start(user)
        return maybeDeferred(self._start)

    def stop(self) -> Deferred[None]:
        """Close every listener and connection; fires when the ports are free."""
        ports, self._ports = [*self._ports.values(), *self._left], {}
        self._left.clear()
        stopped = gatherResults([port.stop() for port in ports])
        self._connections.close_all()
        self.crowd.stop()
        self._wheel.stop()
        self._tls.stop()
        return stopped.addCallback(lambda _: None)

    def move(self, addresses: Mapping[str, str]) -> None:
        """Open these listeners, by name, at other addresses, and use those from now on. Connections at the old ones
        end; the old ports take datagrams until `close_left`. Raises CannotListen, and then nothing has changed."""
        opened: dict[str, Port] = {}
        try:
            for name, address in addresses.items():
                if self._ports[name].listener.address == address:
                    continue
                port = self._ports[name].at(address)
                port.start(self._reactor)
                opened[name] = port
        except CannotListen:
            for port in opened.values():
                port.stop()
            raise
        left = [self._ports[name] for name in opened]
        self._ports.update(opened)
        self.listeners = tuple(self._ports[one.name].listener for one in self.listeners)
        self._left += left
        self._connector.forget_all()
        for port in left:
            _leave(port, self._ports.get(port.listener.name), self._connections)

    def close_left(self) -> Deferred[None]:
        """Close the ports at addresses of before; fires when they are free."""
        left, self._left = self._left, []
        for port in left:
            _leave(port, self._ports.get(port.listener.name), self._connections)  # peers may have come by them since
        return gatherResults([port.stop() for port in left]).addCallback(lambda _: None)

    def flow_to(self, target: Target, side: Side, tls: TlsTerms | None = None) -> Flow:
        """The flow to a target with a numeric host. Never raises: watch() tells of its failure."""
        port = self.port_toward(target, side)
        if isinstance(port, DatagramListener):
            flow = port.flow(target.address.host, target.address.port)
            flow.allowance.prove()  # no datagram led here
            return flow
        if port is None:
            return self._hopeless(target, side)
        return self._connector.flow_to(target, port, tls or TlsTerms())

    def flow(self, key: FlowKey) -> Flow | None:
        """The flow that a key names: for UDP whenever the listener is there, else if the connection is still open."""
        port = self._ports.get(key.listener)
        if isinstance(port, DatagramListener):
            return port.flow(key.remote.host, key.remote.port) if key.transport is Transport.UDP else None
        return self._connections.get(key)

    def port(self, listener: str) -> Port:
        """The port of a started listener, by the listener's name."""
        return self._ports[listener]

    def port_toward(self, target: Target, side: Side) -> Port | None:
        """The started listener that messages to a target leave from; None where there is none."""
        host = target.address.host
        for port in self._ports.values():
            listener = port.listener
            if (
                listener.side is side
                and listener.transport == target.transport
                and is_ip_address(host)
                and is_ipv6(listener.address) == is_ipv6(host)
            ):
                return port
        return None

    def address_of(self, listener: str) -> Address:
        """Where a started listener really listens (a configured port 0 is any free one)."""
        port = self.port(listener)
        return Address(port.listener.address, port.port)

    def reload(self, terms: Iterable[TlsTerms] | None = None) -> None:
        """Read all certificates, keys and trust again, and go by them. Raises CertificateError, nothing changed."""
        self.prepare(terms)()

    def prepare(self, terms: Iterable[TlsTerms] | None = None) -> Callable[[], None]:
        """Read all certificates, keys and trust again; the result adopts them, and connections that are up live on.
        Raises CertificateError. terms are those on which servers will be spoken to, instead of those known so far."""
        return self._tls.prepare(terms)

    @property
    def clients(self) -> ClientTls:
        """The TLS of connections that we begin."""
        return self._tls.clients

    def serve_tls(self, listener: Listener, *, resumes: bool = True) -> ServerTls:
        """TLS for a listener of another protocol, read again as those of SIP are; to be called before the start.
        Without ``resumes`` each connection has a handshake of its own. Raises CertificateError."""
        return self._tls.serve(listener, resumes=resumes)

    def certificate_reports(self) -> dict[str, CertificateReport]:
        """How the certificate that each TLS listener serves stands, by listener."""
        return self._tls.reports()

    def figures(self) -> Iterator[ListenerFigures]:
        """The counts of each listener."""
        for name, port in self._ports.items():
            if isinstance(port, DatagramListener):
                yield ListenerFigures(name, unsent=port.unsent, withheld=port.withheld)
            else:
                yield ListenerFigures(name, self._connections.by_listener[name], port.refused)

    def _tls_figures(self) -> Iterator[Sample]:
        """Connections over TLS, counted anew at each scrape: 20,000 take 3 ms."""
        for (side, agreed), number in self._connections.by_tls().items():
            yield Metrics.tls_connections, (str(side), agreed.version, agreed.cipher), number

    def _banned_figures(self) -> Iterator[Sample]:
        for transport in Transport:
            yield Metrics.banned_packets, (transport.value,), self.banned.dropped[transport.value]

    def _filling(self) -> float:
        """Of the fullest socket."""
        return max((port.filling for port in _over_udp((*self._ports.values(), *self._left))), default=0.0)

    def _start(self) -> None:
        served = {one.name: self._tls.serve(one) for one in self.listeners if one.is_encrypted}
        try:
            for listener in self.listeners:
                port = self._new_port(listener, served.get(listener.name))
                port.start(self._reactor)
                self._ports[listener.name] = port
        except Exception:
            self.stop()
            raise
        self._tls.start()

    def _new_port(self, listener: Listener, tls: ServerTls | None) -> Port:
        if listener.transport == Transport.UDP:
            if listener.side is Side.PROVIDER:
                return DatagramListener(listener, self._arrival, self._widening.flow)
            return DatagramListener(listener, self._arrival)
        limits = self._limits or ConnectionLimits.of(listener)
        kind = WebSocketListener if listener.transport == Transport.WSS else StreamListener
        return kind(listener, self._services, self._connections, tls, limits)

    def _connect_wide(self, target: Target) -> StreamFlow | None:
        port = self.port_toward(target, Side.PROVIDER)
        if not isinstance(port, StreamListener):
            return None
        return self._connector.flow_to(target, port, TlsTerms(), CONNECT_WITHIN)

    def _hopeless(self, target: Target, side: Side) -> Flow:
        """A flow that fails at once: there is no listener that could reach the target."""
        kind, reason = FailureKind.TIMEOUT, f"no {side} listener for {target.transport} to {target.address}"
        if not is_ip_address(target.address.host):
            kind, reason = FailureKind.DNS, f"{target.address.host} was not resolved"
        nowhere = Listener(name="", side=side, transport=target.transport.value, address="", port=0)
        flow = StreamFlow(nowhere, target.address, Address("", 0), 0, lambda _: None, target.name)
        self._reactor.callLater(0, flow.fail, TransportFailure(kind, reason))
        return flow


def _over_udp(ports: Iterable[Port]) -> Iterator[DatagramListener]:
    return (port for port in ports if isinstance(port, DatagramListener))


def _leave(port: Port, successor: Port | None, connections: Connections) -> None:
    """Use the listener's other port from now on."""
    if isinstance(port, DatagramListener) and isinstance(successor, DatagramListener):
        port.leave(successor)
    elif isinstance(port, StreamListener):
        connections.end_of(port.listener)
