"""Calls that a phone has its provider make, counted by the limits of calls: a transfer, and a redirection.

    phone:    REFER ... Refer-To: <sip:0088161...>      the provider calls the target for the phone (RFC 3515)
    phone:    302 ... Contact: <sip:0088161...>         the provider calls there instead (RFC 3261 section 21.3.3)

Both are the classic way round a limit: the phone itself dials nothing. So the target is asked about as if the phone
had dialled it, before the provider hears of it, and counts from then on; a REFER that is refused is undone. After a
transfer nobody here sees when the call ends, neither that of the target nor that in which the REFER was sent, nor the
one of which it takes the place (RFC 3891): each counts for an hour. They do from the REFER on, since the phone may hang
up before its answer has come.

A provider's REFER or 302 needs nothing of it, for it makes the phone send an INVITE; neither does one of a phone to
another phone, which sends an INVITE and is counted itself. Call forwarding that is
set at the provider is out of sight.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.b2bua.across.transfer import replaced_in
from gateway.b2bua.legs.leg import Leg
from gateway.config.model import Side
from gateway.config.tables.numbers.number_table import NumberField
from gateway.security.limits.call_limits import OverLimit
from gateway.sip.address import NameAddress
from gateway.sip.message import Request, Response

_CALLED = ("sip", "sips", "tel")


@attrs.frozen
class CountedTransfer:
    """The calls that limits count by a phone's REFER."""

    begun: str = ""
    """The id of the one that it asks for, where limits count that."""
    left: tuple[str, ...] = ()
    """Those that may go on without the phone."""
    news: tuple[str, ...] = ()
    """Of these the ones that no earlier REFER was sent for."""


NO_TRANSFER: Final = CountedTransfer()


def begin_transfer(origin: Leg, request: Request) -> CountedTransfer:
    """Count the calls of a phone's REFER. Raises OverLimit and MalformedMessage."""
    value = request.headers.get("Refer-To")
    if request.method != "REFER" or value is None or not _is_before_provider(origin):
        return NO_TRANSFER
    target, services = NameAddress.parse(value), origin.services
    begun, replaced, left = _begin(origin, target), replaced_in(target.uri, services.dialogs), [origin.record.id]
    if replaced is not None and not services.limits.are_to_one_number(replaced.record.id, begun):
        left.append(replaced.record.id)
    return CountedTransfer(begun, tuple(left), tuple(filter(services.limits.transferred, left)))


def transfer_answered(origin: Leg, transfer: CountedTransfer, status: int) -> None:
    """The provider answered a phone's REFER: it calls the target, or does not."""
    limits = origin.services.limits
    if status < 300:
        limits.unseen(transfer.begun)
        for call_id in transfer.left:
            limits.transferred(call_id)
        return
    limits.undone(transfer.begun)
    for call_id in transfer.news:
        limits.stayed(call_id)


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
    sent = border.numbered(uri, Side.PROVIDER, NumberField.REQUEST_URI)
    if uri.scheme.lower() not in _CALLED or not uri.user or border.domain.is_emergency(sent.user or ""):
        return ""
    limits, call_id = phone.services.limits, phone.services.new_tag()
    permit = border.permit(limits, phone.flow, uri)
    if permit is None:
        return ""
    limits.begin(call_id, permit)
    return call_id
