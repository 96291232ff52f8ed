"""The ways to a syslog receiver: TLS with octet counting (RFC 5425), UDP (RFC 5426), or a datagram to a UNIX socket.

Syslog has no answers. Over TLS a notice counts as taken when the receiver's host has acknowledged every byte; over UDP
when no refusal came back for a moment. Whether it was written down, nobody tells.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.config.tables.alert_table import Server, SyslogPlace
from gateway.observe.events import GatewayEvent
from gateway.security.alerts.notice import NotDelivered, Notice
from gateway.security.alerts.tls_way import VerifiedServer, endpoint

PATIENCE: Final = 10.0
"""Seconds for one notice."""
AT_ONCE: Final = 100
LOOK_SECONDS: Final = 0.05
"""Between two looks whether all bytes are acknowledged, and the time for a refusal over UDP."""

Form = Callable[[GatewayEvent, Notice], bytes]
"""Makes the message of an event."""


class SyslogDatagrams:
    """A message a datagram, over UDP or to a UNIX socket."""

    at_once = AT_ONCE
    pause = 0.0
    patience = PATIENCE

    def __init__(self, place: SyslogPlace, form: Form, reactor: Any) -> None:
        self._server = place.server
        self._path = place.path
        self._form = form
        self._reactor = reactor

    def send(self, notice: Notice) -> Deferred[str]:
        """Send; gives words. Fails with OSError where the system takes it not, or the host refuses it."""
        messages = [self._form(event, notice) for event in notice.events]
        sender = self._connected()
        try:
            for message in messages:
                sender.send(message, socket.MSG_DONTWAIT)
        except OSError:
            sender.close()
            raise
        size = sum(map(len, messages))
        return deferLater(self._reactor, LOOK_SECONDS, _unrefused, sender, size).addBoth(_closed, sender)

    def stop(self) -> Deferred[None]:
        """Nothing is kept open."""
        return succeed(None)

    def _connected(self) -> socket.socket:
        if self._server is None:
            sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            place: Any = self._path
        else:
            family = socket.AF_INET6 if ":" in self._server.host else socket.AF_INET
            sender, place = socket.socket(family, socket.SOCK_DGRAM), (self._server.host, self._server.port)
        try:
            sender.setblocking(False)
            sender.connect(place)
        except OSError:
            sender.close()
            raise
        return sender


def _unrefused(sender: socket.socket, size: int) -> str:
    error = sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise NotDelivered(f"the receiver's host refused it: {os.strerror(error)}")
    return f"{size} bytes sent; nothing tells whether they arrived"


def _closed(result: object, sender: socket.socket) -> Any:
    sender.close()
    return result


@implementer(IHandshakeListener)
class SyslogConnection(Protocol):
    """One connection to a receiver; ``is_up`` from the end of the handshake to its end."""

    def __init__(self) -> None:
        self.is_up = False
        self.up: Deferred[SyslogConnection] = Deferred(lambda _: self._abort())

    def handshakeCompleted(self) -> None:
        """TLS is up, and the receiver is proved: before, nothing is said."""
        self.is_up = True
        self.up.callback(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has ended."""
        self.is_up = False
        if not self.up.called:
            self.up.errback(reason)

    def unacknowledged(self) -> int:
        """Bytes that the receiver's host has not acknowledged yet (tcp(7), SIOCOUTQ)."""
        transport: Any = self.transport
        waiting = fcntl.ioctl(transport.transport.getHandle().fileno(), termios.TIOCOUTQ, b"\0" * 4)
        return int(struct.unpack("i", waiting)[0])

    def write(self, data: bytes) -> None:
        """Send."""
        transport: Any = self.transport
        transport.write(data)

    def close(self) -> None:
        """End it in good order."""
        transport: Any = self.transport
        transport.loseConnection()

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class SyslogStream:
    """TLS: a connection that is kept for the next notice, and made again when it has ended."""

    at_once = AT_ONCE
    pause = 0.0
    patience = PATIENCE

    def __init__(self, server: Server, tls: VerifiedServer, form: Form, reactor: Any) -> None:
        self._tls = tls
        self._form = form
        self._reactor = reactor
        self._endpoint = endpoint(reactor, server, tls)
        self._connection: SyslogConnection | None = None

    def send(self, notice: Notice) -> Deferred[str]:
        """Send; gives words when all bytes are acknowledged. Fails with the reason of a connection that ended."""
        return Deferred.fromCoroutine(self._sent(notice))

    def stop(self) -> Deferred[None]:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.is_up:
            connection.close()
        return succeed(None)

    async def _sent(self, notice: Notice) -> str:
        connection = await self._ready()
        messages = [self._form(event, notice) for event in notice.events]
        # RFC 5425 section 4.3.1: MSG-LEN SP SYSLOG-MSG
        data = b"".join(b"%d %s" % (len(message), message) for message in messages)
        connection.write(data)
        while True:
            await deferLater(self._reactor, LOOK_SECONDS)
            if not connection.is_up:
                raise NotDelivered("the connection was closed before everything was taken")
            if connection.unacknowledged() == 0:
                return f"{len(data)} bytes acknowledged over TLS"

    async def _ready(self) -> SyslogConnection:
        """The connection, up. One that has ended is made again."""
        if self._connection is None or not self._connection.is_up:
            try:
                connection: SyslogConnection = await self._endpoint.connect(Factory.forProtocol(SyslogConnection))
                self._connection = await connection.up
            except Exception:
                if self._tls.problem:
                    raise NotDelivered(self._tls.problem) from None
                raise
        return self._connection
