"""Connections to receivers of alerts, over TLS in the gateway's own contexts or in clear.

Versions, ciphers, trust and the check of names are those of every other connection of the gateway
(`transport.tls.contexts`). A wildcard counts, as it does for web and mail servers everywhere else (RFC 9525).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from gateway.config.tables.alert_table import Server
from gateway.transport.flow import TlsTerms
from gateway.transport.tls.channel import Verification
from gateway.transport.tls.contexts import ClientTls

CONNECT_SECONDS: Final = 10


@implementer(IOpenSSLClientConnectionCreator)
class VerifiedServer:
    """TLS toward one server, whose certificate must be for its name."""

    def __init__(self, name: str, trust: str | Path) -> None:
        """Raises CertificateError where the trust cannot be read."""
        self._name = name
        self._terms = TlsTerms(trust, allow_wildcards=True)
        self._tls = ClientTls()
        self._tls.adopt(self._tls.prepare([self._terms]))
        self._latest: Verification | None = None

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """See IOpenSSLClientConnectionCreator."""
        connection, self._latest = self._tls.connection(self._terms, self._name)
        return connection

    @property
    def problem(self) -> str:
        """Why the certificate of the latest connection was refused, in words; empty where it was not."""
        latest = self._latest
        if latest is None or latest.problem is None:
            return ""
        return f"the certificate of {self._name} is refused: {latest.problem} ({latest.found})"


def endpoint(reactor: Any, server: Server, tls: VerifiedServer | None = None) -> Any:
    """The way to a server, over TLS from the first byte where it is given."""
    plain = HostnameEndpoint(reactor, server.host, server.port, timeout=CONNECT_SECONDS)
    return plain if tls is None else wrapClientTLS(tls, plain)
