"""The tap: each SIP message as it stands in clear on our side of TLS, for those that watch.

    Arrival.receive -> received(data, flow) -.
    UdpFlow.send, StreamProtocol.send        +-> TappedMessage -> each reader
                    -> sent(data, flow) -----'

There is one for all listeners and connections: trace, HEP and the search for attacks read from it. With no reader a
message costs one attribute. Bytes come here before anybody has parsed them, so a message that is malformed is seen,
too. Not here: the call that a message is of, and its use (`trace`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from twisted.logger import Logger

from gateway.config.model import Side
from gateway.transport.flow import Address, Flow, Transport
from gateway.transport.tls.handshake_log import TlsAgreed

log = Logger()

LONGEST_KEEP_ALIVE = 4
"""Bytes: CRLF CRLF (RFC 5626 section 4.4.1) is no message."""


class TappedMessage(NamedTuple):
    """One message, whole, with its keys and credentials: nobody may store it before `trace.filler` had it."""

    is_sent: bool
    transport: Transport
    side: Side
    listener: str
    local: Address
    remote: Address
    tls: TlsAgreed | None
    data: bytes


class TapReader(Protocol):
    """One that watches."""

    def tapped(self, message: TappedMessage) -> None:
        """A message went by. Called in the way of the message: work that takes time is done later."""


class Tap:
    """The place where messages can be watched."""

    __slots__ = ("_readers", "is_on")

    def __init__(self) -> None:
        self._readers: tuple[TapReader, ...] = ()
        self.is_on = False
        """Whether anybody watches: asked before anything else is done."""

    def add(self, reader: TapReader) -> None:
        """Let it watch from now on."""
        self._readers = (*self._readers, reader)
        self.is_on = True

    def remove(self, reader: TapReader) -> None:
        """It watches no more."""
        self._readers = tuple(one for one in self._readers if one is not reader)
        self.is_on = bool(self._readers)

    def received(self, data: bytes, flow: Flow) -> None:
        """A message came in."""
        self._tell(data, flow, is_sent=False)

    def sent(self, data: bytes, flow: Flow) -> None:
        """A message goes out."""
        if len(data) > LONGEST_KEEP_ALIVE:
            self._tell(data, flow, is_sent=True)

    def _tell(self, data: bytes, flow: Flow, *, is_sent: bool) -> None:
        tls: TlsAgreed | None = getattr(flow, "tls", None)
        message = TappedMessage(
            is_sent, flow.transport, flow.side, flow.listener.name, flow.local, flow.remote, tls, data
        )
        for reader in self._readers:
            try:
                reader.tapped(message)
            except Exception:  # the guard: a reader's bug is no reason to lose a message
                log.failure("a reader of the tap failed")
