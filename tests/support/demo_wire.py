"""Two user agents of the demonstration on one wire, in memory: signalling by a queue, audio by `demo_network`.

A message is parsed from its bytes at the other end, so that it goes through the real layers below.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorCore, IReactorProcess
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import Clock

from gateway.config.model import Listener, Side
from gateway.demo.agent.user_agent import Reactor, UserAgent
from gateway.sip.message import Message, Request
from gateway.sip.parser import parse
from gateway.transaction.layer import TransactionLayer
from gateway.transport.arrival import TransportUser
from gateway.transport.flow import Address, Flow
from gateway.transport.layer import TransportLayer
from gateway.transport.sockets import TransportReactor
from tests.support.demo_network import Network
from tests.support.flows import FakeFlow


class WireFlow(FakeFlow):
    """One end of the wire."""

    def __init__(self, wire: Wire, listener: Listener, remote: Address) -> None:
        super().__init__(listener, remote)
        self._wire = wire

    def send(self, data: bytes) -> None:
        self._wire.put(self, parse(data))

    def close(self) -> None:
        """Wires stay."""


class End:
    """A transport layer with one flow."""

    def __init__(self, flow: WireFlow) -> None:
        self.flow = flow
        self.user: TransportUser | None = None

    def start(self, user: TransportUser) -> Deferred[None]:
        self.user = user
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def flow_to(self, *_: object) -> Flow:
        return self.flow


class Wire:
    """The near and the far end; `log` has what was put on it, `lose` decides what does not arrive."""

    def __init__(self, near: Listener, far: Listener, network: Network | None = None) -> None:
        self.clock = Clock()
        self.network = network or Network()
        self.log: list[str] = []
        self.lose: Callable[[Message], bool] = lambda message: False
        self._queue: deque[tuple[WireFlow, Message]] = deque()
        flows = (
            WireFlow(self, near, Address(far.address, far.port)),
            WireFlow(self, far, Address(near.address, near.port)),
        )
        self.near, self.far = (End(flow) for flow in flows)

    def put(self, flow: WireFlow, message: Message) -> None:
        """A message leaves one end."""
        self.log.append(message.method if isinstance(message, Request) else str(message.status))
        if not self.lose(message):
            self._queue.append((flow, message))

    def settle(self) -> None:
        """Deliver until nothing is under way."""
        while self._queue:
            flow, message = self._queue.popleft()
            end = self.far if flow is self.near.flow else self.near
            if end.user is not None:
                end.user.receive(message, end.flow)

    def wait(self, seconds: float) -> None:
        """Let time go by, in steps of 10 ms."""
        self.settle()
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)
            self.settle()

    def agent(self, end: End) -> UserAgent:
        """A user agent that listens at one end."""
        agent = UserAgent(cast(TransportLayer, end), TransactionLayer(self.clock))
        agent.start()
        return agent

    def reactor(self) -> Reactor:
        """The reactor of this little world: time and UDP only."""
        nothing = object()
        return Reactor(
            transport=cast(TransportReactor, nothing),
            udp=self.network,
            clock=self.clock,
            processes=cast(IReactorProcess, nothing),
            core=cast(IReactorCore, nothing),
            web=cast(PosixReactorBase, nothing),
        )


def listener(side: Side, transport: str, address: str, port: int) -> Listener:
    """A listener without certificates."""
    return Listener(f"{side}-{address}", side, transport, address, port)
