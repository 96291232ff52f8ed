"""Failures of TCP are told in words for an administrator, and by their right kind."""

from __future__ import annotations

import errno

import pytest
from twisted.internet import error

from gateway.transport.flow import Address, FailureKind
from gateway.transport.stream.system_words import connect_failure, how_it_ended

THERE = Address("192.0.2.21", 5061)


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (error.ConnectionRefusedError(), FailureKind.REFUSED, "192.0.2.21:5061 refuses connections"),
        (error.TimeoutError(), FailureKind.TIMEOUT, "192.0.2.21:5061 does not answer"),
        (
            error.ConnectError(errno.ENETUNREACH),
            FailureKind.TIMEOUT,
            "192.0.2.21:5061 does not answer; this machine has no route to it",
        ),
        (
            error.ConnectError(errno.EADDRNOTAVAIL),
            FailureKind.CLOSED,
            "no connection to 192.0.2.21:5061: the listener's address is not one of this machine",
        ),
        (
            error.ConnectError(errno.EPERM),
            FailureKind.CLOSED,
            "no connection to 192.0.2.21:5061: a firewall of this machine forbids it",
        ),
        (error.ConnectError(errno.EIO), FailureKind.CLOSED, "no connection to 192.0.2.21:5061: Input/output error"),
    ],
)
def test_connections_that_do_not_come_up(raised: Exception, kind: FailureKind, said: str) -> None:
    failure = connect_failure(raised, THERE)
    assert (failure.kind, failure.reason) == (kind, said)


def test_connections_that_end() -> None:
    assert how_it_ended(error.ConnectionDone()) == "closed by the peer"
    assert how_it_ended(error.ConnectionLost()) == "the connection was cut by the other side, or on the way"
    assert how_it_ended(ValueError("x")) == "the connection broke: x"
