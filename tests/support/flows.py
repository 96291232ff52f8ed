"""Flows to nowhere: open until the test closes them or lets them fail, and a record of all that was sent."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from gateway.config.model import Listener, Side
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import parse
from gateway.transport.flow import Address, FailureKind, Flow, FlowKey, TransportFailure, Watcher


class FakeFlow(Flow):
    """A flow without a network. A subclass takes what is sent."""

    __slots__ = ("connected", "connection", "open", "watchers")

    def __init__(self, listener: Listener, remote: Address, connection: int = 0) -> None:
        local = Address(listener.address, listener.port)
        super().__init__(listener, local, remote, Address(listener.advertised_host or listener.address, listener.port))
        self.connection = connection
        self.open = True
        self.connected = False
        self.watchers: set[object] = set()
        """One object for each watch that has not been stopped."""

    @property
    def is_open(self) -> bool:
        return self.open

    @property
    def is_connected(self) -> bool:
        return self.connected

    @property
    def key(self) -> FlowKey:
        return FlowKey(self.listener.name, self.transport, self.remote, self.connection)

    @abstractmethod
    def send(self, data: bytes) -> None: ...

    def close(self) -> None:
        self.fail(FailureKind.CLOSED)

    def fail(self, kind: FailureKind = FailureKind.REFUSED, cause: str = "made by the test", found: str = "") -> None:
        """Lose the flow."""
        self.open = False
        self._tell_watchers(TransportFailure(kind, cause, found))

    def watch(self, lost: Watcher) -> Callable[[], None]:
        unwatch = super().watch(lost)
        token = object()
        self.watchers.add(token)

        def stop() -> None:
            self.watchers.discard(token)
            unwatch()

        return stop


class RecordingFlow(FakeFlow):
    """Keeps what is sent, as bytes and as messages: one that cannot be read fails the test."""

    __slots__ = ("bytes", "sent")

    def __init__(self, listener: Listener, remote: Address, connection: int = 0) -> None:
        super().__init__(listener, remote, connection)
        self.bytes: list[bytes] = []
        self.sent: list[Message] = []

    def send(self, data: bytes) -> None:
        self.bytes.append(data)
        self.sent.append(parse(data))

    def requests(self, method: str) -> list[Request]:
        """The requests of that method that were sent."""
        return [message for message in self.sent if isinstance(message, Request) and message.method == method]

    def statuses(self) -> list[int]:
        """The status of each response that was sent."""
        return [message.status for message in self.sent if isinstance(message, Response)]

    def take(self) -> list[Message]:
        """The messages since the last call; their bytes are forgotten, too."""
        sent, self.sent = self.sent, []
        self.bytes.clear()
        return sent


def a_flow(
    transport: str = "udp", side: Side = Side.PHONES, port: int = 5060, connection: int = 0, host: str = "127.0.0.11"
) -> RecordingFlow:
    """A flow of a listener on one side; `host` and `port` are the peer's."""
    return RecordingFlow(listener_of(transport, side), Address(host, port), connection)


def listener_of(transport: str, side: Side = Side.PHONES) -> Listener:
    """A listener of that transport; its certificate is a name only."""
    tls = Path("certs/none.pem") if transport == "tls" else None
    return Listener(f"{side}-{transport}", side, transport, "127.0.0.20", 5060, None, tls, tls, None)
