"""The failures of TCP in plain words: Twisted's exceptions and the system's numbers, as an administrator reads them.

Here: a connection that did not come up, and one that ended. Not here: TLS (transport/tls/failures.py).
"""

import errno
import os

from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,  # noqa: A004
    NoRouteError,
    TimeoutError,  # noqa: A004
)

from gateway.transport.flow import Address, FailureKind, TransportFailure

_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT)

_WORDS = {
    errno.EADDRNOTAVAIL: "the listener's address is not one of this machine",
    errno.EADDRINUSE: "no local port is left",
    errno.EACCES: "a firewall of this machine forbids it",
    errno.EPERM: "a firewall of this machine forbids it",
    errno.EMFILE: "this process has no file descriptor left",
    errno.ENFILE: "this machine has no file descriptor left",
}


def connect_failure(error: BaseException | None, address: Address) -> TransportFailure:
    """The failure that TCP did not come up."""
    if isinstance(error, ConnectionRefusedError):
        return TransportFailure(FailureKind.REFUSED, f"{address} refuses connections")
    number = error.osError if isinstance(error, ConnectError) else None
    if isinstance(error, TimeoutError | NoRouteError) or number in _NO_ROUTE:
        route = "; this machine has no route to it" if number in (errno.ENETUNREACH, errno.EHOSTUNREACH) else ""
        return TransportFailure(FailureKind.TIMEOUT, f"{address} does not answer{route}")
    return TransportFailure(FailureKind.CLOSED, f"no connection to {address}: {_said(number, error)}")


def how_it_ended(error: BaseException | None) -> str:
    """How a connection that was up has ended."""
    if isinstance(error, ConnectionDone):
        return "closed by the peer"
    if isinstance(error, ConnectionLost):
        return "the connection was cut by the other side, or on the way"
    return f"the connection broke: {error}"


def _said(number: int | None, error: BaseException | None) -> str:
    if number is None:
        return str(error)
    return _WORDS.get(number, os.strerror(number))
