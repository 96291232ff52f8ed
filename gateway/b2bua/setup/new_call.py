"""A new call, made from an INVITE and its route: the record, the protection, the caller's leg, the way to the callee.

Nothing is sent here, and no table is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.b2bua.call import Call, NewMilestones
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.legs.leg import LegServices, LegSpec
from gateway.b2bua.legs.media import encryption_of, has_sdp
from gateway.b2bua.protection import Protection
from gateway.b2bua.setup.first_request import Identities
from gateway.b2bua.setup.reach import CalleeSearch
from gateway.config.model import Side
from gateway.media.relay import Encryption
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.sdp.negotiation import lacks_keys, offer_encrypted
from gateway.security.policy.peer_memory import Peer
from gateway.security.policy.terms import Refusal
from gateway.sip.address import NameAddress
from gateway.sip.message import Request
from gateway.state.call_record import CallDirection, CallRecord, LegName
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow


class NewCalls:
    """Makes calls; `ended` is given each when it is over."""

    def __init__(
        self,
        services: LegServices,
        trunk: Trunk,
        identities: Identities,
        ended: Callable[[Call], None],
        new_milestones: NewMilestones,
    ) -> None:
        self._services = services
        self._trunk = trunk
        self._identities = identities
        self._ended = ended
        self._new_milestones = new_milestones

    def call(self, transaction: ServerTransaction, route: Route, phone_flow: Flow | None) -> Call:
        """The call that an INVITE asks for; `phone_flow` reaches its phone when the call is inbound."""
        invite, services = transaction.request, self._services
        outbound = phone_flow is None
        dialled = (invite.request_uri.user or "") if outbound else ""
        record = record_of(services, invite, route, outbound=outbound)
        bound = route.binding or route.caller
        phone = Peer(invite.from_.uri.address_of_record(route.domain.name) if bound is None else bound.aor)
        protection = Protection(record, route, dialled, phone, self._trunk.memory, services.clock)
        caller_spec = self._caller_spec(invite, transaction.flow, protection, route)
        milestones = self._new_milestones(record, services.clock.seconds())
        call = Call(record, protection, services, self._ended, milestones)
        call.caller = CallerLeg(caller_spec, transaction, services, call)
        if route.binding is not None:
            called = self._trunk.answering.for_called(route.domain, route.provider, route.binding.user)
            call.caller.credentials.answers = called
        identity = self._identities.identity_for(invite, record.id)
        call.search = CalleeSearch(call, self._trunk, route, identity, phone_flow)
        return call

    def _caller_spec(self, invite: Request, flow: Flow, protection: Protection, route: Route) -> LegSpec:
        """The caller's leg; later offers toward it take the form in which it offered itself."""
        encryption = Encryption.NONE
        if has_sdp(invite) and offer_encrypted(invite.body) is not None:
            encryption = encryption_of(invite.body)
        elif flow.is_secure and flow.side is Side.PROVIDER:
            encryption = protection.terms.offer
        side_terms = protection.phone_media if flow.side is Side.PHONES else protection.media
        user = invite.to.uri.user or ""
        spec = LegSpec(LegName.CALLER, flow.side, side_terms(encryption), user, Border(route, self._services.own_hosts))
        if flow.side is Side.PHONES:
            return spec
        return attrs.evolve(spec, reopen=lambda: self._trunk.reopened(route.provider, flow.is_secure))


def record_of(services: LegServices, invite: Request, route: Route, *, outbound: bool) -> CallRecord:
    """The record of the call that an INVITE asks for, with all that is known before it begins."""
    return CallRecord(
        id=services.new_tag() + services.new_tag(),
        direction=CallDirection.OUTBOUND if outbound else CallDirection.INBOUND,
        domain=route.domain.name,
        caller=_named(invite.from_),
        callee=_called(invite.to, route),
        started_at=services.wall(),
        is_caller_known=not outbound or route.caller is not None,
        provider=route.provider.name,
        is_emergency=outbound and route.is_emergency,
    )


def first_refusal(call: Call, route: Route, *, is_inbound: bool) -> Refusal | None:
    """The policy's refusal of a call for its caller's offer, or for the way in which that came."""
    transaction, protection = call.caller.transaction, call.protection
    invite = transaction.request
    if has_sdp(invite) and lacks_keys(invite.body):
        return protection.offered_no_key(route.proof)
    if not is_inbound:
        return None
    encrypted = offer_encrypted(invite.body) if has_sdp(invite) else None
    decision = protection.inbound(transaction.flow, encrypted, route.proof)
    return decision if isinstance(decision, Refusal) else None


def _called(party: NameAddress, route: Route) -> str:
    """The callee. A provider that repeats the Contact it was given in To names our token, which tells nobody
    anything."""
    binding = route.binding
    is_token = binding is not None and party.uri.user == binding.token
    return binding.aor if binding is not None and is_token else _named(party)


def _named(party: NameAddress) -> str:
    """A party as records show it: a password in its URI (RFC 3261 section 19.1.1) is nobody's to read."""
    return party.uri_text if party.is_plain else str(attrs.evolve(party.uri, password=None, headers=""))
