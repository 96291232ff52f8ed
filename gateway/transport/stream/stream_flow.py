"""Connections as the layers above see them, TCP and TLS alike (RFC 3261 section 18).

A StreamFlow exists before its connection is up and after it is gone. Lives here: its states, the queue while it
connects, and its end. Not here: the connection itself (connection.py), accepting (accept.py) and connecting
(connect.py).
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from gateway.config.model import Listener
from gateway.transport.flow import Address, FailureKind, Flow, FlowKey, TransportFailure
from gateway.transport.sockets import shared_address
from gateway.transport.tls.handshake_log import TlsAgreed

MAX_QUEUE = 1024 * 1024
"""Bytes waiting for one peer, while connecting or because it does not read; more ends the connection."""


class Wire(Protocol):
    """The connection of a flow."""

    def send(self, data: bytes) -> None: ...

    def drop(self) -> None: ...


class ConnectionState(Enum):
    """Of a StreamFlow."""

    CONNECTING = auto()
    OPEN = auto()
    CLOSED = auto()


class StreamFlow(Flow):
    """One connection as the layers above see it."""

    __slots__ = (
        "_ended",
        "_heard",
        "_queue",
        "_queued",
        "_state",
        "failure",
        "number",
        "tls",
        "was_connected",
        "wire",
    )

    def __init__(
        self,
        listener: Listener,
        remote: Address,
        advertised: Address,
        number: int,
        ended: "Callable[[StreamFlow], None]",
        name: str | None = None,
    ) -> None:
        super().__init__(listener, shared_address(advertised.host, 0), remote, advertised)
        self.number = number
        self.name = name  # the name that we meant to reach; None for a connection that the peer began
        self.wire: Wire | None = None
        self.failure: TransportFailure | None = None
        self.was_connected = False
        self.tls: TlsAgreed | None = None
        """The TLS version and cipher suite, once the handshake is done."""
        self._state = ConnectionState.CONNECTING
        self._queue: list[bytes] = []
        self._queued = 0
        self._ended = ended
        self._heard: Callable[[StreamFlow], None] | None = None

    @property
    def is_client(self) -> bool:
        """Whether we began the connection."""
        return self.name is not None

    @property
    def peer(self) -> str:
        """The other end, for people."""
        return f"{self.name} ({self.remote})" if self.name and self.name != self.remote.host else str(self.remote)

    @property
    def terms(self) -> str:
        """See Flow."""
        return "" if self.tls is None else f"{self.tls.version.replace('TLSv', 'TLS ')}, {self.tls.cipher}"

    @property
    def is_open(self) -> bool:
        """Whether sending still makes sense: connecting or connected."""
        return self._state is not ConnectionState.CLOSED

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up and, with TLS, verified."""
        return self._state is ConnectionState.OPEN

    @property
    def key(self) -> FlowKey:
        """This connection's and no other's."""
        return FlowKey(self.listener.name, self.transport, self.remote, self.number)

    def send(self, data: bytes) -> None:
        """Send now, or when the connection is up."""
        match self._state:
            case ConnectionState.OPEN:
                assert self.wire is not None
                self.wire.send(data)
            case ConnectionState.CONNECTING:
                self._enqueue(data)
            case _:  # closed: the watchers have been told
                return

    def when_heard(self, heard: "Callable[[StreamFlow], None]") -> None:
        """Call heard with the first message that arrives on the connection."""
        self._heard = heard

    def spoke(self) -> None:
        """A message arrived."""
        heard, self._heard = self._heard, None
        if heard is not None:
            heard(self)

    def close(self) -> None:
        """End the connection."""
        self.fail(TransportFailure(FailureKind.CLOSED, "closed by the gateway"))

    def opened(self, local: Address) -> None:
        """The connection is up: the queue is sent."""
        assert self.wire is not None
        self.local = local
        self._state = ConnectionState.OPEN
        self.was_connected = True
        queue, self._queue = self._queue, []
        for data in queue:
            self.send(data)

    def fail(self, failure: TransportFailure) -> None:
        """The end, once; the watchers hear of it."""
        if self._state is ConnectionState.CLOSED:
            return
        self._state = ConnectionState.CLOSED
        self.failure = failure
        self._queue = []
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.drop()
        self._ended(self)
        self._tell_watchers(failure)

    def _enqueue(self, data: bytes) -> None:
        self._queued += len(data)
        if self._queued > MAX_QUEUE:
            self.fail(TransportFailure(FailureKind.CLOSED, "too much waits for the connection"))
        else:
            self._queue.append(data)
