"""The table of connections, up or coming up, by number, and the report of their end."""

import secrets
from collections import Counter
from itertools import count

from twisted.logger import Logger

from gateway.config.model import Listener, Side
from gateway.transport.arrival import TransportUser
from gateway.transport.flow import FailureKind, FlowKey, TransportFailure
from gateway.transport.stream.stream_flow import StreamFlow
from gateway.transport.tls.handshake_log import TlsAgreed

log = Logger()


class Connections:
    """The table. Numbers begin at random, so that a key stored by an earlier run finds nothing."""

    def __init__(self) -> None:
        self._numbers = count(secrets.randbits(48) + 1)
        self._by_number: dict[int, StreamFlow] = {}
        self.by_listener: Counter[str] = Counter()
        self._user: TransportUser | None = None  # while the listeners are open

    def __len__(self) -> int:
        return len(self._by_number)

    def by_tls(self) -> Counter[tuple[Side, TlsAgreed]]:
        """How many are up over TLS, by side, version and cipher suite."""
        return Counter((flow.side, flow.tls) for flow in self._by_number.values() if flow.tls is not None)

    def start(self, user: TransportUser) -> None:
        """Tell that user of the end of connections that peers began."""
        self._user = user

    def new_number(self) -> int:
        """A number that no connection has had."""
        return next(self._numbers)

    def add(self, flow: StreamFlow) -> None:
        """Keep until discard()."""
        self._by_number[flow.number] = flow
        self.by_listener[flow.listener.name] += 1

    def discard(self, flow: StreamFlow) -> None:
        """The connection ended."""
        if self._by_number.pop(flow.number, None) is None:
            return
        self.by_listener[flow.listener.name] -= 1
        if self._user is not None and not flow.is_client:
            _tell(self._user, flow.key)

    def get(self, key: FlowKey) -> StreamFlow | None:
        """The connection of that key, if it is still open."""
        flow = self._by_number.get(key.connection)
        return flow if flow is not None and flow.key == key else None

    def end_of(self, listener: Listener) -> None:
        """End the connections of a listener at an address that is used no more; their watchers hear of it."""
        failure = TransportFailure(FailureKind.CLOSED, f"listener {listener.name} has another address")
        for flow in list(self._by_number.values()):
            if flow.listener is listener:
                flow.fail(failure)

    def close_all(self) -> None:
        """End every connection, and tell the user of none."""
        self._user = None
        for flow in list(self._by_number.values()):
            flow.close()


def _tell(user: TransportUser, key: FlowKey) -> None:
    try:
        user.connection_ended(key)
    except Exception:  # the guard: the end of a connection goes on to its end
        log.failure("the end of connection {key} met a bug", key=key)
