"""Requests that are too long for UDP go over TCP to the same place (RFC 3261 section 18.1.1).

    UdpFlow.wider(size) -> Widening.flow(remote) -> a TCP flow, or None: there is no way but UDP

Lives here: whether there is TCP, and remembering for a while the peers that refused it. Not here: a request that finds
the connection refused after all: its transaction goes on over UDP ("SHOULD retry the request using UDP").
"""

from collections.abc import Callable

from gateway.transport.flow import Address, Flow, Target, Transport, TransportFailure
from gateway.transport.sockets import TransportReactor
from gateway.transport.stream.stream_flow import StreamFlow

CONNECT_WITHIN = 3.0
"""Seconds that a request waits for TCP before it goes over UDP."""

FORGET_AFTER = 600.0
"""Seconds for which a peer that did not take TCP is not asked again: its requests need not wait."""

REMEMBERED = 1000
"""Addresses remembered at most."""

Connect = Callable[[Target], StreamFlow | None]


class Widening:
    """Finds the TCP flow beside a UDP flow. connect gives it, None where no listener can have it."""

    def __init__(self, reactor: TransportReactor, connect: Connect) -> None:
        self._reactor = reactor
        self._connect = connect
        self._refused: dict[Address, float] = {}  # until when (seconds, reactor time) it is not asked again

    def flow(self, remote: Address) -> Flow | None:
        """The TCP flow to the same host and port, up or coming up."""
        if self._reactor.seconds() < self._refused.get(remote, 0.0):
            return None
        flow = self._connect(Target(Transport.TCP, remote, remote.host))
        if flow is not None and not flow.is_connected:
            self._watch(flow)
        return flow

    def _watch(self, flow: StreamFlow) -> None:
        def lost(_failure: TransportFailure) -> None:
            if not flow.was_connected:
                self._remember(flow.remote)

        flow.watch(lost)

    def _remember(self, remote: Address) -> None:
        if len(self._refused) >= REMEMBERED:
            self._refused.clear()
        self._refused[remote] = self._reactor.seconds() + FORGET_AFTER
