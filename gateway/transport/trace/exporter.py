"""HEP to a receiver: messages as packets over UDP, TCP or TLS, for as long as the gateway runs.

    Tracer -> take -> packet -> queue (bounded, the oldest go) -> connection, made again after 1 to 60 s

A receiver that is down or slow costs memory up to the bound, and nothing else. Keys are out of the messages before they
come here; even so their clear text goes to another machine, so that UDP and TCP are for this machine alone unless the
configuration says `insecure`.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from gateway.config.tables.hep_table import Hep
from gateway.transport.flow import Transport
from gateway.transport.trace.hep import CDR, HepMessage, packet
from gateway.transport.trace.receivers import PacketSender, way_to
from gateway.transport.trace.tracer import TracedMessage

_CSEQ = re.compile(rb"(?m)^cseq[ \t]*:\s*\d+\s+(\S+)")


class HepExporter:
    """Makes packets, and keeps those that cannot be sent yet."""

    def __init__(self, terms: Hep, reactor: Any) -> None:
        """Raises OSError or ValueError where the password, CertificateError where the trust cannot be read."""
        self._terms = terms
        self._password = "" if terms.password_file is None else terms.password_file.read_text("utf-8").strip()
        self._queue: deque[bytes] = deque()
        self._sender: PacketSender | None = None
        self._way = way_to(terms, reactor, self)
        self.sent = 0
        """Packets that the receiver's side of the connection took."""
        self.dropped = 0
        """Packets that there was no room for while the receiver was away or slow, or that could not be made."""

    def __len__(self) -> int:
        return len(self._queue)

    def start(self) -> None:
        """Begin to connect."""
        self._way.start()

    def stop(self) -> Deferred[None]:
        """Close the connection; packets that wait are left."""
        return maybeDeferred(self._way.stop)

    def take(self, traced: TracedMessage) -> None:
        """A message: one of the sides and methods that are wanted goes to the receiver."""
        message = traced.message
        if str(message.side) not in self._terms.sides or not self._is_wanted(message.data):
            return
        source, destination = traced.ends
        self._put(
            HepMessage(
                traced.at,
                source,
                destination,
                message.transport is Transport.UDP,
                traced.shown,
                traced.call or traced.sip_call_id,
                traced.security,
            )
        )

    def ended(self, at: float, call: str, record: bytes) -> None:
        """A call is over: its record goes to the receiver, under the call's name."""
        here = ("127.0.0.1", 0)
        self._put(HepMessage(at, here, here, True, record, call, kind=CDR))

    def _is_wanted(self, data: bytes) -> bool:
        """By its method, which stands in CSeq, and by a domain that its head names; no wish is for all."""
        head = data.partition(b"\r\n\r\n")[0].lower()
        methods, domains = self._terms.methods, self._terms.domains
        found = _CSEQ.search(head)
        if methods and (found is None or found[1].decode("latin-1").upper() not in methods):
            return False
        return not domains or any(one.encode() in head for one in domains)

    def _put(self, message: HepMessage) -> None:
        try:
            data = packet(message, self._terms.capture_id, self._password)
        except ValueError:  # no numeric address: a flow that was never up
            self.dropped += 1
            return
        self._queue.append(data)
        while len(self._queue) > self._terms.queue:
            self._queue.popleft()
            self.dropped += 1
        self.flush()

    def up(self, sender: PacketSender) -> None:
        """The way to the receiver is there."""
        self._sender = sender
        self.flush()

    def down(self) -> None:
        """It is there no more."""
        self._sender = None

    def flush(self) -> None:
        """Send the packets that wait, as long as it is taken."""
        while self._queue and self._sender is not None and self._sender.send(self._queue[0]):
            self._queue.popleft()
            self.sent += 1
