"""A webhook: notices as JSON in POST requests, signed so that the receiver knows their sender and time.

    Gateway-Signature: t=1764511200,v1=HEX        v1 = HMAC-SHA-256 of "1764511200." and the body, by the shared key

The time is signed with the body: a receiver that refuses times more than five minutes away, and tokens (`id`) that it
has seen, cannot be told anything twice. Each try is signed anew, with the same `id`.

An answer of the class 2xx is success, any other a failure; redirections are not followed, since the configuration
names the receiver. The body of an answer is not read.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from gateway.base.json_codec import encode
from gateway.config.tables.alert_table import Server, WebhookUrl
from gateway.observe.clean_text import clean
from gateway.security.alerts.notice import NotDelivered, Notice, sentence
from gateway.security.alerts.tls_way import VerifiedServer, endpoint

SIGNATURE: Final = b"Gateway-Signature"
PATIENCE: Final = 10.0
"""Seconds for one request."""
AT_ONCE: Final = 100


def signature(key: bytes, at: int, body: bytes) -> str:
    """The value of the signature's field: ``at`` is in seconds since the epoch."""
    digest = hmac.new(key, b"%d." % at + body, "sha256").hexdigest()
    return f"t={at},v1={digest}"


def body_of(notice: Notice) -> bytes:
    """The JSON of a notice: its id, its sender, and its events as `/api/v1/events` gives them, each with a sentence."""
    alerts = [{**event.as_json(), "text": sentence(event)} for event in notice.events]
    told = {"id": notice.token, "gateway": notice.gateway, "version": notice.version, "alerts": alerts}
    return encode(told)


@implementer(IAgentEndpointFactory)
@attrs.frozen
class _OneServer:
    """The way to the server of one URL."""

    reactor: Any
    tls: VerifiedServer | None

    def endpointForURI(self, uri: URI) -> Any:  # noqa: N802 - zope's name
        return endpoint(self.reactor, Server(uri.host.decode("ascii").strip("[]"), uri.port), self.tls)


class _Unread(Protocol):
    """The body of an answer: nobody reads it."""

    def connectionMade(self) -> None:
        """Close the connection."""
        assert self.transport is not None
        self.transport.loseConnection()


class Webhook:
    """One URL that notices are posted to."""

    at_once = AT_ONCE
    pause = 0.0
    patience = PATIENCE

    def __init__(
        self, url: WebhookUrl, key: bytes, tls: VerifiedServer | None, reactor: Any, wall: Callable[[], float]
    ):
        self._url = url.text.encode("ascii")
        self._key = key
        self._wall = wall
        self._tls = tls
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._agent = Agent.usingEndpointFactory(reactor, _OneServer(reactor, tls), pool)

    def send(self, notice: Notice) -> Deferred[str]:
        """Post a notice; gives the status line of the answer. Fails with NotDelivered for another class than 2xx."""
        body = body_of(notice)
        headers = Headers(
            {
                b"Content-Type": [b"application/json"],
                b"User-Agent": [b"sip-security-gateway"],
                SIGNATURE: [signature(self._key, int(self._wall()), body).encode()],
            }
        )
        sent: Deferred[Any] = self._agent.request(b"POST", self._url, headers, FileBodyProducer(BytesIO(body)))
        return sent.addCallbacks(_judged, self._refused)

    def stop(self) -> Deferred[None]:
        """Nothing is kept open."""
        return succeed(None)

    def _refused(self, failure: Failure) -> Failure:
        if self._tls is not None and self._tls.problem:
            raise NotDelivered(self._tls.problem)
        return failure


def _judged(response: IResponse) -> str:
    answer = clean(f"{response.code} {response.phrase.decode('latin-1')[:100]}")
    response.deliverBody(_Unread())
    if not 200 <= response.code < 300:
        raise NotDelivered(f"the receiver answered {answer}")
    return answer
