"""What every message goes through on its way in, whatever carried it: understood or answered 400, its source noted.

    bytes, Flow -> parse -> check (mandatory headers, RFC 3261 section 8.1.1) -> received, rport -> receiver

Lives here: RFC 3261 sections 18.1.2 and 18.2.1, RFC 3581 section 4. Not here: what the bytes came from (udp.py,
stream.py) and what the message asks for (transaction and above).
"""

from collections.abc import Callable
from typing import Protocol

from prometheus_client import Counter
from twisted.logger import Logger

from gateway.observe.metrics import Metrics
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Message, Request, stateless_tag
from gateway.sip.parser import Answerable, check, parse
from gateway.transport.flow import Flow, Transport

log = Logger()

Receiver = Callable[[Message, Flow], None]

MayAnswer = Callable[[Flow], bool]
"""Whether what is malformed may be answered to where it came from."""


class Arrivals(Protocol):
    """Where udp.py and stream.py hand in what they received."""

    def receive(self, data: bytes, flow: Flow) -> None:
        """One whole message, as it came. Never raises."""

    def reject(self, malformed: MalformedMessage, flow: Flow) -> None:
        """Bytes that are no message: count them, answer if enough was understood."""


def _drop(message: Message, flow: Flow) -> None:
    log.debug("no receiver yet for {message} from {source}", message=type(message).__name__, source=flow.remote)


class Arrival:
    """Parses, checks and hands on to `receiver`, which the owner sets.

    This is the guard of the gateway's entry for messages: a bug behind it is logged and ends one message, no listener.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.receiver: Receiver = _drop
        self.may_answer: MayAnswer = lambda flow: True
        self._answered = _children(metrics.malformed, "answered")
        self._dropped = _children(metrics.malformed, "dropped")

    def receive(self, data: bytes, flow: Flow) -> None:
        """One whole message, as it came."""
        try:
            message = parse(data)
            check(message)
            if isinstance(message, Request):
                flow = note_source(message, flow)
        except MalformedMessage as malformed:
            self.reject(malformed, flow)
            return
        except Exception:
            log.failure("what {source} sent met a bug in parsing", source=flow.remote)
            self._dropped[flow.transport].inc()
            return
        try:
            self.receiver(message, flow)
        except Exception:
            log.failure("a message from {source} met a bug", source=flow.remote)
            _answer(message, flow, 500)

    def reject(self, malformed: MalformedMessage, flow: Flow) -> None:
        """Count what is no message; answer it where enough of a request was understood (RFC 3261 section 21.4.1)."""
        answered = (
            isinstance(malformed, Answerable)
            and self.may_answer(flow)
            and _answer(malformed.request, flow, malformed.status, malformed.reason)
        )
        (self._answered if answered else self._dropped)[flow.transport].inc()
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
        back = note_source(message, flow)
    except MalformedMessage:  # its Via is what is wrong: the answer goes to where it came from
        back = flow
    try:
        back.send(message.response(status, reason, stateless_tag(message)).to_bytes())
    except ValueError:  # what it would have to say again cannot be said
        return False
    return True


def note_source(request: Request, flow: Flow) -> Flow:
    """Write received and rport into the request's top Via and return the flow that its responses go over.

    received is added whenever sent-by is not the very address the packet came from, and with rport always (RFC 3581
    section 4). Responses go to that source. Only a client that asks for no rport and names the address it sends from
    gets them at the port it names (RFC 3261 section 18.2.2): such phones send from one port and listen on another.
    maddr is not followed: it would let anybody make us send to a third party.
    """
    via, remote, headers = request.top_via, flow.remote, request.headers
    if via.host == remote.host and via.parameter("rport") is None:
        return flow.at_port(via.port or flow.transport.default_port)
    if "," in (headers.get("Via") or ""):  # the others of that line stay behind it
        headers.remove_first("Via")
        headers.prepend("Via", str(via))
    headers.rewrite("via", lambda line: via.with_source(line, remote.host, remote.port))
    return flow
