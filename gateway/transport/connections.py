"""Every connection that is up or coming up, by its number."""

import secrets
from collections import Counter
from itertools import count

from gateway.transport.flow import FlowKey
from gateway.transport.stream import StreamFlow


class Connections:
    """The table of connections. Numbers begin at random, so that a key stored by an earlier run finds nothing."""

    def __init__(self) -> None:
        self._numbers = count(secrets.randbits(48) + 1)
        self._by_number: dict[int, StreamFlow] = {}
        self.by_listener: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_number)

    def new_number(self) -> int:
        """A number that no connection has had."""
        return next(self._numbers)

    def add(self, flow: StreamFlow) -> None:
        """Keep until discard()."""
        self._by_number[flow.number] = flow
        self.by_listener[flow.listener.name] += 1

    def discard(self, flow: StreamFlow) -> None:
        """The connection ended."""
        if self._by_number.pop(flow.number, None) is not None:
            self.by_listener[flow.listener.name] -= 1

    def get(self, key: FlowKey) -> StreamFlow | None:
        """The connection of that key, if it is still open."""
        flow = self._by_number.get(key.connection)
        return flow if flow is not None and flow.key == key else None

    def close_all(self) -> None:
        """End every connection."""
        for flow in list(self._by_number.values()):
            flow.close()
