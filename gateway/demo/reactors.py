"""One reactor, seen through each interface that the demonstration uses.

What lives here: those views. What does not: the reactor, which only the entry points (`__main__`, `provider`) get, from
`twisted.internet.task.react`.
"""

from __future__ import annotations

from attrs import frozen
from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IReactorCore, IReactorProcess, IReactorTime, IReactorUDP
from twisted.internet.posixbase import PosixReactorBase

from gateway.transport.sockets import TransportReactor


@frozen
class Reactor:
    """The same object, six times."""

    transport: TransportReactor
    udp: IReactorUDP
    clock: IReactorTime
    processes: IReactorProcess
    core: IReactorCore
    web: ReactorBase  # what twisted.web.client.Agent asks for

    @classmethod
    def of(cls, reactor: PosixReactorBase) -> Reactor:
        """The views of a reactor."""
        return cls(reactor, reactor, reactor, reactor, reactor, reactor)
