"""One INVITE to the callee: the leg that sends it, and the request made from the caller's.

Not here: the choice of the way and of the form of SDP, the relay's rewriting, responses.
"""

from __future__ import annotations

import attrs

from gateway.b2bua.across.transfer import translate
from gateway.b2bua.call import Call
from gateway.b2bua.legs.callee import CalleeLeg, Inviter
from gateway.b2bua.legs.leg import LegSpec
from gateway.b2bua.setup.first_request import Identity, initial_request
from gateway.media.relay import SdpWish
from gateway.routing.attempts import Way
from gateway.security.policy.terms import Refusal
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request
from gateway.state.call_record import LegName
from gateway.transport.flow import Flow


@attrs.frozen
class Invitation:
    """An INVITE but for its dialog: sent again, it is another one of the same way and media."""

    way: Way
    wish: SdpWish
    """The form of SDP toward the callee."""
    sdp: bytes
    """The caller's offer as the relay has rewritten it; empty for a late offer."""


def leg_for(call: Call, inviter: Inviter, invitation: Invitation, flow: Flow) -> CalleeLeg:
    """A leg of the call over `flow`, which the way opens again; its responses go to `inviter`."""
    wish, user = invitation.wish, call.caller.invite.from_.uri.user or ""
    spec = LegSpec(LegName.CALLEE, wish.side, wish, user, call.caller.spec.border, invitation.way)
    return CalleeLeg(spec, flow, call.services, call, inviter)


def invite_for(leg: CalleeLeg, asked: Request, identity: Identity, sdp: bytes) -> Request | Refusal:
    """The INVITE of this leg, made from the caller's; a Refusal where that names a dialog which is none of ours, or
    names one that cannot be read."""
    border = leg.spec.border
    request = initial_request(asked, border, identity, sdp)
    try:
        translate(request.headers, border, leg.spec.side, leg.services.dialogs)
    except (Refused, MalformedMessage) as refused:
        return Refusal(refused.status, None, refused.reason)
    return request
