"""The administration interface on a port: requests are judged by their head, and bounded in bytes, time and number.

    head -> judged -> body wanted?  kept as it arrives, BODY_BYTES at most
                   -> unwanted:     dropped as it arrives; a long one is cut off at once with the answer

Everybody can send a head, so nothing of a body is kept before the head alone has shown that the
answer will need it: a POST for this host, of a page of ours or by JSON, with the right to its route, and with a
Content-Length within the bound. The same is judged again when the request is answered (`hardening`, `routes`); here a
wrong judgement costs memory, there it would cost more. A refusal stays one: the judgement may change between the two,
and the body is gone.

Calls go first: bytes that have arrived are looked at in a turn of their own (`turns`), since a request costs a quarter
of a millisecond before its answer is begun.

Connections from elsewhere cannot take the ones that are left for this machine, and those over loopback not the ones of
the UNIX socket, which has a site of its own.
Not here: the bounds themselves (`base.bounded_http`), the answers (`api`), routes (`routes`).
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.server import Request, Site

from gateway.admin.hardening import BODY_BYTES, Front, Rejected
from gateway.admin.permission import is_loopback
from gateway.admin.turns import Turns
from gateway.base.bounded_http import BoundedHttp, OpenConnections

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
    refusal: Rejected | None = None
    """The judgement of its head, for which its body was not kept."""

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
        except Rejected as refusal:
            self.refusal = refusal
            return False
        return True


class BoundedChannel(BoundedHttp):
    """A connection. Bytes that have arrived wait for their turn."""

    body_bytes = BODY_BYTES
    request_seconds = REQUEST_SECONDS
    site: BoundedSite
    _has_ended = False

    def __init__(self) -> None:
        super().__init__()
        self._arrived: list[bytes] = []

    @property
    def command(self) -> bytes:
        """The method of a request, once its head is there."""
        return bytes(self._command)

    @property
    def path(self) -> bytes:
        """The target of a request, once its head is there."""
        return bytes(self._path)

    @property
    def _connection(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        """Bytes have arrived; the first ones of a request set its time. No more are read until these had their turn."""
        turns = self.site.turns
        if turns is None:
            super().dataReceived(data)
            return
        self.expect()
        self._arrived.append(data)
        if len(self._arrived) == 1:
            self._connection.pauseProducing()
            turns.next().addCallback(self._look)

    def _look(self, _: None) -> None:
        """It is the turn of the bytes that have arrived. A bug ends the connection, as it would in the reactor."""
        data, self._arrived = b"".join(self._arrived), []
        if self._has_ended:
            return
        try:
            self._connection.resumeProducing()
            super().dataReceived(data)
        except Exception:
            log.failure("a connection to the administration interface met a bug")
            self.forceAbortClient()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended."""
        self._has_ended = True
        super().connectionLost(reason)


class BoundedSite(Site):
    """The factory of these connections."""

    protocol = BoundedChannel  # type: ignore[assignment]
    noisy = False

    def __init__(self, front: Front, clock: IReactorTime, turns: Turns | None = None) -> None:
        """Without ``turns``, requests are looked at as they arrive."""
        super().__init__(  # type: ignore[no-untyped-call]
            front, JudgedRequest, timeout=IDLE_SECONDS, reactor=clock, parsePOSTFormSubmission=False
        )
        self.front = front
        self.turns = turns
        self._near = OpenConnections(CONNECTIONS, CONNECTIONS)
        self._far = OpenConnections(CONNECTIONS, CONNECTIONS_OF_ONE)

    def has_room_for(self, host: str) -> bool:
        """Whether one more connection from there may begin."""
        return self._among(host).has_room_for(host)

    def buildProtocol(self, addr: IAddress | None) -> BoundedChannel | None:  # type: ignore[override]
        """A connection for a client there; None where there are too many: it is closed then."""
        host = getattr(addr, "host", "")
        if not self.has_room_for(host):
            return None
        channel: BoundedChannel = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        self._among(host).began(channel, host)
        return channel

    def ended(self, channel: BoundedChannel) -> None:
        """A connection has ended."""
        self._near.ended(channel)
        self._far.ended(channel)

    def _among(self, host: str) -> OpenConnections:
        return self._near if is_loopback(host) else self._far

    def log(self, request: HttpRequest) -> None:
        """One line at level debug: health checks and Prometheus ask several times a minute, which is no news. Changes
        are in the audit."""
        log.debug("{method} {path}: {code}", method=request.method, path=request.path, code=request.code)
