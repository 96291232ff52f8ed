"""The gate between transport and transactions: each message goes through, is answered at once, or is dropped.

    transport -> Gate.receive -+- a stranger's request -> dropped, counted
                               +- a ping, a keep-alive -> 200
                               `- all else             -> transactions

The order is a security order: a stranger on the provider's side makes neither a transaction nor a byte in response,
so that a scanner learns nothing.

A ping is OPTIONS for the gateway itself (RFC 3261 sections 11.2 and 8.2.7). Phones and trunks ask every half minute
whether the gateway is there, which makes pings the most frequent message of a quiet site. The answer is the same for
each copy of one and changes nothing, so a transaction would serve nothing: section 8.2.7 lets such a server "process
each message independently". An OPTIONS that needs judgement (a dialog, a Require, no hops left) is left to the core,
which refuses it or answers in the same words.

So is the NOTIFY with Event: keep-alive, by which Sipura's and others' phones keep their NAT's port open, several times
a minute. No subscription of that name exists, and its only purpose is the answer, so the provider is not given one.

Here: the proof that a message is worth a transaction. Not here: the access list (security), parsing (transport), the
request's own rights (sender_rights.py).
"""

from collections.abc import Callable
from typing import Final, Protocol

from twisted.logger import Logger

from gateway.config.model import Side
from gateway.observe.line_limit import LineLimit
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind
from gateway.sip.capabilities import CAPABILITIES, SOFTWARE
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, Response, stateless_tag
from gateway.transport.arrival import seen_in, seen_of, send_answer, way_back
from gateway.transport.flow import Flow, FlowKey

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PROVIDER: Final = Side.PROVIDER

log = Logger()

_KEEPALIVES = frozenset({"keep-alive", "keepalive"})
_CAPABILITIES = Headers((*CAPABILITIES, ("Server", SOFTWARE)))


class Peers(Protocol):
    """The peers of all domains."""

    def knows(self, flow: Flow) -> bool:
        """Whether the sender is proved to be a peer of any domain."""


class Gate:
    """The transport's user; ``receive`` of the transactions gets the messages that go through."""

    def __init__(
        self,
        peers: Peers,
        is_in_dialog: Callable[[Request], bool],
        receive: Callable[[Message, Flow], None],
        connection_ended: Callable[[FlowKey], None],
        metrics: Metrics,
        seconds: Callable[[], float],
    ) -> None:
        self._peers = peers
        self._lines = LineLimit(seconds)
        self._is_in_dialog = is_in_dialog
        self._receive = receive
        self._connection_ended = connection_ended
        self._metrics = metrics
        self._observations = metrics.observations
        self._pings = {side: metrics.requests.labels(str(side), "OPTIONS") for side in Side}
        self._responses = {
            (side, kind): metrics.responses.labels(str(side), f"{kind}xx") for side in Side for kind in range(1, 7)
        }
        self._keepalives = metrics.requests.labels(str(Side.PHONES), "NOTIFY")

    def receive(self, message: Message, flow: Flow) -> None:
        """A message with its mandatory headers read. Raises nothing of its own.

        A request within one of our dialogs goes through from any sender: its tags are random and were told to that
        dialog's peer alone, which may well send from another address than calls come from.
        """
        if message.is_request:
            if flow.side is _PROVIDER and self._is_strange(message, flow):
                self._metrics.dropped.labels(str(flow.transport)).inc()
                self._tell_dropped(message, flow)
                return
            if flow.identity is not None and message.to.tag is None and self._observations.is_on:
                self._observations.note(seen_of(Kind.GRANTED, flow, "a peer by its certificate"))
            if message.method == "OPTIONS" and _is_ping(message):
                self._pings[flow.side].inc()
                send_answer(capabilities(message, stateless_tag(message)), way_back(message, flow))
                return
            if message.method == "NOTIFY" and flow.side is Side.PHONES and _is_keepalive(message, flow):
                self._keepalives.inc()
                send_answer(_alive(message), way_back(message, flow))
                return
        else:
            self._responses[flow.side, message.status // 100].inc()
        self._receive(message, flow)

    def may_answer(self, flow: Flow) -> bool:
        """Whether a malformed message may be answered: strangers on the provider's side learn nothing from it."""
        return flow.side is not _PROVIDER or self._peers.knows(flow)

    def connection_ended(self, key: FlowKey) -> None:
        """A connection that a peer began is gone, and with it the bindings over it."""
        self._connection_ended(key)

    def _tell_dropped(self, request: Request, flow: Flow) -> None:
        """Nobody but a phone registers: one that does it here is set to the wrong port, and hears nothing of us."""
        if self._observations.is_on:
            self._observations.note(seen_in(Kind.STRANGER, flow, request, is_proved=False, who=""))
        # Most are scanners, and can come under any address: all of them together have the lines of one source.
        more = self._lines.more("strangers") if request.method == "REGISTER" else None
        if more is None:
            log.debug("a request from {source} is dropped: no peer of any domain", source=flow.remote)
            return
        log.info(
            "a REGISTER from {source} is dropped: listener {listener}, port {port}, is for providers; "
            'phones register at one with side = "phones"{more}',
            source=flow.remote,
            listener=flow.listener.name,
            port=flow.listener.port,
            more=more,
        )

    def _is_strange(self, request: Request, flow: Flow) -> bool:
        try:
            return not self._peers.knows(flow) and not self._is_in_dialog(request)
        except MalformedMessage:
            return True


def capabilities(options: Request, to_tag: str | None = None) -> Response:
    """The 200 to an OPTIONS for the gateway itself; without ``to_tag`` its To is as it came."""
    answer = options.response(200, None, to_tag)
    answer.headers.add_all(_CAPABILITIES)
    return answer


def _alive(notify: Request) -> Response:
    answer = notify.response(200, None, stateless_tag(notify))
    answer.headers.add("Server", SOFTWARE)
    return answer


def _is_keepalive(request: Request, flow: Flow) -> bool:
    event = (request.headers.get("Event") or "").partition(";")[0].strip().lower()
    return event in _KEEPALIVES and flow.listener.answers_keepalives


def _is_ping(request: Request) -> bool:
    return (
        request.to.tag is None
        and request.request_uri.user is None
        and request.max_forwards != 0
        and "require" not in request.headers
    )
