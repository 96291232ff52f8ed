"""A connection to a site of HTTP, without a network: bytes in, and what is kept of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure


class HttpConnection:
    """A connection that a site has taken: its channel, and the transport that answers are written to."""

    def __init__(self, channel: Any, transport: StringTransport) -> None:
        self.channel, self.transport = channel, transport
        channel.makeConnection(transport)

    @property
    def kept(self) -> int:
        """Bytes of a body that is arriving."""
        return sum(len(request.content.getvalue()) for request in self.channel.requests)

    @property
    def is_closed(self) -> bool:
        return bool(self.transport.disconnecting) or bool(self.transport.disconnected)

    def ends(self) -> None:
        self.channel.connectionLost(Failure(ConnectionLost()))
