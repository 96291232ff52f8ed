"""A call that is being set up, as it is kept: enough to end it on both sides, and no more.

    the caller's INVITE and our tag     -> a final response to it
    each INVITE of ours that has left   -> its CANCEL, or ACK and BYE for a 2xx that comes all the same
    the dialog with a callee, answered  -> ACK and BYE
    that of a fork that came too late   -> the same; of a call that is up, too
    ENDING, RECORDED                    -> as of a call that is up (frozen_call)

Of a request those header fields are kept that these messages are made from: no body, and no credentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from twisted.logger import Logger

from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.survival.frozen_leg import CSEQ_GAP, FrozenWay, frozen_way
from gateway.base.json_codec import decode, encode
from gateway.dialog.dialog import Dialog
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import IDENTIFIES, Request, Response
from gateway.sip.parser import parse
from gateway.state.call_record import CallDirection, CallRecord

log = Logger()

FORM: Final = 1
"""The version of the form of all calls. Another one is not read, and its calls are left alone."""

INVITED: Final = b"I"
ANSWERED: Final = b"A"
TURNED_AWAY: Final = b"T"
ENDING: Final = b"E"
RECORDED: Final = b"R"

MOST_INVITES: Final = 64
"""INVITEs of one call that are given up at a start."""

_NEEDED: Final = IDENTIFIES | {"route", "record-route", "contact"}


def frozen_opening(caller: CallerLeg) -> bytes:
    """The caller's side."""
    return encode(
        {
            "form": FORM,
            "opening": frozen_beginning(caller.record),
            "asked": [frozen_way(caller), caller.local_tag, _frozen_request(caller.invite)],
        }
    )


def frozen_invite(leg: CalleeLeg, invite: Request) -> bytes:
    """An INVITE of ours that has left."""
    return INVITED + encode([frozen_way(leg), _frozen_request(invite)])


def frozen_answer(leg: CalleeLeg) -> bytes:
    """A callee has answered, and nobody else has been told: the part of the dialog that its INVITE does not have."""
    dialog = leg.dialog
    if dialog is None:
        raise ValueError("a leg without a dialog")
    return ANSWERED + encode([dialog.call_id, dialog.remote, dialog.remote_target, dialog.route_set])


def frozen_stray(leg: CalleeLeg, answer: Response) -> bytes:
    """A 2xx that nobody waits for: the whole dialog, since its INVITE may not be kept any more."""
    invite = leg.invited
    if invite is None:
        raise ValueError("an answer without an INVITE")
    dialog = Dialog.from_response(invite, answer)
    names = [dialog.call_id, dialog.local, dialog.remote]
    return TURNED_AWAY + encode([frozen_way(leg), *names, dialog.remote_target, dialog.route_set, answer.cseq.number])


def frozen_beginning(record: CallRecord) -> list[object]:
    """The part of a record that is known before the call begins."""
    return [
        record.id,
        record.direction,
        record.domain,
        record.caller,
        record.callee,
        record.started_at,
        record.is_caller_known,
        record.provider,
        record.is_emergency,
        record.caller_number,
        record.callee_number,
    ]


def thawed_beginning(kept: Any) -> CallRecord:
    """A record that begins as that one."""
    call_id, direction, domain, caller, callee, started_at, is_known, provider, is_emergency, *numbers = kept
    return CallRecord(
        id=call_id,
        direction=CallDirection(direction),
        domain=domain,
        caller=caller,
        callee=callee,
        started_at=float(started_at),
        is_caller_known=bool(is_known),
        provider=provider,
        is_emergency=bool(is_emergency),
        caller_number=numbers[0],
        callee_number=numbers[1],
    )


class FrozenInvite(NamedTuple):
    """A request with its way."""

    way: FrozenWay
    request: Request


class FrozenAnswer(NamedTuple):
    """A callee that has answered: our dialog with it, and the CSeq number of the INVITE."""

    way: FrozenWay
    dialog: Dialog
    number: int

    @classmethod
    def of(cls, kept: Any, invites: Sequence[FrozenInvite]) -> FrozenAnswer:
        """The answer to one of these INVITEs, the last of its dialog."""
        call_id, remote, target, route_set = kept
        invite = next(one for one in reversed(invites) if one.request.call_id == call_id)
        request, number = invite.request, invite.request.cseq.number
        names, cseq = (str(call_id), request.from_.text, str(remote)), (number + CSEQ_GAP, None)
        dialog = Dialog.between(names, str(target), map(str, route_set), cseq, is_initiator=True)
        return cls(invite.way, dialog, number)

    @classmethod
    def stray(cls, kept: Any) -> FrozenAnswer:
        """One that nobody waited for."""
        way, call_id, local, remote, target, route_set, number = kept
        names, cseq = (str(call_id), str(local), str(remote)), (int(number) + CSEQ_GAP, None)
        dialog = Dialog.between(names, str(target), map(str, route_set), cseq, is_initiator=True)
        return cls(FrozenWay.of(way), dialog, int(number))


UNREADABLE: Final = (KeyError, ValueError, TypeError, IndexError, AttributeError, StopIteration, MalformedMessage)
"""Raised by records that another version wrote, or nobody."""


def thawed_strays(pieces: Sequence[bytes], call_id: str) -> tuple[FrozenAnswer, ...]:
    """The callees that were being turned away, but for those that cannot be read: the call goes on without them."""
    strays = []
    for piece in pieces:
        if piece[:1] == TURNED_AWAY:
            try:
                strays.append(FrozenAnswer.stray(decode(piece[1:])))
            except UNREADABLE:
                log.warn("call {call_id}: a callee that answered too late cannot be read", call_id=call_id)
    return tuple(strays)


class FrozenOpening(NamedTuple):
    """A call that was being set up, as it was read."""

    record: CallRecord
    asked: FrozenInvite
    tag: str
    invites: tuple[FrozenInvite, ...]
    answers: tuple[FrozenAnswer, ...]
    strays: tuple[FrozenAnswer, ...]
    """Callees that answered when nobody waited for it."""
    is_recorded: bool

    @classmethod
    def of(cls, pieces: Sequence[bytes]) -> FrozenOpening | None:
        """The call of these records; None where they are of a call that was up, or cannot be read."""
        try:
            kept: Any = decode(pieces[0])
            if kept["form"] != FORM or "opening" not in kept:
                return None
            way, tag, asked = kept["asked"]
            later = [decode(piece[1:]) for piece in pieces[1:] if piece[:1] == INVITED]
            answers: list[Any] = [decode(piece[1:]) for piece in pieces[1:] if piece[:1] == ANSWERED]
            invites = tuple(_thawed_invite(one) for one in later[:MOST_INVITES])
            record = thawed_beginning(kept["opening"])
            return cls(
                record,
                FrozenInvite(FrozenWay.of(way), _thawed_request(asked)),
                str(tag),
                invites,
                tuple(FrozenAnswer.of(answer, invites) for answer in answers),
                thawed_strays(pieces[1:], record.id),
                RECORDED in pieces[1:],
            )
        except UNREADABLE:
            return None


def _frozen_request(request: Request) -> str:
    lines = request.headers.to_bytes(_NEEDED)
    return f"INVITE {request.uri} SIP/2.0\r\n{lines.decode('utf-8', 'surrogateescape')}\r\n"


def _thawed_request(kept: str) -> Request:
    request = parse(kept.encode("utf-8", "surrogateescape"))
    if not isinstance(request, Request):
        raise MalformedMessage("no request")
    return request


def _thawed_invite(kept: Any) -> FrozenInvite:
    way, request = kept
    return FrozenInvite(FrozenWay.of(way), _thawed_request(request))
