"""The callee's leg of a call: the gateway is the UAC of one INVITE (RFC 3261 section 13.2).

One object is one INVITE transaction; a second attempt (other transport, other media profile) is a second object with
the same Call-ID and From tag and a higher CSeq. Forks are settled here: the first 2xx wins, another one is
acknowledged and hung up at once (13.2.2.4), and a 2xx that crosses our CANCEL likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from twisted.internet.interfaces import IDelayedCall

from gateway.b2bua.late_answers import LateAnswers, Strays
from gateway.b2bua.legs.in_dialog import hang_up
from gateway.b2bua.legs.leg import Fields, Leg, LegOwner, LegServices, LegSpec
from gateway.b2bua.legs.media import has_sdp
from gateway.b2bua.legs.owner import UNHEARD, InviterOf
from gateway.dialog import prack as reliable
from gateway.dialog.dialog import Dialog
from gateway.sip.bodies.session_part import SDP
from gateway.sip.capabilities import RELIABLE
from gateway.sip.message import Request, Response
from gateway.transaction.client import ClientTransaction, TransactionFailure, Unheeded
from gateway.transport.flow import Flow

TIMER_C: Final = 185.0
"""Seconds that an INVITE may ring on without another provisional response: more than three minutes."""

RINGING_AT_MOST: Final = 900.0
"""Seconds that an INVITE may ring on in all: a queue may hold a caller for long, but each
of its responses would start timer C anew, without end."""

MOST_FORKS: Final = 8
"""Early dialogs of one INVITE: each keeps a description, and any callee can make as many as To tags. A fork
beyond these rings unheard; its 2xx still counts."""


_NONE: Final[Mapping[str, Any]] = {}


Inviter: TypeAlias = InviterOf["CalleeLeg"]
"""The sender of the INVITE."""


class CalleeLeg(Leg):
    """The leg that the gateway calls."""

    __slots__ = (
        "_abandoned",
        "_described",
        "_early",
        "_finished",
        "_inviter",
        "_number",
        "_received",
        "_ringing",
        "_rings_until",
        "_strays",
        "_winner",
        "has_heard",
        "heard_after",
        "request",
        "takes_early_offers",
        "transaction",
    )

    def __init__(self, spec: LegSpec, flow: Flow, services: LegServices, owner: LegOwner, inviter: Inviter) -> None:
        super().__init__(spec, flow, services, owner)
        self.request: Request | None = None
        """The INVITE, until the call has come about: then its transaction alone has it, while a fork may answer."""
        self._number = 0
        """Its CSeq number."""
        self.has_heard = False
        """Whether any response came."""
        self.heard_after = 0.0
        """Seconds that the first one took."""
        self.takes_early_offers = False
        """Whether a late offer may come in a reliable provisional response (RFC 3262 section 5)."""
        self._inviter = inviter
        self.transaction: ClientTransaction | None = None
        """Of the INVITE, once it was sent."""
        self._early: Mapping[str, Dialog] = _NONE
        self._received: Mapping[str, reliable.Received] = _NONE
        self._described: Mapping[str, bytes] = _NONE
        self._strays: Strays | None = None
        """The answers that nobody waits for; few legs have any."""
        self._ringing: IDelayedCall | None = None
        self._rings_until = 0.0
        self._winner: str | None = None
        self._abandoned = False
        self._finished = False

    def invite(self, request: Request) -> None:
        """Send the INVITE."""
        request.headers.set_lines((("contact", f"Contact: {self.contact}"),))
        if request.body or self.takes_early_offers:
            supported = [*request.headers.values("Supported"), RELIABLE]
            request.headers.set("Supported", ", ".join(supported))
        self.request, self._number = request, request.cseq.number
        self._rings_until = self.clock.seconds() + RINGING_AT_MOST
        self.media.pending_invite = True
        self.media.pending_offer = False if request.body else None
        self.transaction = self.send(request, self)
        self.services.keeper.invited(self)

    @property
    def invited(self) -> Request | None:
        """The INVITE, as long as a response to it may come."""
        if self.request is not None:
            return self.request
        transaction = self.acknowledgements.transaction_of(self._number)
        return None if transaction is None else transaction.request

    def abandon(self, fields: Fields = ()) -> None:
        """Give the leg up, in any state: CANCEL before the answer, BYE after it."""
        if self._winner is not None:
            if not self.acknowledgements.is_sent:
                self.acknowledge(self._number)
            hang_up(self, fields)
            return
        self._abandoned = True
        self._inviter = UNHEARD
        if self.transaction is not None and not self._finished:
            self.transaction.cancel(fields, self.note_cancel)
        self._close_early()

    def turn_down(self, response: Response, fields: Fields) -> None:
        """Acknowledge a 2xx that may not stand, and hang up."""
        self.acknowledge(response.cseq.number)
        hang_up(self, fields)

    def close(self) -> None:
        """Expect nothing more on this leg. Copies and forks of its 2xx may come for a while: a small heir answers them,
        so that the call's whole memory need not wait for them."""
        if self._ringing is not None:
            self._stop_ringing_timer()
        transaction = None if self._winner is None else self.acknowledgements.transaction_of(self._number)
        if transaction is not None and self._winner is not None:
            ack = transaction.acknowledgement
            heir = None if ack is None else LateAnswers(ack, self.flow, self.services.transactions, self._winner)
            if self._strays is not None and heir is not None:
                heir.hung_up = self._strays.hung_up
            transaction.release(heir)
        super().close()

    @property
    def fork(self) -> str | None:
        """The tag of the early dialog that was heard of last; None once one has won."""
        return None if self.dialog is None or self._winner is not None else self.dialog.remote_tag

    def is_late(self, response: Response) -> bool:
        """Whether a provisional response makes the offer that the INVITE did not, to be answered in its PRACK."""
        is_ours = self.request is not None and not self.request.body and self.takes_early_offers
        return is_ours and has_sdp(response) and reliable.is_required(response)

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog with the fork that a request came from: each has its own CSeq (RFC 3261 section 12.2.2)."""
        self.speak_with(request.from_.tag)
        return self.dialog

    def speak_with(self, tag: str | None) -> None:
        """Let a fork be the one that is spoken with, where it still rings."""
        self.dialog = self._early.get(tag or "", self.dialog)

    def receive_response(self, response: Response) -> None:
        """Sort the responses of the INVITE: provisional, first 2xx, a fork's 2xx, refusal."""
        if not self.has_heard:
            self.has_heard, self.heard_after = True, self.clock.seconds() - self._rings_until + RINGING_AT_MOST
        if response.status < 200 and not self._abandoned and self._winner is None:
            self._restart_ringing_timer()  # first: whether it can be read or not, the transaction has no timer any more
        self.note_received(response)
        if response.status < 200:
            self._progress(response)
        elif response.status < 300:
            self._success(response)
        else:
            self._finish()
            self._close_early()
            if not self._abandoned:
                self._inviter.callee_refused(self, response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No final response will come."""
        if self._winner is not None:
            return
        if failure.timed_out and self.request is not None and self.transaction is not None:
            self.services.forgotten.note(self.request, self.transaction.flow)  # a long one may have left over TCP
        self._finish()
        self._close_early()
        if not self._abandoned:
            self._inviter.callee_failed(self, failure)

    def _ringing_expired(self) -> None:
        """Timer C (RFC 3261 section 16.6 item 11): nobody answers, and nobody says that it goes on."""
        self._ringing = None
        if not self._finished and not self._abandoned:
            inviter = self._inviter
            self.abandon()
            inviter.callee_failed(self, TransactionFailure())

    def _restart_ringing_timer(self) -> None:
        if self._ringing is not None:
            self._stop_ringing_timer()
        clock = self.services.clock
        left = self._rings_until - clock.seconds()
        self._ringing = clock.callLater(max(min(TIMER_C, left), 0.0), self._ringing_expired)

    def _stop_ringing_timer(self) -> None:
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None

    def _progress(self, response: Response) -> None:
        if response.status == 100 or self._abandoned or self._winner is not None:
            return
        tag = response.to.tag
        if tag is not None and not self._is_known_fork(tag, response):
            return
        is_reliable = reliable.is_required(response)
        if is_reliable and not self._is_next(tag or "", response):
            return
        if is_reliable and not self.is_late(response):
            self.acknowledge_provisional(response)
        if response.body and has_sdp(response):
            self._described = {**self._described, tag or "": response.body}
            if tag is not None and is_reliable:
                self.media.reliable_forks |= {tag}
        self._inviter.callee_progressed(self, response)

    def acknowledge_provisional(self, response: Response, sdp: bytes = b"") -> None:
        """Send the PRACK of a reliable response, with the answer to its offer if it made one."""
        dialog = self._early.get(response.to.tag or "", self.dialog)
        if dialog is None or self.ended:
            return
        prack = dialog.make_request("PRACK")
        prack.headers.add("RAck", f"{response.headers.get('RSeq')} {response.cseq}")
        if sdp:
            prack.headers.add("Content-Type", SDP)
            prack.body = sdp
        self.send(prack, Unheeded())

    def _is_known_fork(self, tag: str, response: Response) -> bool:
        """Let the fork with this tag be the one that is spoken with; False for one too many."""
        if tag not in self._early:
            if len(self._early) >= MOST_FORKS:
                return False
            self._begin(tag, response)
        self.dialog = self._early[tag]
        return True

    def _is_next(self, tag: str, response: Response) -> bool:
        """Whether a reliable response is due; False for a copy, or one that is out of order."""
        if tag not in self._early:
            return False
        if tag not in self._received:
            self._received = {**self._received, tag: reliable.Received()}
        return self._received[tag].is_next(response)

    def _success(self, response: Response) -> None:
        tag = response.to.tag or ""
        if self._abandoned or (self._winner is not None and tag != self._winner):
            self._turn_away(response)
        elif self._winner == tag:
            self.acknowledge_again(response.cseq.number)
        else:
            self._win(tag, response)

    def _win(self, tag: str, response: Response) -> None:
        dialog = self._early.get(tag) or self._begin(tag, response)
        dialog.confirm(response)
        self._winner = tag
        self._finish()
        self.dialog = dialog
        self._close_early()
        self._complete(tag, response)
        self._received = self._described = _NONE
        inviter, self._inviter = self._inviter, UNHEARD
        inviter.callee_answered(self, response)

    def _complete(self, tag: str, response: Response) -> None:
        """Put the answer into a 2xx that leaves it out since an 18x had it (RFC 3262 section 5): the caller may have
        got that one unreliably, and has no answer before the 2xx's (RFC 3261 section 13.2.1). Where an UPDATE has
        changed the media since, that answer is no longer in force."""
        sdp = self._described.get(tag)
        given = self.media.forks.get(tag)
        is_changed = given is not None and (self.request is None or given.here.ours != self.request.body)
        if sdp is None:
            self.media.encrypted = None if given is None else given.here.encrypted  # not by what another fork said
        elif not response.body and not is_changed and self.request is not None and has_sdp(self.request):
            response.headers.set("Content-Type", SDP)
            response.body = sdp

    def _begin(self, tag: str, response: Response) -> Dialog:
        if self.request is None:
            raise AssertionError("a response without a request")
        dialog = Dialog.from_response(self.request, response)
        self._early = {**self._early, tag: dialog}
        self.dialog = dialog
        self.services.dialogs.began(self, dialog)
        return dialog

    def _turn_away(self, response: Response) -> None:
        """Acknowledge a 2xx that nobody waits for, and hang it up."""
        if self._strays is None:
            invite = self.invited
            if invite is None:
                return
            self._strays = Strays(invite)
        ack, bye = self._strays.requests(response)
        if bye is not None:
            self.services.keeper.turns_away(self, response)
        self.services.transactions.send_ack(ack, self.flow)
        if bye is not None:
            self.send(bye, Unheeded())

    def _finish(self) -> None:
        self._finished, self.transaction = True, None
        self.media.pending_invite = False
        self._stop_ringing_timer()

    def _close_early(self) -> None:
        """Forget the early dialogs that did not win."""
        for tag, dialog in self._early.items():
            if tag != self._winner:
                self.services.dialogs.ended(self, dialog)
        self._early = _NONE
        if self._winner is None:
            self.close()
