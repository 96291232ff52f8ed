"""The caller's leg of a call: the gateway is the UAS of the initial INVITE (RFC 3261 section 13.3).

The caller sees one dialog with one To tag, however many phones or branches ring on the other side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Final, cast

from gateway.b2bua.legs.in_dialog import hang_up
from gateway.b2bua.legs.leg import Fields, Leg, LegOwner, LegServices, LegSpec, Lines
from gateway.b2bua.legs.media import has_sdp
from gateway.dialog.dialog import Dialog
from gateway.dialog.prack import ReliableProvisionals, is_required, is_supported
from gateway.sip.bodies.multipart import BodyPart
from gateway.sip.message import Request, Response
from gateway.state.call_record import Passage
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import TransportFailure

_SETTLED: Final = Request("INVITE", "sip:invalid")
"""Stands for an INVITE that is over on both sides: it is asked for nothing any more."""


class CallerLeg(Leg):
    """The leg on which the INVITE of the call came."""

    __slots__ = (
        "_accepted",
        "_number",
        "_reliable",
        "_unwatch",
        "answered",
        "beside",
        "has_answer",
        "invite",
        "local_tag",
        "opening",
    )

    def __init__(self, spec: LegSpec, transaction: ServerTransaction, services: LegServices, owner: LegOwner) -> None:
        super().__init__(spec, transaction.back, services, owner)
        self.invite = transaction.request
        self._number = self.invite.cseq.number
        self.answered = False
        """True once the 2xx was sent, which may wait for a PRACK after it was decided on."""
        self._accepted = False
        self.media.pending_invite = True
        self.opening: ServerTransaction | None = transaction
        """The transaction of the INVITE that began the call, while it is of use, and where this process has it."""
        self.local_tag = services.new_tag()
        self._unwatch: Callable[[], None] | None = None
        self.beside: tuple[BodyPart, ...] = ()
        """Parts that go beside the body of the next response."""
        self.has_answer = False
        """Whether a reliable provisional response has given the answer to its offer (RFC 3262 section 5)."""
        self._reliable: ReliableProvisionals | None = None
        if is_supported(self.invite):
            send = partial(self.respond, transaction)
            self._reliable = ReliableProvisionals(services.clock, send, self._unacknowledged_provisional, first=1)
        self.note(Passage.RECEIVED, self.invite)

    def begin(self) -> None:
        """Say 100 and make the dialog, early until it is answered (RFC 3261 sections 8.2.6.1 and 12.1.1).

        Raises Refused 422 for a session interval that is too small, and MalformedMessage.
        """
        self.dialog = Dialog.from_request(self.invite, self.local_tag)
        self.services.dialogs.began(self, self.dialog)
        self._unwatch = self.way.flow.watch(self._flow_lost)
        self.respond(self.transaction, self.invite.response(100))
        self.session.request_came(self.invite)

    transaction = cast(ServerTransaction, property(attrgetter("opening"), doc="The same, of a call that is set up."))

    def settle(self) -> None:
        """The call has come about on both sides: let go of its INVITE."""
        self.invite, self.opening = _SETTLED, None

    @property
    def is_confirmed(self) -> bool:
        """Whether the caller has acknowledged its answer."""
        return self.answered and not self.acknowledgements.awaits(self._number)

    @property
    def is_reliable(self) -> bool:
        """Whether provisional responses can be sent reliably."""
        return self._reliable is not None

    def progress(self, status: int, reason: str, fields: Lines, body: bytes, *, is_reliable: bool = False) -> None:
        """Pass on a provisional response, reliably where the caller requires it, or supports it and `is_reliable`."""
        if self._accepted or self.ended:
            return
        response = self._response(status, reason, fields, body)
        if self._reliable is None:
            self.respond(self.transaction, response)
        elif is_reliable or is_required(self.invite):
            self.has_answer = self.has_answer or (bool(body) and has_sdp(self.invite))
            self._reliable.send(response)
        else:
            self._reliable.then(lambda: self.respond(self.transaction, response))

    def offer_early(self, status: int, fields: Lines, sdp: bytes, answered: Callable[[Request], None]) -> None:
        """Pass on a provisional response that makes the offer; `answered` is given its PRACK."""
        if self._reliable is not None and not self._accepted and not self.ended:
            self._reliable.send(self._response(status, None, fields, sdp), answered)

    def receive_prack(self, transaction: ServerTransaction, request: Request) -> None:
        """The acknowledgement of a provisional response. SDP in it answers that one's offer, or else is an offer, which
        crosses as one in an UPDATE."""
        answers = self._reliable is not None and self._reliable.awaits_answer
        if self._reliable is None or not self._reliable.receive_prack(request):
            self.respond(transaction, request.response(481))
        elif has_sdp(request) and not answers:
            self.owner.leg_received(self, transaction, request)
        else:
            self.respond(transaction, request.response(200))

    def accept(self, reason: str, fields: Lines, body: bytes, acknowledged: Callable[[Request], None]) -> None:
        """Answer the call with 200, until its ACK comes."""
        response = self._response(200, reason, fields, body)
        self._accepted = True
        self._stop_watching()
        self.media.pending_invite = False
        if self.dialog is not None:
            self.dialog.confirm(response)
        if self._reliable is None:
            self._send_answer(response, acknowledged)
        else:
            self._reliable.then(lambda: self._send_answer(response, acknowledged))

    def refuse(self, status: int, reason: str | None = None, fields: Lines = ()) -> None:
        """Refuse the call; nothing happens when it was answered or refused before."""
        if self.answered or self.ended:
            return
        self.media.pending_invite = False
        self._send(status, reason, fields, b"")
        self.close()

    def leave(self, status: int, fields: Fields = ()) -> None:
        """End the leg, in any state: a final response before the answer, BYE after it."""
        if self.answered:
            hang_up(self, fields, self._number)
        else:
            self.refuse(status, None, fields)

    def close(self) -> None:
        """Expect nothing more on this leg: stop every timer. A caller that said BYE before the answer has an INVITE
        that is still to be answered (RFC 3261 section 15.1.2)."""
        self._stop_watching()
        if self._reliable is not None:
            self._reliable.stop()
            self._reliable = None
        super().close()
        if self.opening is not None and not self.opening.is_answered:
            self._send(487, None, (), b"")

    def _flow_lost(self, failure: TransportFailure) -> None:
        """A caller whose connection is gone before the answer cannot be told of it: nobody is to ring for it. After the
        answer it may connect anew, and the media go on."""
        self.owner.leg_broke(self, f"the connection is gone: {failure.reason}")

    def _stop_watching(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _send_answer(self, response: Response, acknowledged: Callable[[Request], None]) -> None:
        self.answered = True
        self.answer(self.transaction, response, acknowledged)

    def _unacknowledged_provisional(self) -> None:
        self.owner.leg_broke(self, "no PRACK")

    def _send(self, status: int, reason: str | None, fields: Lines, body: bytes) -> None:
        self.respond(self.transaction, self._response(status, reason, fields, body))

    def _response(self, status: int, reason: str | None, fields: Lines, body: bytes) -> Response:
        response = self.invite.response(status, reason, to_tag=self.local_tag)
        response.headers.add_all(fields)
        response.body = body
        response.beside, self.beside = self.beside, ()
        return response
