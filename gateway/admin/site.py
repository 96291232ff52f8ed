"""The administration interface on a port: requests are judged by their head, and bounded in bytes, time and number.

    head -> judged -> body wanted?  kept as it arrives, BODY_BYTES at most
                   -> unwanted:     dropped as it arrives; a long one is cut off at once with the answer

Everybody can send a head, so nothing of a body is kept before the head alone has shown that the
answer will need it: a POST for this host, of a page of ours or by JSON, with the right to its route, and with a
Content-Length within the bound. The same is judged again when the request is answered (`hardening`, `routes`); here a
wrong judgement costs memory, there it would cost more.

Twisted bounds lines and heads (16 KiB, 500 fields). Its idle time-out begins anew with each byte, so a request also
has a time by which it has to be there whole. Connections from elsewhere cannot take the ones that are left for this
machine, and those over loopback not the ones of the UNIX socket, which has a site of its own.
Not here: the answers (`api`), routes (`routes`).
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.server import Request, Site

from gateway.admin.hardening import BODY_BYTES, Front, Rejected
from gateway.admin.permission import is_loopback
from gateway.base.rate import source_of

log = Logger()

REQUEST_SECONDS: Final = 10.0
"""A request is there whole after so long, counted from its connection's begin or its own first byte."""

IDLE_SECONDS: Final = 60.0
"""A connection without a request lasts so long: monitoring asks again on the same one."""

CONNECTIONS: Final = 64
"""Connections from this machine, and as many from elsewhere."""


CONNECTIONS_OF_ONE: Final = 48
"""Of those from elsewhere, one address has so many (of IPv6 a /64): enough for a proxy, and others have some left."""


class JudgedRequest(Request):
    """A request that keeps its body only where that is wanted."""

    _is_wanted = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """The head is there: decide whether the body is to be kept. ``length`` is None where it is not told."""
        self.content = BytesIO()
        self._is_wanted = self._judged()
        if not self._is_wanted:
            self.requestHeaders.removeHeader(b"expect")  # nobody is encouraged to send it

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """A piece of the body has arrived. There are BODY_BYTES at most: longer ones are cut off before."""
        if self._is_wanted:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]

    def _judged(self) -> bool:
        channel: Any = self.channel
        self.method, self.path = channel.command, channel.path.split(b"?", 1)[0]
        if self.method != b"POST":
            return False
        try:
            channel.site.front.judge_head(self)
        except Rejected:
            return False
        return True


class BoundedChannel(HTTPChannel):
    """A connection. Its requests are there in time, and their bodies within the bound, or it is cut."""

    _overdue: IDelayedCall | None = None
    _is_cut = False

    @property
    def command(self) -> bytes:
        """The method of a request, once its head is there."""
        return bytes(self._command)

    @property
    def path(self) -> bytes:
        """The target of a request, once its head is there."""
        return bytes(self._path)

    def connectionMade(self) -> None:
        """Wait for the first request."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        self._expect()

    def dataReceived(self, data: bytes) -> None:
        """Bytes have arrived; the first ones of a request set its time."""
        if self._overdue is None and not self._handlingRequest:
            self._expect()
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def allHeadersReceived(self) -> None:
        """The head is there; a body of unknown or too great a length is not waited for."""
        super().allHeadersReceived()  # type: ignore[no-untyped-call]
        self._is_cut = self.length is None or self.length > BODY_BYTES

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

    def _expect(self) -> None:
        self._overdue = self.callLater(REQUEST_SECONDS, self._request_overdue)  # type: ignore[no-untyped-call]

    def _stop_expecting(self) -> None:
        overdue, self._overdue = self._overdue, None
        if overdue is not None and overdue.active():
            overdue.cancel()

    def _request_overdue(self) -> None:
        self._overdue = None
        log.debug("a request to the administration interface takes too long")
        self.forceAbortClient()  # type: ignore[no-untyped-call]


class BoundedSite(Site):
    """The factory of these connections."""

    protocol = BoundedChannel  # type: ignore[assignment]
    noisy = False

    def __init__(self, front: Front, clock: IReactorTime) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            front, JudgedRequest, timeout=IDLE_SECONDS, reactor=clock, parsePOSTFormSubmission=False
        )
        self.front = front
        self._near: dict[object, str] = {}
        self._far: dict[object, str] = {}

    def buildProtocol(self, addr: IAddress | None) -> BoundedChannel | None:  # type: ignore[override]
        """A connection for a client there; None where there are too many: it is closed then."""
        connections = self._near if is_loopback(getattr(addr, "host", "")) else self._far
        if len(connections) >= CONNECTIONS:
            return None
        source = source_of(getattr(addr, "host", ""))
        if connections is self._far and [*self._far.values()].count(source) >= CONNECTIONS_OF_ONE:
            return None
        channel: BoundedChannel = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        connections[channel] = source
        return channel

    def ended(self, channel: BoundedChannel) -> None:
        """A connection has ended."""
        self._near.pop(channel, None)
        self._far.pop(channel, None)

    def log(self, request: HttpRequest) -> None:
        """One line at level debug: health checks and Prometheus ask several times a minute, which is no news. Changes
        are in the audit."""
        log.debug("{method} {path}: {code}", method=request.method, path=request.path, code=request.code)
