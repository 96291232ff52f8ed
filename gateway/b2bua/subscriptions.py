"""All subscriptions (RFC 6665): message waiting, dialog state, presence, all else that phones watch at their provider.

Those that began in a call are here once it is over. Each ends by itself when nobody refreshes it, so the table is
bounded by its subscribers, and by CEILING.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.transfer import translate
from gateway.b2bua.call import Call
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.leg import LegServices
from gateway.b2bua.outside_calls import OutsideCalls
from gateway.b2bua.setup.first_request import Identities, initial_request
from gateway.b2bua.subscription import AskedSubscription, Subscription
from gateway.dialog.dialog import DialogState
from gateway.routing.forward import NextHop
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.sip.errors import Refused
from gateway.state.call_record import CallDirection, CallRecord
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()

CEILING: Final = 100_000
"""Subscriptions at once; above it new ones are refused with 503."""


class Subscriptions:
    """All subscriptions."""

    def __init__(self, services: LegServices, trunk: Trunk, identities: Identities, policy: OutsideCalls) -> None:
        self._services = services
        self._trunk = trunk
        self._identities = identities
        self._policy = policy
        self._all: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._all)

    def start(self, transaction: ServerTransaction, route: Route, phone_flow: Flow | None) -> None:
        """Begin the subscription that a SUBSCRIBE asks for. Raises Refused 415, 503 and MalformedMessage."""
        request = transaction.request
        if phone_flow is not None:
            self._policy.judge(transaction, route)
        if len(self._all) >= CEILING:
            raise Refused(503, "Too many subscriptions", (("Retry-After", "60"),))
        border, toward = Border(route, self._services.own_hosts), transaction.flow.side.other
        body = Customs.at(border, toward).body_of(request)
        identity = self._identities.identity_for(request)
        subscription = AskedSubscription(transaction, border, identity, self._services, self._all.discard)
        self._all.add(subscription)
        onward = initial_request(request, border, identity, body)
        translate(onward.headers, border, toward, self._services.dialogs)
        if phone_flow is None:
            next_hop = NextHop(route.domain, route.provider)
            self._trunk.forward(onward, next_hop, subscription, subscription.reach)
        else:
            subscription.reach(onward, phone_flow)
            self._services.transactions.send_request(onward, phone_flow, subscription)

    def resumed(self, record: CallRecord) -> Subscription:
        """One of the process before, which has to be given its legs."""
        subscription = Subscription(record, self._services, self._all.discard)
        self._all.add(subscription)
        return subscription

    def outlive(self, call: Call) -> None:
        """Let the subscriptions that were begun in a call go on after it, as long as there is room."""
        caller, callee = call.caller, call.callee
        if call.usages.until is None or len(self._all) >= CEILING:
            return
        if callee is None or callee.dialog is None or callee.dialog.state is not DialogState.CONFIRMED:
            return
        names = (call.record.caller, call.record.callee)
        record = CallRecord(call.id, CallDirection.INTERNAL, "", *names, self._services.wall())
        subscription = Subscription(record, self._services, self._all.discard)
        self._all.add(subscription)
        subscription.outlive(call.usages, caller, callee)
