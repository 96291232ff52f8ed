"""The ports of the administration interface: HTTP or HTTPS over TCP, and HTTP over a UNIX socket.

Here: opening them. Not here: connections and their bounds (`site`), certificates (`transport/tls`). TLS is that of the
SIP listeners: the same versions and ciphers, and a certificate that is renewed serves the next connection.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Final

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from gateway.admin.site import BoundedSite
from gateway.base.bounded_http import LimitedTls
from gateway.base.rate import Rate
from gateway.config.model import Admin, Listener, Side
from gateway.transport.tls.contexts import ServerTls

log = Logger()

NEW_CONNECTIONS: Final = Rate(per_second=20, burst=100)
"""Over TLS, of one source: a browser opens six, and monitoring keeps one."""

NAME: Final = "[admin]"
"""Of the interface among the TLS listeners; no listener of the configuration can have it."""


def as_listener(admin: Admin) -> Listener | None:
    """The interface as a TLS listener, for its certificate; None where it has none."""
    if admin.certificate is None:
        return None
    return Listener(
        NAME,
        Side.PHONES,
        "tls",
        admin.address,
        admin.port,
        advertised_host=admin.names[0] if admin.names else None,
        certificate=admin.certificate,
        private_key=admin.private_key,
    )


def own_names(admin: Admin, tls: ServerTls | None) -> frozenset[str]:
    """The names that it may be asked under: the configured ones, and those that its certificate is for."""
    certified = tls.reports[0].identity.names if tls is not None else ()
    return frozenset((*admin.names, *(name.lower() for name in certified)))


@implementer(IOpenSSLServerConnectionCreator)
@attrs.frozen
class _Creator:
    """Makes each connection with the context of that moment."""

    tls: ServerTls

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """See IOpenSSLServerConnectionCreator."""
        return self.tls.connection()


def over_tls(tls: ServerTls, site: BoundedSite, clock: IReactorTime) -> LimitedTls:
    """The interface over TLS."""
    return LimitedTls(_Creator(tls), site, site.has_room_for, NEW_CONNECTIONS, clock)


def open_tcp(reactor: Any, admin: Admin, site: BoundedSite, tls: ServerTls | None) -> Any:
    """Listen where the configuration says. Raises CannotListenError."""
    factory = site if tls is None else over_tls(tls, site, reactor)
    return reactor.listenTCP(admin.port, factory, interface=admin.address)


def open_socket(reactor: Any, path: Path, site: BoundedSite) -> Any:
    """Listen on a UNIX socket; None where that cannot be: calls go on without it, and HTTP does.

    Every user that reaches its directory may connect: the kernel names it. A socket that is there already is of a
    gateway that ended without a word, since two never share a state directory. Any other file stays.
    """
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("{path} cannot be used as a socket: {reason}", path=path, reason=error.strerror)
        return None
    try:
        port = reactor.listenUNIX(os.fspath(path), site, mode=0o666)
    except Exception as error:  # CannotListenError, or OSError for a path of more than 107 bytes
        log.error("no UNIX socket for gatewayctl at {path}: {reason}", path=path, reason=error)
        return None
    return port
