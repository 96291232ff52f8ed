"""Asks the DHCP client's process over its UNIX socket: a line there, a line back.

    asked(reactor, path, user)(question) -> Deferred: LeaseAnswer, or DhcpClientFailed with the reason in a line

The socket lies in a directory that the client's user owns. A process that has taken its place is asked nothing: the
kernel names the owner of the other end before a byte is sent, and that has to be this user, or root. An answer is read
with bounds in bytes and time, and each of its values is looked at (lease_report.py). Not here: the time of a question
(lease_watch.py).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from gateway.base.network.dhcp.lease_report import LONGEST_LINE, LeaseAnswer, LeaseQuestion, Unusable, answer_of
from gateway.base.network.dhcp.lease_socket import ROOT, peer_user, user_number

PATIENCE: Final = 6.0
"""Seconds for an answer: the client asks the router for one of them, and closes after five by itself."""

AskClient = Callable[[LeaseQuestion], "Deferred[LeaseAnswer]"]
"""Asks; fails with DhcpClientFailed."""


class DhcpClientFailed(Exception):
    """There is no answer; str() is one line that says why."""


def asking_client(reactor: Any, path: Path, user: str) -> AskClient:
    """Asks the client at a path, which has to run as this user."""

    def ask(question: LeaseQuestion) -> Deferred[LeaseAnswer]:
        asked = _Question(question, user, reactor)
        connecting = UNIXClientEndpoint(reactor, str(path), timeout=PATIENCE).connect(
            Factory.forProtocol(lambda: asked)
        )
        connecting.addErrback(lambda failure: asked.fail(f"nobody answers at {path}: {failure.getErrorMessage()}"))
        return asked.done

    return ask


class _Question(Protocol):
    """One connection."""

    def __init__(self, question: LeaseQuestion, user: str, reactor: Any) -> None:
        self._question = question
        self._user = user
        self._read = b""
        self._timer: IDelayedCall = reactor.callLater(PATIENCE, self.fail, "it does not answer")
        self.done: Deferred[LeaseAnswer] = Deferred(lambda _: self._end())

    def connectionMade(self) -> None:
        """See Protocol."""
        transport: Any = self.transport
        own: socket.socket = transport.getHandle()
        owner = peer_user(own)
        if owner not in (ROOT, user_number(self._user)):
            self.fail(f"its socket is of user {owner}, and not of {self._user}")
            return
        transport.write(self._question.encoded())

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        self._read += data
        if len(self._read) > LONGEST_LINE:
            self.fail("its answer is too long")
        elif b"\n" in self._read:
            try:
                answer = answer_of(self._read.partition(b"\n")[0])
            except Unusable as error:
                self.fail(f"its answer cannot be used: {error}")
                return
            self._end()
            if not self.done.called:
                self.done.callback(answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        self.fail("it closed without an answer: this gateway's user is not the one that it serves (--user)")

    def fail(self, why: str) -> None:
        """There will be no answer."""
        self._end()
        if not self.done.called:
            self.done.errback(DhcpClientFailed(why))

    def _end(self) -> None:
        if self._timer.active():
            self._timer.cancel()
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()
