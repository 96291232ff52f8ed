"""Requests inside the dialog of one leg: the peer's, as far as they concern this leg alone, and BYE of ours.

BYE, PRACK, OPTIONS and a refresh without an offer are answered here; every other request goes to the leg's owner, and
from there to the other leg. How a dialog begins is in ``caller`` (the gateway as UAS) and ``callee`` (as UAC).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.b2bua.across.headers import take_out_providers
from gateway.b2bua.legs.leg import Fields, Leg
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from gateway.state.call_record import Passage
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction

log = Logger()

RECONNECTS_WITHIN: Final = "5"
"""Seconds after which a request is to come again where its receiver has lost its connection with the process before."""


def puts_off(leg: Leg, transaction: ServerTransaction, peer: Leg) -> bool:
    """Whether a request of `leg` has to come again, since its receiver's connection ended with another process and is
    not there yet: then it is told so."""
    if peer.opened_flow().is_open:
        return False
    refused = transaction.request.response(500)
    refused.headers.add("Retry-After", RECONNECTS_WITHIN)
    leg.respond(transaction, refused)
    return True


def receive_request(leg: Leg, transaction: ServerTransaction, request: Request) -> None:
    """Take a request inside the dialog, in CSeq order (RFC 3261 section 12.2.2)."""
    leg.note(Passage.RECEIVED, request)
    if leg.spec.border.is_between_phones:
        take_out_providers(request.headers)
    flow = leg.way.flow
    leg.way.follow(transaction)
    if leg.way.flow is not flow:
        leg.services.keeper.note(leg.owner)
    dialog = leg.dialog_of(request)
    if dialog is None or leg.ended or (leg.is_leaving and request.method != "BYE"):
        leg.respond(transaction, request.response(481))
        return
    try:
        dialog.receive_request(request)
        leg.session.request_came(request)
    except Refused as refused:
        response = request.response(refused.status, refused.reason or None)
        response.headers.add_all(refused.headers)
        leg.respond(transaction, response)
        return
    _sort(leg, transaction, request)


def _sort(leg: Leg, transaction: ServerTransaction, request: Request) -> None:
    if request.method == "BYE":
        owner = leg.owner
        leg.services.keeper.ends(owner)
        leg.respond(transaction, request.response(200))
        leg.close()
        owner.leg_hung_up(leg, request)
    elif request.method == "PRACK":
        leg.receive_prack(transaction, request)
    elif request.method == "OPTIONS":
        leg.respond(transaction, request.response(200))
    else:
        leg.open_requests = (*(one for one in leg.open_requests if not one.is_answered), transaction)
        leg.owner.leg_received(leg, transaction, request)


def receive_ack(leg: Leg, ack: Request) -> None:
    """Take the ACK of a 2xx that this leg was given."""
    leg.note(Passage.RECEIVED, ack)
    leg.acknowledgements.receive(ack)


def receive_cancel(leg: Leg, transaction: ServerTransaction, cancel: Request) -> None:
    """Take the CANCEL of an INVITE within the dialog (RFC 3261 section 9.2)."""
    leg.note(Passage.RECEIVED, cancel)
    cancelled = leg.cancels.get(transaction)
    if cancelled is not None:
        leg.cancels = {one: told for one, told in leg.cancels.items() if one is not transaction}
        cancelled()


def may_cancel(leg: Leg, transaction: ServerTransaction, cancelled: Callable[[], None]) -> None:
    """Let `cancelled` be called when the peer cancels this INVITE of its, before it is answered."""
    others = {one: told for one, told in leg.cancels.items() if not one.is_answered}
    leg.cancels = {**others, transaction: cancelled}


def refreshed(leg: Leg, transaction: ServerTransaction, request: Request) -> None:
    """Answer an UPDATE that offers nothing: it is about this leg's session timer and target alone, and need not
    reach a peer that knows no UPDATE: its 405 would tell its sender that the session cannot be refreshed."""
    if leg.dialog is not None:
        leg.dialog.refresh_target(request)
    leg.respond(transaction, request.response(200))


def hang_up(leg: Leg, fields: Fields = (), answered: int = 0) -> None:
    """End the dialog with BYE. Where we `answered` the INVITE of that CSeq number, BYE waits for the ACK of the 2xx, or
    64*T1 without one (RFC 3261 section 15): until then the leg knows of that ACK alone, and of the peer's own BYE."""
    if leg.ended or leg.is_leaving or leg.dialog is None:
        return
    if leg.acknowledgements.awaits(answered):
        leg.leave_owner()
        leg.acknowledgements.afterwards(answered, partial(_say_goodbye, leg, fields))
    else:
        _say_goodbye(leg, fields)


def _say_goodbye(leg: Leg, fields: Fields) -> None:
    bye = leg.make_request("BYE", fields)
    leg.close()
    leg.send(bye, _Goodbye(leg))


def refresh_target(leg: Leg, message: Request | Response) -> None:
    """Let the Contact of a message that the peer sent, or accepted, be the dialog's remote target (RFC 3261 section
    12.2.1.2). One that cannot be read leaves the target as it was, which is better than the end of the call."""
    if leg.dialog is None:
        return
    try:
        leg.dialog.refresh_target(message)
    except MalformedMessage as error:
        log.info("the {leg} stays where it was: {reason}", leg=leg.spec.name, reason=error.reason)


@attrs.define
class _Goodbye:
    """Waits for the answer to a BYE: with any answer, the dialog is over (RFC 3261 section 15.1.1)."""

    leg: Leg

    def receive_response(self, response: Response) -> None:
        self.leg.note_received(response)
        if response.status in (401, 407):
            log.warn("the {leg} leg challenges BYE: its side of the call may stay up", leg=self.leg.spec.name)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        log.debug("no answer to BYE on the {leg} leg: {failure}", leg=self.leg.spec.name, failure=failure)
