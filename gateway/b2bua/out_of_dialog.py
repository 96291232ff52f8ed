"""A request outside any call, passed to the other side, and its response back: MESSAGE, NOTIFY, PUBLISH, INFO.

One transaction on each side and no dialog: a request that would make one (SUBSCRIBE, REFER) is not passed here.
"""

from __future__ import annotations

from typing import Final

import attrs
from twisted.logger import Logger

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.headers import check_commands, crossing_back, take_out_providers
from gateway.b2bua.across.transfer import redirections, translate
from gateway.b2bua.forking.messages import ManyPassages
from gateway.b2bua.legs.border import Border, border_at
from gateway.b2bua.legs.leg import LegServices
from gateway.b2bua.outside_calls import OutsideCalls
from gateway.b2bua.setup.first_request import Identities, Identity, initial_request
from gateway.config.model import Side
from gateway.registrar.binding import Binding
from gateway.routing.forward import NextHop
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.security.answering import FIELDS
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
        if phone_flow is not None and not route.is_local:
            self._policy.judge(transaction, route)
        border = border_at(route, self._services.own_hosts)
        toward = Side.PROVIDER if route.binding is None else Side.PHONES
        check_commands(request, toward, border.domain)
        body = Customs.at(border, toward).body_of(request)
        identity = self._identities.identity_for(request)
        passage = _Passage(transaction, request, border)
        if phone_flow is not None and (route.others or route.is_local):
            phones = self._reached(route, phone_flow)
            if route.is_local:
                take_out_providers(request.headers)
                phones = self._policy.between_phones(transaction, route, phones)
            self._pass_to_all(passage, phones, identity, body)
            return
        onward = initial_request(request, border, identity, body)
        translate(onward.headers, border, toward, self._services.dialogs)
        if phone_flow is None:
            next_hop = NextHop(route.domain, route.provider)
            self._trunk.forward(onward, next_hop, passage, lambda request, flow: None)
        else:
            self._services.transactions.send_request(onward, phone_flow, passage)

    def _reached(self, route: Route, first: Flow) -> list[tuple[Binding, Flow]]:
        """The phones of a route that are connected, with their flows; `first` is that of the first."""
        flows = [first, *map(self._services.phones.reach, route.others)]
        phones = zip((route.binding, *route.others), flows, strict=True)
        return [(phone, flow) for phone, flow in phones if phone is not None and flow is not None]

    def _pass_to_all(
        self, passage: _Passage, phones: list[tuple[Binding, Flow]], identity: Identity, body: bytes
    ) -> None:
        """Send the request to all these phones of its user."""
        services = self._services
        passages = ManyPassages(passage, len(phones), services.clock)
        for phone, flow in phones:
            border = attrs.evolve(passage.border, route=passage.border.route.to(phone))
            onward = initial_request(passage.request, border, self._identities.fork_of(identity, phone), body)
            translate(onward.headers, border, Side.PHONES, services.dialogs)
            flow.allowance.fill()  # one that has proved nothing is to be told, too
            services.transactions.send_request(onward, flow, passages)


@attrs.define(eq=False)
class _Passage:
    """Waits for the response, and gives it back."""

    transaction: ServerTransaction
    request: Request
    border: Border

    def receive_response(self, response: Response) -> None:
        """Pass a final response back."""
        if self.border.is_between_phones:
            take_out_providers(response.headers)
        if response.status >= 200:
            asks_password = self.border.is_between_phones and response.status in FIELDS
            self._answer(480 if asks_password else response.status, None if asks_password else response)

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
