"""Calls that a phone has its provider make, counted by the limits of calls: a transfer, and a redirection.

    phone:    REFER ... Refer-To: <sip:0088161...>      the provider calls the target for the phone (RFC 3515)
    phone:    302 ... Contact: <sip:0088161...>         the provider calls there instead (RFC 3261 section 21.3.3)

Both are the classic way round a limit: the phone itself dials nothing. So the target is asked about as if the phone
had dialled it, before the provider hears of it, and counts from then on; a REFER that is refused is undone. After a
transfer nobody here sees when the call ends, neither that of the target nor that in which the REFER was sent: it counts
for an hour. A provider's REFER or 302 needs nothing of it, for it makes the phone send an INVITE; neither does one of a
phone to another phone, which sends an INVITE and is counted itself. Call forwarding that
is set at the provider is out of sight.
"""

from __future__ import annotations

from gateway.b2bua.legs.leg import Leg
from gateway.config.model import Side
from gateway.security.limits.call_limits import OverLimit
from gateway.sip.address import NameAddress
from gateway.sip.message import Request, Response

_CALLED = ("sip", "sips", "tel")


def begin_transfer(origin: Leg, request: Request) -> str:
    """Count the call that a phone's REFER asks for: its id, or "" where none is counted.

    Raises OverLimit and MalformedMessage.
    """
    value = request.headers.get("Refer-To")
    if request.method != "REFER" or value is None or not _is_before_provider(origin):
        return ""
    return _begin(origin, NameAddress.parse(value))


def transfer_answered(origin: Leg, transfer: str, status: int) -> None:
    """The provider answered a phone's REFER: it calls the target, or does not. With any target, the call in which the
    REFER was sent may go on without the phone."""
    limits = origin.services.limits
    if status >= 300:
        limits.undone(transfer)
    elif _is_before_provider(origin):
        limits.unseen(transfer)
        limits.transferred(origin.record.id)


def begin_redirections(phone: Leg, response: Response) -> None:
    """Count the calls that a phone's 3xx asks for: all of them or none. Raises OverLimit."""
    if not 300 <= response.status < 400 or not _is_before_provider(phone):
        return
    limits, begun = phone.services.limits, list[str]()
    try:
        for contact in response.contacts:
            begun.append(_begin(phone, contact))
    except OverLimit:
        for redirected in begun:
            limits.undone(redirected)
        raise
    for redirected in begun:
        limits.unseen(redirected)


def _is_before_provider(leg: Leg) -> bool:
    """Whether a leg is a phone's, with the provider behind the other one."""
    return leg.spec.side is Side.PHONES and not leg.spec.border.is_between_phones


def _begin(phone: Leg, target: NameAddress) -> str:
    border, uri = phone.spec.border, target.uri
    if uri.scheme.lower() not in _CALLED or not uri.user or border.domain.is_emergency(uri.user):
        return ""
    limits, call_id = phone.services.limits, phone.services.new_tag()
    permit = border.permit(limits, phone.flow, uri)
    if permit is None:
        return ""
    limits.begin(call_id, permit)
    return call_id
