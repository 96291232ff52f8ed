"""One request inside a call, crossing from the leg it came on to the other leg, and its responses back.

    origin leg                     relay                     peer leg
    re-INVITE, UPDATE, INFO ...  -- SDP offered ->           same method, own CSeq
    response                     <- SDP answered --          response
    ACK (to re-INVITE)           -- late answer ->           ACK

    PRACK with an offer          -- SDP offered ->           UPDATE: the provisional response was acknowledged there

BYE does not cross: it ends the call. Refused here: a change of the media while another one is open on either
leg (491, or 500 with Retry-After where its sender has the other one open: RFC 3261 section 14.2, RFC 3311 section 5.2),
or while the other leg has not acknowledged its 2xx; a body that the relay would not see or not understand (415), and an
offer that the policy or the relay refuses (488; the call goes on as it was, section 14.2). A change that meets a
re-INVITE of the gateway's own on the other leg waits for that one's end (`reoffer`).
"""

from __future__ import annotations

from secrets import randbelow
from typing import Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.exchange import MediaExchange, meet
from gateway.b2bua.across.headers import crossing_back, crossing_with_capabilities
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.across.offer_answer import OfferAnswer
from gateway.b2bua.across.reoffer import Telling
from gateway.b2bua.across.transfer import number_identities, translate
from gateway.b2bua.legs.callee import TIMER_C
from gateway.b2bua.legs.in_dialog import may_cancel, refresh_target
from gateway.b2bua.legs.leg import Fields, Leg
from gateway.b2bua.legs.media import has_sdp
from gateway.dialog.ack import InviteClient
from gateway.dialog.dialog import Dialog, DialogState
from gateway.security.policy.terms import Refusal
from gateway.sip.bodies.session_part import SDP
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Response
from gateway.transaction.client import ClientTransaction, TransactionFailure
from gateway.transaction.server import ServerTransaction

log = Logger()

RETRY_AFTER: Final = 10
"""Seconds that a second change is put off at most (RFC 3261 section 14.2)."""


class Crossing:
    """A request on its way across, one transaction on each leg."""

    def __init__(self, path: MediaPath, legs: tuple[Leg, Leg], transaction: ServerTransaction) -> None:
        self._path = path
        self._origin, self._peer = legs
        self._transaction = transaction
        self._request = transaction.request
        self._method = "UPDATE" if self._request.method == "PRACK" else self._request.method
        self._is_invite = self._method == "INVITE"
        self._offer = MediaExchange(path, self._origin, self._peer) if has_sdp(self._request) else None
        self._bodies = OfferAnswer(path, legs, self._offer)
        self._customs = Customs.at(self._peer.spec.border, self._peer.spec.side)
        self._sent: ClientTransaction | None = None
        self._dialogs: tuple[Dialog | None, Dialog | None] = (None, None)
        self._fork: str | None = None
        """The peer's fork that the offer goes to, while several ring."""
        self._ringing: IDelayedCall | None = None
        self._has_tried = False
        """Whether 100 was said, once."""

    def begin(self) -> None:
        """Send the request to the peer, its SDP through the relay first."""
        try:
            self._customs.check(self._request)
        except Refused as refused:
            self._refuse(refused.status, refused.headers)
            return
        if self._waits():
            self._say_trying()
            return
        if self._is_too_early():
            return
        self._fork = self._peer.fork
        self._open(True)
        if self._is_invite:
            may_cancel(self._origin, self._transaction, self._cancelled)
            self._say_trying()
        path, body = self._path, self._request.body
        if self._offer is not None:
            self._offer.offer(body, self._send, self._barred, self._barred)
        else:
            path.follow(lambda: self._send(b""))

    def receive_response(self, response: Response) -> None:
        """Take the peer's response back to the origin."""
        self._peer.note_received(response)
        if response.status == 100:
            return
        self._peer.speak_with(response.to.tag)
        if self._is_void():
            self._end_void()
            if self._offer is not None and response.status // 100 == 2:
                # The peer took the media of a fork that has lost: it is to hear of those of the call.
                Telling(self._path, (self._peer, self._origin)).begin()
        elif self._path.is_lost and self._changes_media and response.status // 100 == 2:
            self._interrupted(response)
        elif self._is_invite and 200 <= response.status < 300:
            self._success(response)
        else:
            self._bodies.carry_response(response, lambda body: self._respond(response, body))

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No response: 408 to the origin, and the dialog of the peer is over (RFC 3261 section 12.2.1.2)."""
        if self._is_void():
            self._end_void()
            return
        self._fail()
        self._refuse(408)
        self._peer.break_off("no answer to " + self._request.method)

    def _barred(self, refusal: Refusal) -> None:
        """The policy does not let the offer pass, or the relay does not take it."""
        why = refusal.cause or refusal.text
        log.info("an offer in {method} is refused: {why}", method=self._request.method, why=why)
        self._close()
        self._refuse(refusal.status, refusal.headers(self._origin.services.name))

    def _cancelled(self) -> None:
        """The origin gave its INVITE up. The peer's final response goes back: 487, or one that was faster."""
        if self._sent is not None:
            self._sent.cancel((), self._peer.note_cancel)

    def _send(self, body: bytes) -> None:
        if self._transaction.is_cancelled:
            self._fail()
            self._refuse(487)
            return
        headers, peer = self._request.headers, self._peer.spec
        fields = crossing_with_capabilities(headers, peer.side, body)
        if self._offer is not None:
            self._peer.speak_with(self._fork)  # another may have rung meanwhile
        try:
            request = self._peer.make_request(self._method, fields, body)
            translate(request.headers, peer.border, peer.side, self._peer.services.dialogs)
            request.beside = self._customs.beside(self._request)
        except (Refused, MalformedMessage) as refused:
            self._fail()
            self._origin.respond(self._transaction, self._request.response(refused.status, refused.reason))
            return
        user = InviteClient(self._peer, self) if self._is_invite else self
        self._dialogs = self._origin.dialog, self._peer.dialog
        self._sent = sent = self._peer.send(request, user)
        if self._is_invite:
            # Timer C (RFC 3261 section 16.6 item 11): a provisional response must not hold an INVITE for ever. The
            # CANCEL has a time-out of its own, which the call's end does not stop.
            self._ringing = self._peer.clock.callLater(TIMER_C, sent.cancel, (), self._peer.note_cancel)

    def _respond(self, response: Response, body: bytes) -> None:
        if response.status >= 300:
            self._fail()
        elif response.status >= 200:
            self._close()
        if response.status // 100 == 2 and self._method == "UPDATE":
            self._refresh(response)
        self._origin.respond(self._transaction, self._back(response, body))
        if response.status in (408, 481):
            self._peer.break_off(f"{response.status} to {self._request.method}")

    def _success(self, response: Response) -> None:
        self._refresh(response)
        self._bodies.acknowledge(response)
        self._bodies.carry_response(response, lambda sdp: self._accept(response, sdp))

    def _interrupted(self, response: Response) -> None:
        """The peer has accepted a change without a relay for it: the origin may try again, and the peer is offered the
        media of before when another relay has the call (relay_failover)."""
        if self._is_invite:
            in_force = self._peer.media.in_force
            sdp = b"" if self._offer is not None or in_force is None else in_force.ours
            self._peer.acknowledge(response.cseq.number, (("Content-Type", SDP),) if sdp else (), sdp)
        self._fail()
        self._put_off()

    def _refresh(self, response: Response) -> None:
        """Both Contacts count from now on: the request's once it is accepted (RFC 6141 section 4), the answer too."""
        self._origin.speak_with(self._request.from_.tag)
        if self._request.method != "PRACK":
            refresh_target(self._origin, self._request)
        refresh_target(self._peer, response)

    def _accept(self, response: Response, sdp: bytes) -> None:
        self._close()
        self._origin.services.keeper.note(self._origin.owner)
        self._origin.answer(
            self._transaction, self._back(response, sdp), lambda ack: self._bodies.acknowledged(response, ack)
        )

    def _back(self, response: Response, body: bytes) -> Response:
        back = self._request.response(response.status, response.reason)
        origin = self._origin.spec
        back.headers.add_all(crossing_back(response.headers, origin.side, body))
        number_identities(back.headers, origin.border, origin.side)
        back.body = body
        back.beside = Customs.at(origin.border, origin.side).beside(response)
        return back

    @property
    def _changes_media(self) -> bool:
        return self._is_invite or self._offer is not None

    def _waits(self) -> bool:
        """Whether this change is kept until a re-INVITE of ours on the other leg has come to its end (reoffer)."""
        return self._changes_media and self._origin.media.is_repeated and self._path.hold(self.begin)

    def _say_trying(self) -> None:
        if self._is_invite and not self._has_tried:
            self._has_tried = True
            self._origin.respond(self._transaction, self._request.response(100))

    def _is_too_early(self) -> bool:
        """Whether another change of the media is open; it was answered then (RFC 3261 section 14.2, RFC 3311 section
        5.2)."""
        origin, peer = self._origin, self._peer
        if self._changes_media:
            if (self._is_invite and self._is_second()) or origin.media.pending_offer:
                self._put_off()
                return True
            if any(map(self._is_changing, (origin, peer))) or (self._is_invite and peer.acknowledgements.is_waiting):
                self._refuse(491)
                return True
            if not meet(peer, self._path.agreed):
                self._refuse(488) if self._request.method == "PRACK" else self._put_off()
                return True
        return False

    def _is_second(self) -> bool:
        """Whether the origin has another INVITE without final response."""
        dialog = self._origin.dialog
        if dialog is not None and dialog.state is DialogState.EARLY and not dialog.is_initiator:
            return True
        others = (one for one in self._origin.open_requests if one is not self._transaction)
        return any(one.method == "INVITE" and not one.is_answered for one in others)

    def _is_changing(self, leg: Leg) -> bool:
        """Whether a change is open on one leg that this one must not meet."""
        media, dialog = leg.media, leg.dialog
        if media.pending_offer is not None:
            return True
        if dialog is None or dialog.state is not DialogState.CONFIRMED:
            # A fork that rings still owes the answer to our INVITE's offer, or has not made its own.
            is_open = leg is self._origin and leg.fork is not None and leg.fork not in media.forks
            return is_open or (self._is_invite and media.pending_invite)
        return media.pending_invite

    def _is_void(self) -> bool:
        """Whether another fork or attempt has the call since this request left: it changes nothing any more. Within a
        call that was answered there is no such thing."""
        if self._is_invite:
            return False
        now = (self._origin.dialog, self._peer.dialog)
        is_lost = now != self._dialogs and self._origin.fork is None and self._peer.fork is None
        return is_lost or self._origin.ended or self._peer.ended

    def _end_void(self) -> None:
        self._close()
        if self._offer is not None:
            self._offer.give_up()
        if not self._transaction.is_answered:
            self._put_off()

    def _put_off(self) -> None:
        """Let the origin try again, and nothing change."""
        self._refuse(500, (("Retry-After", str(randbelow(RETRY_AFTER + 1))),))

    def _refuse(self, status: int, fields: Fields = ()) -> None:
        response = self._request.response(status)
        response.headers.add_all(fields)
        self._origin.respond(self._transaction, response)

    def _open(self, is_open: bool) -> None:
        """Note on both legs that an INVITE is open, or no longer."""
        for leg in (self._origin, self._peer):
            if self._is_invite:
                leg.media.pending_invite = is_open

    def _fail(self) -> None:
        """The request changes nothing."""
        self._close()
        self._bodies.fail()

    def _close(self) -> None:
        self._open(False)
        if self._ringing is not None and self._ringing.active():
            self._ringing.cancel()
