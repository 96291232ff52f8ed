"""HTTP for everybody, bounded: the time of a request, the length of its body, connections, handshakes of TLS.

    accepted -> LimitedTls (room? rate of the source?) -> BoundedHttp -> requestFactory
                                                            `-> ended -> OpenConnections

Twisted bounds lines and heads (16 KiB, 500 fields). Its idle time-out begins anew with each byte, so a request has a
time by which it has to be there whole. A body that is too long, or of a length that is not told, is cut off at its head
with the answer.

Here: the bounds that each server has. Not here: requests and their answers, the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.interfaces import IAddress, IDelayedCall, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from gateway.base.rate import Rate, RateLimit, source_of

log = Logger()


class OpenConnections:
    """The connections that are open, ``most`` at once, ``most_of_one`` of a source."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._sources: dict[object, str] = {}

    def has_room_for(self, host: str) -> bool:
        """Whether one more connection from there may begin."""
        if len(self._sources) >= self._most:
            return False
        return [*self._sources.values()].count(source_of(host)) < self._most_of_one

    def began(self, channel: object, host: str) -> None:
        """A connection from there has begun."""
        self._sources[channel] = source_of(host)

    def ended(self, channel: object) -> None:
        """A connection has ended, if it was one of these."""
        self._sources.pop(channel, None)


class BoundedHttp(HTTPChannel):
    """A connection. Its requests are there in time, and their bodies within the bound, or it is cut. The factory has
    `ended`, which is told of its end."""

    body_bytes: ClassVar[int]
    """A body has so many at most."""
    request_seconds: ClassVar[float]
    """A request is there whole after so long, counted from its connection's begin or its own first byte."""
    factory: Any
    _overdue: IDelayedCall | None = None
    _is_cut = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def connectionMade(self) -> None:
        """Wait for the first request; a handshake of TLS is in its time."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        self.expect()

    def dataReceived(self, data: bytes) -> None:
        """Bytes have arrived; the first ones of a request set its time."""
        self.expect()
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def allHeadersReceived(self) -> None:
        """The head is there; a body of unknown or too great a length is not waited for."""
        super().allHeadersReceived()  # type: ignore[no-untyped-call]
        self._is_cut = self.length is None or self.length > self.body_bytes

    def lineReceived(self, line: bytes) -> None:
        """A line of the head has arrived; after the last one a request may be cut off there."""
        super().lineReceived(line)  # type: ignore[no-untyped-call]
        if self._is_cut:
            self._is_cut = self.persistent = False
            self.requests[-1].responseHeaders.setRawHeaders(b"connection", [b"close"])
            self.allContentReceived()

    def allContentReceived(self) -> None:
        """The request is there whole: it is answered."""
        self._stop_expecting()
        super().allContentReceived()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended."""
        self._stop_expecting()
        self.factory.ended(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def expect(self) -> None:
        """Set the time of a request that begins, unless one is under way or being answered."""
        if self._overdue is None and not self._handlingRequest:
            self._overdue = self.callLater(self.request_seconds, self._request_overdue)  # type: ignore[no-untyped-call]

    def _stop_expecting(self) -> None:
        overdue, self._overdue = self._overdue, None
        if overdue is not None and overdue.active():
            overdue.cancel()

    def _request_overdue(self) -> None:
        self._overdue = None
        log.debug("a request over HTTP takes too long: its connection is cut")
        self.forceAbortClient()  # type: ignore[no-untyped-call]


class LimitedTls(TLSMemoryBIOFactory):
    """TLS for so many new connections of one source: a handshake costs a millisecond or two of the process that calls
    wait for. ``has_room_for`` tells of a host whether the site takes one more."""

    noisy = False

    def __init__(
        self,
        creator: IOpenSSLServerConnectionCreator,
        site: ServerFactory[Any],
        has_room_for: Callable[[str], bool],
        rate: Rate,
        clock: IReactorTime,
    ) -> None:
        super().__init__(creator, False, site, clock)
        self._has_room_for = has_room_for
        self._limit = RateLimit(rate)
        self._now = clock.seconds

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol | None:  # type: ignore[override]
        """A connection for a client there; None where it is one too many: it is closed then."""
        host = getattr(addr, "host", "")
        if not self._has_room_for(host) or not self._limit.allows(host, self._now()):
            return None
        built: TLSMemoryBIOProtocol | None = super().buildProtocol(addr)
        return built
