"""The server of phones' files over HTTPS and HTTP: connections, their bounds, and the answers' headers.

    connection -> (TLS, the phone's certificate) -> PhoneChannel -> PhoneRequest -> Question -> Provisioner -> Reply

A body is never kept: uploads of phones are thrown away as they arrive, and one of more than UPLOAD_BYTES, or of a
length that is not told, ends its connection. Of one source and of all there are so many connections: a thousand phones
behind one address come after a power cut, so that the bound of a source is no small one, and handshakes of one source
have a rate.

Here: HTTP, and the figures of its bounds. Not here: the bounds themselves (`base.bounded_http`), every decision
(provisioner.py), certificates and keys of the server (`transport.tls`, by way of `NewConnection`), ports (the part that
owns them).
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol
from twisted.web.http import HTTPFactory, Request
from zope.interface import implementer

from gateway.base.bounded_http import BoundedHttp, LimitedTls, OpenConnections
from gateway.base.rate import Rate
from gateway.provisioning.answers_to_phones import BROKEN, Question, Reply, Way
from gateway.provisioning.provisioner import Provisioner, redacted_path
from gateway.provisioning.servers.device_certificates import ShownCertificate, ask_for_certificate

log = Logger()

UPLOAD_BYTES: Final = 65_536
REQUEST_SECONDS: Final = 60.0
"""A request is there whole after so long: phones on a slow line are slow."""
IDLE_SECONDS: Final = 15.0
CONNECTIONS: Final = 1_000
CONNECTIONS_OF_ONE: Final = 400
LONGEST_HEADER: Final = 300
"""Characters of a header that are looked at."""

NewConnection = Callable[[], SSL.Connection]
"""Makes the server's end of TLS for a connection just accepted."""


class PhoneRequest(Request):
    """A request. Its body is thrown away as it arrives."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """The head is there; nothing of a body is kept."""
        self.content = BytesIO()
        self.requestHeaders.removeHeader(b"expect")  # nobody is encouraged to send more

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """A piece of the body has arrived."""

    def process(self) -> None:
        """Answer. A bug of ours is logged, and ends this request alone."""
        channel: Any = self.channel
        question = self._question(channel)
        try:
            reply = channel.factory.provisioner.answer(question)
        except Exception:
            log.failure("a question for {path} met a bug", path=redacted_path(question.path))
            reply = BROKEN
        log.debug(
            "{way} {method} {path} from {source}: {status}",
            way=question.way.value,
            method=question.method[:10],
            path=redacted_path(question.path),
            source=question.source,
            status=reply.status,
        )
        self._send(reply)

    def _question(self, channel: Any) -> Question:
        shown = getattr(channel.transport, "shown", None)
        return Question(
            way=Way.HTTP if shown is None else Way.HTTPS,
            method=self.method.decode("latin-1"),
            path=self.uri.decode("latin-1"),
            source=getattr(self.client, "host", ""),
            certified=None if shown is None else shown.address,
            user_agent=self._header(b"user-agent"),
            known_mark=self._header(b"if-none-match"),
        )

    def _header(self, name: bytes) -> str:
        return (self.getHeader(name) or b"")[:LONGEST_HEADER].decode("latin-1")

    def _send(self, reply: Reply) -> None:
        self.setResponseCode(reply.status)
        fields = self.responseHeaders
        fields.setRawHeaders(b"cache-control", [b"no-store"])
        if reply.mark:
            fields.setRawHeaders(b"etag", [reply.mark.encode()])
        if reply.status not in (204, 304):
            fields.setRawHeaders(b"content-type", [reply.content.encode()])
            fields.setRawHeaders(b"content-length", [b"%d" % len(reply.body)])
        if self.method != b"HEAD" and reply.body and reply.status != 304:
            self.write(reply.body)  # type: ignore[no-untyped-call]
        self.finish()  # type: ignore[no-untyped-call]


class PhoneChannel(BoundedHttp):
    """A connection."""

    requestFactory = PhoneRequest  # noqa: N815
    body_bytes = UPLOAD_BYTES
    request_seconds = REQUEST_SECONDS


class PhoneSite(HTTPFactory):
    """The factory of these connections."""

    protocol = PhoneChannel  # type: ignore[assignment]
    noisy = False

    def __init__(self, provisioner: Provisioner, clock: IReactorTime) -> None:
        super().__init__(timeout=IDLE_SECONDS, reactor=clock)
        self.provisioner = provisioner
        self._connections = OpenConnections(CONNECTIONS, CONNECTIONS_OF_ONE)

    def has_room_for(self, host: str) -> bool:
        """Whether one more connection from there may begin."""
        return self._connections.has_room_for(host)

    def buildProtocol(self, addr: IAddress | None) -> PhoneChannel | None:  # type: ignore[override]
        """A connection for a client there; None where there are too many: it is closed then."""
        host = getattr(addr, "host", "")
        if not self.has_room_for(host):
            return None
        channel: Any = super().buildProtocol(addr)
        self._connections.began(channel, host)
        assert isinstance(channel, PhoneChannel)
        return channel

    def ended(self, channel: PhoneChannel) -> None:
        """A connection has ended."""
        self._connections.ended(channel)

    def log(self, request: Request) -> None:
        """Nothing: paths hold tokens. The request has written its own line."""


class PhoneTls(BufferingTLSTransport):
    """TLS of one connection, and the certificate that its phone showed."""

    shown: ShownCertificate


@implementer(IOpenSSLServerConnectionCreator)
class _Creator:
    """Makes each connection with the context of that moment."""

    def __init__(self, new_connection: NewConnection, *, asks_for_certificates: bool) -> None:
        self._new_connection = new_connection
        self._asks = asks_for_certificates

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """See IOpenSSLServerConnectionCreator."""
        assert isinstance(tlsProtocol, PhoneTls)
        tlsProtocol.shown = ShownCertificate()
        connection = self._new_connection()
        if self._asks:
            ask_for_certificate(connection, tlsProtocol.shown)
        return connection


class PhoneTlsFactory(LimitedTls):
    """TLS for phones: so many new connections of one source, ten times as many at once."""

    protocol = PhoneTls

    def __init__(self, site: PhoneSite, new_connection: NewConnection, rate: int, *, asks: bool, clock: IReactorTime):
        creator = _Creator(new_connection, asks_for_certificates=asks)
        super().__init__(creator, site, site.has_room_for, Rate(rate, rate * 10), clock)
