"""A new call between phones, made from an INVITE and its route: as ``setup/new_call`` makes the others.

    the caller's leg   as in an outbound call: its route has no phone that is called
    the callees' legs  as in an inbound call to a user with several phones (forking), of which there may be one

Limits of calls are asked as for a call to the provider, but for those of classes of destinations: it costs nothing.
Nothing is sent here, and no table is kept.
"""

from __future__ import annotations

from functools import partial

import attrs

from gateway.b2bua.across.headers import take_out_providers
from gateway.b2bua.call import Call, CallsTable, NewMilestones
from gateway.b2bua.forking.forked_calls import ForkedCalls
from gateway.b2bua.legs.border import border_at
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.legs.leg import LegServices, LegSpec
from gateway.b2bua.legs.media import encryption_of, has_sdp
from gateway.b2bua.local.local_plan import LocalPlan
from gateway.b2bua.local.phones_protection import PhonesProtection
from gateway.b2bua.setup.first_request import Identities
from gateway.b2bua.setup.new_record import record_of
from gateway.config.model import Side
from gateway.media.relay import Encryption
from gateway.routing.router import Route
from gateway.sdp.negotiation import offer_encrypted
from gateway.security.policy.peer_memory import PeerMemory
from gateway.sip.message import Request
from gateway.state.call_record import LegName
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow


@attrs.frozen
class LocalCalls:
    """Makes calls between phones; ``table`` is told of each."""

    services: LegServices
    memory: PeerMemory
    identities: Identities
    forked: ForkedCalls
    table: CallsTable
    new_milestones: NewMilestones

    def call(self, transaction: ServerTransaction, route: Route, phone_flow: Flow) -> Call:
        """The call that a phone asks for; the route is local, and `phone_flow` reaches the first of its phones. Raises
        OverLimit before anything is made."""
        invite, services = transaction.request, self.services
        border = attrs.evolve(border_at(route, services.own_hosts), route=route.back)
        permit = border.permit(services.limits, transaction.flow, invite.request_uri)
        take_out_providers(invite.headers)
        record = record_of(services, invite, route, outbound=False)
        protection = PhonesProtection(record, route, self.memory, services.clock)
        wish = protection.phone_media(_form_of(invite, transaction.flow))
        spec = LegSpec(LegName.CALLER, Side.PHONES, wish, invite.to.uri.user or "", border)
        milestones = self.new_milestones(record, services.clock.seconds())
        call = Call(record, protection, services, self.table, milestones)
        call.caller = CallerLeg(spec, transaction, services, call)
        identity = self.identities.identity_for(invite, record.id)
        call.search = self.forked.search(call, route, phone_flow, identity, partial(LocalPlan, protection))
        if permit is not None:
            services.limits.begin(call.id, permit)
        return call


def _form_of(invite: Request, flow: Flow) -> Encryption:
    """The form in which the caller offers its media, for later offers toward it. Raises MalformedDescription."""
    if has_sdp(invite) and offer_encrypted(invite.body) is not None:
        return encryption_of(invite.body)
    return Encryption.DTLS if flow.transport.is_web else Encryption.NONE
