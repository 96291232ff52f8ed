"""The way in of every message, from any listener: understood or answered 400, its source noted.

    bytes, Flow -> parse -> check (mandatory headers, RFC 3261 section 8.1.1) -> received, rport -> TransportUser
    request, Flow -> way_back -> the flow of its responses

Lives here: RFC 3261 sections 18.1.2 and 18.2.1, RFC 3581 section 4. Not here: sockets and connections, and the meaning
of a message (transaction and above).
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from prometheus_client import Counter
from twisted.logger import Logger

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.observe.observations import LONGEST_LINE, LONGEST_LOOK, Kind, Observation
from gateway.observe.redaction import redacted
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import IDENTIFIES, Message, Request, Response, stateless_tag
from gateway.sip.parser import Answerable, read
from gateway.transport.banned import Banned
from gateway.transport.crowd import Crowd
from gateway.transport.flow import Flow, FlowKey, Transport
from gateway.transport.sockets import TransportReactor
from gateway.transport.tap import Tap
from gateway.transport.unread import TOO_LATE, UnreadRefusals
from gateway.transport.wrong_port import WrongPorts

# Read once: Python 3.11 calls two functions for each value of an enum.
_SIDES: Final = {side: side.value for side in Side}
_TRANSPORTS: Final = {transport: transport.value for transport in Transport}

log = Logger()


class TransportUser(Protocol):
    """The layers above the transport: each message that was understood comes to `receive`, with the flow it came by."""

    def receive(self, message: Message, flow: Flow) -> None:
        """A message with its mandatory headers (RFC 3261 section 8.1.1), from the flow's peer; its responses go the
        `way_back`."""

    def may_answer(self, flow: Flow) -> bool:
        """Whether a malformed request may be answered over the flow that it came by."""

    def connection_ended(self, key: FlowKey) -> None:
        """A connection that a peer began is gone; not called for those that TransportLayer.stop() ends."""


class Arrivals(Protocol):
    """The place where listeners and connections hand in bytes."""

    @property
    def tap(self) -> Tap:
        """Where each message is watched that leaves over them; those that arrive are watched here."""

    @property
    def banned(self) -> Banned:
        """The sources that they turn away before anything else."""

    @property
    def crowd(self) -> Crowd:
        """Where datagrams wait for their turn while it is on."""

    def receive(self, data: bytes, flow: Flow) -> None:
        """One whole message, as it came. Never raises."""

    def reject(self, malformed: MalformedMessage, flow: Flow, data: bytes = b"") -> None:
        """Bytes that are no message: count them, answer if enough was understood. `data` are the latest of them."""


class Arrival:
    """Parses, checks and hands on.

    This is the guard of the gateway's entry for messages: a bug behind it is logged and ends one message, no listener.
    """

    _user: TransportUser  # no listener is open, and nothing can arrive, before start()

    def __init__(
        self,
        metrics: Metrics,
        listeners: Iterable[Listener],
        clock: TransportReactor,
        filling: Callable[[], float],
        read_for: Callable[[bool], None],
    ) -> None:
        """``filling`` gives the part of the fullest socket's buffer that waits to be read; ``read_for`` is told whether
        messages are to wait in the crowd."""
        self.crowd = Crowd(clock, self.receive, filling, read_for)
        metrics.asked.add(self.crowd.figures)
        self.unread = UnreadRefusals(clock.seconds)
        self.tap = Tap()
        self.banned = Banned()
        self.messages = 0
        """So many were handed in so far, whatever came of them."""
        self.wrong_ports = WrongPorts(listeners, clock.seconds)
        self._observations = metrics.observations
        self._answered = _children(metrics.malformed, "answered")
        self._dropped = _children(metrics.malformed, "dropped")

    def start(self, user: TransportUser) -> None:
        """Hand on to that user."""
        self._user = user

    def receive(self, data: bytes, flow: Flow) -> None:
        """One whole message, as it came."""
        self.messages += 1
        if self.tap.is_on:
            self.tap.received(data, flow)
        if self.crowd.is_on and self._needs_no_reading(data, flow):
            return
        try:
            message = read(data)
            if message.is_request:
                note_source(message, flow)
        except MalformedMessage as malformed:
            self.reject(malformed, flow, data)
            return
        except Exception:
            log.failure("bytes of {source} met a bug in parsing", source=flow.remote)
            self._dropped[flow.transport].inc()
            return
        try:
            self._user.receive(message, flow)
        except Exception:
            log.failure("a message from {source} met a bug", source=flow.remote)
            _answer(message, flow, 500)

    def _needs_no_reading(self, data: bytes, flow: Flow) -> bool:
        """Whether this was one call too many, or the ACK of its refusal."""
        if self.crowd.waited > TOO_LATE and self._user.may_answer(flow) and self.unread.refuse(data, flow):
            return True
        return self.unread.is_ack(data, flow)

    def reject(self, malformed: MalformedMessage, flow: Flow, data: bytes = b"") -> None:
        """Count bytes that are no message; answer an understood part of a request (RFC 3261 section 21.4.1)."""
        answered = (
            isinstance(malformed, Answerable)
            and self._user.may_answer(flow)
            and _answer(malformed.request, flow, malformed.status, malformed.reason)
        )
        (self._answered if answered else self._dropped)[flow.transport].inc()
        if not answered:
            self.wrong_ports.look(flow, data)
        if self._observations.is_on:
            self._observations.note(seen_of(Kind.MALFORMED, flow, f"{malformed.reason}{_first_words(data)}"))
        log.debug(
            "malformed message from {source} over {transport}: {reason}",
            source=flow.remote,
            transport=flow.transport,
            reason=malformed.reason,
        )


def _children(counter: Counter, reason: str) -> dict[Transport, Counter]:
    return {transport: counter.labels(transport.value, reason) for transport in Transport}


def _answer(message: Message, flow: Flow, status: int, reason: str | None = None) -> bool:
    """Whether the message was a request that an answer was sent to; an ACK has none (RFC 3261 section 17)."""
    if not isinstance(message, Request) or message.method == "ACK":
        return False
    try:
        note_source(message, flow)
    except MalformedMessage:  # its Via is wrong
        pass
    try:
        send_answer(message.response(status, reason, stateless_tag(message)), way_back(message, flow))
    except ValueError:  # a header that the answer must repeat cannot be written
        return False
    return True


def note_source(request: Request, flow: Flow) -> None:
    """Write received and rport into the request's top Via: received whenever sent-by is not the very address the packet
    came from, and with rport always (RFC 3581 section 4)."""
    via, remote, headers = request.top_via, flow.remote, request.headers
    if via.host == remote.host and not via.has_rport:
        return
    index = headers.present.index("via")
    if "," in headers.lines[index]:  # the others of that line stay behind it
        headers.remove_first("Via")
        headers.prepend("Via", str(via))
    line, seen = via.with_source(headers.lines[index], remote.host, remote.port)
    headers.rewrite(index, line, seen)


def send_answer(response: Response, back: Flow) -> None:
    """Send an answer that no transaction keeps; to a peer that has not earned all of it, the fields that it must have
    (RFC 3261 section 8.2.6.2) and no others. Raises ValueError for one that cannot be written."""
    data = response.to_bytes()
    if not back.allowance.has_room(len(data)):
        data = Response(response.status, response.reason, response.headers.select(IDENTIFIES)).to_bytes()
    back.send(data)


def seen_of(kind: Kind, flow: Flow, words: str) -> Observation:
    """An observation of a flow's peer that is about no request; a connection proves its source."""
    return Observation(kind, flow.remote.host, flow.is_reliable, flow.side.value, flow.transport.value, line=words)


_BEGIN = re.compile(rb"[A-Z]{2,20}[ /-][^\r\n]*")
"""As requests and responses of SIP, HTTP, RTSP and SSH begin."""


def _first_words(data: bytes) -> str:
    """The begin of bytes that are no message, as evidence: 80 characters of the first line, less its secrets, if
    it looks like a start line. A piece of a stream may begin anywhere, and the rest of a body of a wrong length too:
    even within a key."""
    found = _BEGIN.match(data[:LONGEST_LOOK])
    return f": {redacted(found[0].decode('ascii', 'replace'))[:80]}" if found else ""


def seen_in(
    kind: Kind, flow: Flow, request: Request, *, is_proved: bool, who: str | None = None, words: str = ""
) -> Observation:
    """An observation of a request: its start line is the evidence, with these words before."""
    line = f"{request.method[:20]} {request.uri[:LONGEST_LOOK]}"
    tried = tried_in(request) if who is None else who
    told = f"{words}: {line}" if words else line
    return Observation(kind, flow.remote.host, is_proved, _SIDES[flow.side], _TRANSPORTS[flow.transport], tried, told)


def tried_in(request: Request) -> str:
    """The user that a request asks for, `user@host` in lower case: of a REGISTER in To. Raises MalformedMessage."""
    uri = request.to.uri if request.method == "REGISTER" else request.request_uri
    return f"{uri.user or ''}@{uri.host}".lower()[:LONGEST_LINE]


def way_back(request: Request, flow: Flow) -> Flow:
    """The flow that the responses of a request go over, which came over ``flow``.

    They go to its source, as does the answer to a Via that cannot be read. Only a client that asks for no rport and
    names the address it sends from gets them at the port it names (RFC 3261 section 18.2.2): such phones send from one
    port and listen on another. That port is a claim of the sender's: it is written to and proves nothing, so that
    behind one address nobody passes for another by it. maddr is not followed: it would let anybody make us send to a
    third party.
    """
    try:
        via = request.top_via
    except MalformedMessage:
        return flow
    if via.host == flow.remote.host and not via.has_rport:
        return flow.at_port(via.port or flow.transport.default_port)
    return flow
