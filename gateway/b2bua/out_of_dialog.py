"""A request outside any call, passed to the other side, and its response back: MESSAGE, NOTIFY, PUBLISH, INFO.

One transaction on each side and no dialog: a request that would make one (SUBSCRIBE, REFER) is not passed here.
"""

from __future__ import annotations

from typing import Final

import attrs
from twisted.logger import Logger

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.headers import check_answering, crossing_back
from gateway.b2bua.across.transfer import redirections, translate
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.leg import LegServices
from gateway.b2bua.outside_calls import OutsideCalls
from gateway.b2bua.setup.first_request import Identities, initial_request
from gateway.routing.forward import NextHop
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.sip.capabilities import SOFTWARE
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

METHODS: Final = frozenset({"MESSAGE", "NOTIFY", "PUBLISH", "INFO", "OPTIONS"})

log = Logger()


class Passing:
    """Passes requests that belong to no call."""

    def __init__(self, services: LegServices, trunk: Trunk, identities: Identities, policy: OutsideCalls) -> None:
        self._trunk = trunk
        self._services = services
        self._identities = identities
        self._policy = policy

    def pass_on(self, transaction: ServerTransaction, route: Route, phone_flow: Flow | None) -> None:
        """Send the request on along its route. Raises Refused 415 and 489, and 503 by policy."""
        request = transaction.request
        if phone_flow is not None:
            self._policy.judge(transaction, route)
        border, toward = Border(route, self._services.own_hosts), transaction.flow.side.other
        check_answering(request, toward, auto_answer=border.domain.auto_answer)
        body = Customs.at(border, toward).body_of(request)
        onward = initial_request(request, border, self._identities.identity_for(request), body)
        translate(onward.headers, border, toward, self._services.dialogs)
        passage = _Passage(transaction, request, border)
        if phone_flow is None:
            next_hop = NextHop(route.domain, route.provider)
            self._trunk.forward(onward, next_hop, passage, lambda request, flow: None)
        else:
            self._services.transactions.send_request(onward, phone_flow, passage)


@attrs.define(eq=False)
class _Passage:
    """Waits for the response, and gives it back."""

    transaction: ServerTransaction
    request: Request
    border: Border

    def receive_response(self, response: Response) -> None:
        """Pass a final response back."""
        if response.status >= 200:
            self._answer(response.status, response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Nobody answered (RFC 4320 has no 408 sent for it)."""
        self._answer(504 if failure.transport is None else 503, None)

    def _answer(self, status: int, response: Response | None) -> None:
        back = self.request.response(status, response.reason if response else None, to_tag=_tag(response))
        if response is not None:
            toward = self.transaction.flow.side
            back.body = Customs.at(self.border, toward).body_back(response)
            back.headers.add_all(crossing_back(response.headers, toward, back.body))
            back.headers.add_all(redirections(response, self.border, toward))
        back.headers.add("Server", SOFTWARE)
        self.transaction.respond(back)


def _tag(response: Response | None) -> str:
    return (response.to.tag if response else None) or "gateway"
