"""A relay node without a network: an NgClient whose datagrams the test reads and answers."""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock

from gateway.media.ng import NgClient
from gateway.media.relay import JSON

TARGET = ("192.0.2.1", 22222)


class Wire:
    """What an NgClient sends, and its replies."""

    def __init__(self, clock: Clock) -> None:
        self.sent: list[bytes] = []
        self.is_open = False
        self.openings = self.closings = 0
        self.error: OSError | None = None
        """Raised by whatever is sent."""
        self.client = NgClient(clock, self._listen, TARGET)

    def _listen(self, protocol: DatagramProtocol) -> IListeningPort:
        self.is_open = True
        self.openings += 1
        protocol.transport = cast(Any, self)
        return cast(IListeningPort, self)

    def write(self, datagram: bytes, target: object) -> None:
        assert target == TARGET
        if self.error is not None:
            raise self.error
        self.sent.append(datagram)

    def stopListening(self) -> None:
        self.is_open = False
        self.closings += 1

    def closed(self) -> None:
        """A turn of the reactor later."""
        self.client.transport = None
        self.client.stopProtocol()

    def commands(self) -> list[str]:
        return [self.fields(datagram)["command"] for datagram in self.sent]

    def fields(self, datagram: bytes) -> dict[str, Any]:
        found = json.loads(datagram.partition(b" ")[2])
        assert isinstance(found, dict)
        return found

    def reply(self, datagram: bytes, source: object = TARGET, **fields: JSON) -> None:
        cookie = datagram.partition(b" ")[0]
        self.client.datagramReceived(cookie + b" " + json.dumps({"result": "ok", **fields}).encode(), source)

    def answer(self, command: str, **fields: JSON) -> dict[str, Any]:
        """Reply to every outstanding request of that command; returns what the last one said."""
        matching = [datagram for datagram in self.sent if self.fields(datagram)["command"] == command]
        assert matching, f"no {command} among {self.commands()}"
        self.sent = [datagram for datagram in self.sent if datagram not in matching]
        for datagram in matching:
            self.reply(datagram, **fields)
        return self.fields(matching[-1])
