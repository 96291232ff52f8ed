"""A new call, made from an INVITE and its route: the record, the protection, the caller's leg, the way to the callee.

Nothing is sent here, and no table is kept.
"""

from __future__ import annotations

import attrs

from gateway.b2bua.call import Call, CallsTable, NewMilestones
from gateway.b2bua.forking.forked_calls import ForkedCalls
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.legs.leg import LegServices, LegSpec
from gateway.b2bua.legs.media import encryption_of, has_sdp
from gateway.b2bua.local.local_calls import LocalCalls
from gateway.b2bua.protection import Protection
from gateway.b2bua.setup.first_request import Identities
from gateway.b2bua.setup.new_record import record_of
from gateway.b2bua.setup.reach import CalleeSearch
from gateway.config.model import Side
from gateway.media.relay import Encryption
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.sdp.negotiation import offer_encrypted
from gateway.security.policy.peer_memory import Peer
from gateway.state.call_record import LegName
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow


class NewCalls:
    """Makes calls; `table` is told of each."""

    def __init__(
        self,
        services: LegServices,
        trunk: Trunk,
        identities: Identities,
        table: CallsTable,
        new_milestones: NewMilestones,
    ) -> None:
        self._services = services
        self._trunk = trunk
        self._identities = identities
        self._table = table
        self._new_milestones = new_milestones
        self._forked = ForkedCalls(identities, services.clock.seconds, trunk)
        self._local = LocalCalls(services, trunk.memory, identities, self._forked, table, new_milestones)

    def call(self, transaction: ServerTransaction, route: Route, phone_flow: Flow | None) -> Call:
        """The call that an INVITE asks for; `phone_flow` reaches its phone when the call is inbound. Raises OverLimit
        and Refused 482 before anything is made. Calls to emergency numbers need no permit, nor do a provider's."""
        invite, services = transaction.request, self._services
        outbound = phone_flow is None
        if phone_flow is not None and route.is_local:
            return self._local.call(transaction, route, phone_flow)
        if route.others:
            self._forked.check(invite, route)
        border, limits = Border(route, services.own_hosts), services.limits
        is_counted = outbound and not route.is_emergency
        called = invite.request_uri
        permit = border.permit(limits, transaction.flow, called) if is_counted else None
        dialled = (called.user or "") if outbound else ""
        record = record_of(services, invite, route, outbound=outbound)
        bound = route.binding or route.caller
        phone = Peer(invite.from_.uri.address_of_record(route.domain.name) if bound is None else bound.aor)
        protection = Protection(record, route, dialled, phone, self._trunk.memory, services.clock)
        caller_spec = self._caller_spec(transaction, protection, border)
        milestones = self._new_milestones(record, services.clock.seconds())
        call = Call(record, protection, services, self._table, milestones)
        call.caller = CallerLeg(caller_spec, transaction, services, call)
        if route.binding is not None:
            answers = self._trunk.answering.for_called(route.domain, route.provider, route.binding.user)
            call.caller.credentials.answers = answers
        identity = self._identities.identity_for(invite, record.id)
        if phone_flow is not None and route.others:
            call.search = self._forked.search(call, route, phone_flow, identity)
        else:
            call.search = CalleeSearch(call, self._trunk, route, identity, phone_flow)
        if permit is not None:
            limits.begin(call.id, permit)
        return call

    def _caller_spec(self, transaction: ServerTransaction, protection: Protection, border: Border) -> LegSpec:
        """The caller's leg; later offers toward it take the form in which it offered itself."""
        invite, flow, encryption = transaction.request, transaction.flow, Encryption.NONE
        if invite.body and has_sdp(invite) and offer_encrypted(invite.body) is not None:
            encryption = encryption_of(invite.body)
        elif flow.is_secure and flow.side is Side.PROVIDER:
            encryption = protection.terms.offer
        elif flow.transport.is_web:
            encryption = Encryption.DTLS
        side_terms = protection.phone_media if flow.side is Side.PHONES else protection.media
        user = invite.to.uri.user or ""
        spec = LegSpec(LegName.CALLER, flow.side, side_terms(encryption), user, border)
        if flow.side is Side.PHONES:
            return spec
        return attrs.evolve(spec, reopen=lambda: self._trunk.reopened(border.route.provider, flow.is_secure))
