"""Pings: OPTIONS for the gateway itself, answered without a transaction (RFC 3261 sections 11.2 and 8.2.7).

    transport -> gate -> receive -+- a ping -> 200
                                  +- all else -> transactions

Phones and trunks ask every half minute whether the gateway is there, which makes pings the most frequent message of a
quiet site. The answer is the same for each copy of one and changes nothing, so there is nothing that a transaction
would be for: section 8.2.7 lets such a server "process each message independently". What needs a word of judgement (a
dialog, a Require, no hops left) is left to the core, which refuses it or answers as this does.
"""

from collections.abc import Callable

from gateway.config.model import Side
from gateway.observe.metrics import Metrics
from gateway.security.admission import DomainAdmission, log
from gateway.sip.capabilities import CAPABILITIES, SOFTWARE
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, stateless_tag
from gateway.transport.flow import Flow

_ANSWER = Headers((*CAPABILITIES, ("Server", SOFTWARE)))


class Pings:
    """Stands before the transactions. ``receive`` is whom all other messages are for."""

    def __init__(self, receive: Callable[[Message, Flow], None], metrics: Metrics) -> None:
        self._receive = receive
        self._received = {side: metrics.requests.labels(str(side), "OPTIONS") for side in Side}

    def receive(self, message: Message, flow: Flow) -> None:
        """A message that was let in, its mandatory headers read. Raises nothing of its own."""
        if isinstance(message, Request) and message.method == "OPTIONS" and _is_ping(message):
            self._received[flow.side].inc()
            answer = message.response(200, None, stateless_tag(message))
            answer.headers.add_all(_ANSWER)
            flow.send(answer.to_bytes())
        else:
            self._receive(message, flow)


def _is_ping(request: Request) -> bool:
    return (
        request.to.tag is None
        and request.request_uri.user is None
        and request.max_forwards != 0
        and "require" not in request.headers
    )


class Gate:
    """Stands between transport and transactions: what it lets through may be answered."""

    def __init__(
        self,
        admission: DomainAdmission,
        is_in_dialog: Callable[[Request], bool],
        receive: Callable[[Message, Flow], None],
        metrics: Metrics,
    ) -> None:
        self._admission = admission
        self._is_in_dialog = is_in_dialog
        self._receive = receive
        self._metrics = metrics

    def receive(self, message: Message, flow: Flow) -> None:
        """Pass a message on; a request of a stranger on the provider's side is dropped and counted.

        A request within one of our dialogs is let through whoever sends it: its tags are random and were told to that
        dialog's peer alone, which may well send from another address than calls come from.
        """
        if isinstance(message, Request) and flow.side is Side.PROVIDER and self._is_strange(message, flow):
            self._metrics.dropped.labels(str(flow.transport)).inc()
            log.debug("a request from {source} is dropped: no peer of any domain", source=flow.remote)
            return
        self._receive(message, flow)

    def may_answer(self, flow: Flow) -> bool:
        """Whether what is malformed may be answered: strangers on the provider's side learn nothing from it either."""
        return flow.side is not Side.PROVIDER or self._admission.knows(flow)

    def _is_strange(self, request: Request, flow: Flow) -> bool:
        try:
            return not self._admission.knows(flow) and not self._is_in_dialog(request)
        except MalformedMessage:
            return True
