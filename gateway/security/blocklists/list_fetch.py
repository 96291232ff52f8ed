"""A list of addresses over HTTP or HTTPS: whole and in time, or not at all.

    fetch(url) -> GET -> 200, or 400 with its words -> at most LARGEST bytes within PATIENCE seconds -> bytes
                   `-> everything else: NoList

A server that lists guilty addresses is believed about addresses alone: no redirection is followed, no certificate that
does not verify is taken, and nothing it says is kept before all of it was read. The URL may hold a key: no error names
more of it than the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from gateway.observe.clean_text import clean
from gateway.security.blocklists.list_text import NoList

PATIENCE: Final = 30.0
"""Seconds for one answer."""
LARGEST: Final = 5_000_000
"""Bytes of an answer, and of a file."""
_FIELDS: Final = Headers({b"User-Agent": [b"sip-security-gateway"], b"Accept": [b"text/plain, application/json"]})

ListFetch = Callable[[str], "Deferred[bytes]"]
"""Asks a URL; fails with NoList."""


def list_fetch(reactor: Any, agent: IAgent | None = None) -> ListFetch:
    """A fetcher on a reactor."""
    asking: Any = Agent(reactor, connectTimeout=PATIENCE / 3) if agent is None else agent
    timers: IReactorTime = reactor

    def fetch(url: str) -> Deferred[bytes]:
        host = urlsplit(url).hostname
        answer = Deferred.fromCoroutine(_asked(asking, url)).addTimeout(PATIENCE, timers)
        return answer.addErrback(_explained, host)

    return fetch


async def _asked(agent: Any, url: str) -> bytes:
    response: Any = await agent.request(b"GET", url.encode("ascii"), _FIELDS)
    body = _Body()
    response.deliverBody(body)
    refusal = "" if response.code in (200, 400) else f"the server answered {response.code}"  # 400: apiban.org, no news
    if refusal:
        body.leave(refusal)
    data = await body.done
    if refusal:  # of an answer without a body
        raise NoList(refusal)
    return data


class _Body(Protocol):
    """The body of an answer, as far as it is taken."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self.leave(""))
        self._data = bytearray()
        self._why = ""
        """Why it is not taken."""

    def leave(self, why: str) -> None:
        """Take nothing more."""
        self._why = self._why or why
        transport: Any = self.transport
        transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """A part of it."""
        if len(self._data) <= LARGEST:
            self._data += data
        if len(self._data) > LARGEST:
            self.leave(f"the answer is larger than {LARGEST // 1_000_000} MB")

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """It is over: whole, or cut off."""
        if self.done.called:
            return
        if self._why or reason.check(ResponseDone) is None:
            self.done.errback(NoList(self._why or "the answer was cut off"))
        else:
            self.done.callback(bytes(self._data))


def _explained(failure: Failure, host: str | None) -> bytes:
    """Raises NoList for all that a network and a server can do."""
    error = failure.value
    inner = error.reasons[0].value if isinstance(error, ResponseFailed) and error.reasons else error
    if isinstance(inner, defer.TimeoutError | CancelledError):
        raise NoList(f"{host}: no whole answer within {PATIENCE:.0f} s")
    raise NoList(f"{host}: {clean(str(inner) or type(inner).__name__)[:150]}")
