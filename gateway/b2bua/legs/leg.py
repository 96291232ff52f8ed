"""One leg of a call: its dialog, the flow it is reached over, and the messages of that dialog.

A leg speaks SIP to one side and reports to its owner, the call. It knows nothing of the other leg. What is common
to both legs lives here: requests inside the dialog, their responses, the 2xx that is sent until its ACK comes
(RFC 3261 section 13.3.1.4), the ACK that is sent again for every 2xx (13.2.2.4), and BYE. How a call begins is in
``caller`` (the gateway as UAS) and ``callee`` (the gateway as UAC).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gateway.config.model import Side
from gateway.dialog.ack import Acknowledgements
from gateway.dialog.dialog import Dialog, DialogState
from gateway.dialog.session_refresh import LegSession
from gateway.media.relay import Encryption, Relay, SdpWish
from gateway.sdp.description import MalformedDescription
from gateway.sdp.negotiation import media_encrypted
from gateway.sip.capabilities import ALLOW, SOFTWARE
from gateway.sip.errors import Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, Response
from gateway.state.call_record import CallRecord, LegName, Passage
from gateway.transaction.client import ClientTransaction, TransactionFailure, TransactionUser
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()

SDP: Final = "application/sdp"

Fields = Iterable[tuple[str, str]]

Lines = Headers | Fields
"""Fields that the other leg's message had, as they stood, or some of our own."""


Reopen = Callable[[], Flow | None]


def _never() -> Flow | None:
    """There is no other way to the peer."""
    return None


@attrs.frozen
class LegSpec:
    """What is settled of a leg before its first message."""

    name: LegName
    side: Side
    media: SdpWish
    """What SDP toward this leg is to look like."""
    user: str
    """The user part of the Contact that this leg's peer sees."""
    reopen: Reopen = attrs.field(default=_never, eq=False)
    """Opens another flow to the peer when this leg's connection is gone."""


class LegOwner(Protocol):
    """Who a leg reports to: the call."""

    @property
    def record(self) -> CallRecord:
        """Where the leg's ladder is kept."""

    def other_leg(self, leg: Leg) -> Leg | None:
        """The leg on the other side, once there is one."""

    def first_request(self, leg: Leg, request: Request) -> None:
        """A request came before the leg has a dialog, which this may make."""

    def leg_received(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """A request inside the dialog is to cross to the other leg."""

    def leg_hung_up(self, leg: Leg, bye: Request) -> None:
        """The peer sent BYE, and was answered."""

    def leg_broke(self, leg: Leg, why: str) -> None:
        """The peer is gone: no ACK, no answer, or the dialog is unknown to it."""

    def media_settled(self, leg: Leg) -> None:
        """An answer settled how this leg's media travel."""

    def dialog_began(self, leg: Leg, dialog: Dialog) -> None:
        """Requests of this dialog belong to this leg from now on."""

    def dialog_ended(self, dialog: Dialog) -> None:
        """They no longer do."""


@attrs.frozen
class Nobody:
    """Takes the owner's place when a leg has ended: the ladder goes on, and nothing else follows from anything."""

    record: CallRecord

    def other_leg(self, leg: Leg) -> Leg | None:
        """There is none any more."""
        return None

    def first_request(self, leg: Leg, request: Request) -> None:
        """Nothing begins."""

    def leg_received(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """Nothing crosses."""

    def leg_hung_up(self, leg: Leg, bye: Request) -> None:
        """It is over."""

    def leg_broke(self, leg: Leg, why: str) -> None:
        """It is over."""

    def media_settled(self, leg: Leg) -> None:
        """No verdict changes any more."""

    def dialog_began(self, leg: Leg, dialog: Dialog) -> None:
        """No request finds it."""

    def dialog_ended(self, dialog: Dialog) -> None:
        """It had."""


@attrs.frozen
class Stack:
    """The layers that calls use. One for the whole gateway."""

    transactions: TransactionLayer
    relay: Relay
    name: str
    """What this gateway calls itself in Warning fields (RFC 3261 section 20.43)."""
    clock: IReactorTime
    now: Callable[[], float]
    """Seconds since the epoch."""
    new_tag: Callable[[], str]
    """A fresh random token for tags and Call-IDs (RFC 3261 section 19.3: at least 32 random bits)."""


class Leg:
    """What both legs of a call have in common."""

    def __init__(self, terms: LegSpec, flow: Flow, stack: Stack, owner: LegOwner) -> None:
        self.terms = terms
        self.flow = flow
        self.dialog: Dialog | None = None
        self.ended = False
        self.pending_invite = False
        """True while an INVITE of either direction has no final response on this leg (RFC 3261 section 14)."""
        self.pending_update = False
        """True while an offer in an UPDATE of either direction has no response on this leg (RFC 3311 section 5)."""
        self.their_sdp = b""
        """The last session description that the peer sent."""
        self.media_encrypted: bool | None = None
        """What the last answer with any media on this leg settled; None before there was one."""
        self._stack = stack
        self._owner: LegOwner = owner
        self.session = LegSession()
        self.acknowledgements = Acknowledgements(stack.clock)
        self._open: list[ServerTransaction] = []
        self._cancels: dict[ServerTransaction, Callable[[], None]] = {}

    @property
    def domain(self) -> str:
        """The domain that the call is of; empty for a subscription."""
        return self._owner.record.domain

    @property
    def is_toward_provider(self) -> bool:
        """True for the leg whose protection the verdict is about."""
        return self.terms.side is Side.PROVIDER

    @property
    def is_reinvited(self) -> bool:
        """Whether a re-INVITE has no final response on this leg."""
        return self.pending_invite and self.dialog is not None and self.dialog.state is DialogState.CONFIRMED

    @property
    def media_tag(self) -> str:
        """The tag of this leg at the media relay."""
        return str(self.terms.name)

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """Take a request inside the dialog, in CSeq order (RFC 3261 section 12.2.2)."""
        self._note(Passage.RECEIVED, request)
        self._follow(transaction.flow)
        if self.dialog is None:
            self._owner.first_request(self, request)
        dialog = self.dialog
        if dialog is None or self.ended:
            self.respond(transaction, request.response(481))
            return
        try:
            dialog.receive_request(request)
            self.session.request_came(request)
        except Refused as refused:
            response = request.response(refused.status, refused.reason or None)
            response.headers.add_all(refused.headers)
            self.respond(transaction, response)
            return
        if request.method == "BYE":
            self.respond(transaction, request.response(200))
            owner = self._owner
            self.close()
            owner.leg_hung_up(self, request)
            return
        if request.method == "PRACK":
            self.receive_prack(transaction, request)
            return
        if request.method == "OPTIONS":
            self.respond(transaction, request.response(200))
            return
        self._open = [*(one for one in self._open if not one.is_answered), transaction]
        self._owner.leg_received(self, transaction, request)

    def refreshed(self, transaction: ServerTransaction, request: Request) -> None:
        """Answer an UPDATE that offers nothing: it is about this leg's session timer and target alone, and need not
        reach a peer that knows no UPDATE, whose 405 would tell its sender that the session cannot be refreshed."""
        if self.dialog is not None:
            self.dialog.refresh_target(request)
        self.respond(transaction, request.response(200))

    def may_cancel(self, transaction: ServerTransaction, cancelled: Callable[[], None]) -> None:
        """Let `cancelled` be called when the peer cancels this INVITE of its, before it is answered."""
        self._cancels = {one: told for one, told in self._cancels.items() if not one.is_answered}
        self._cancels[transaction] = cancelled

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The peer cancelled an INVITE within the dialog (RFC 3261 section 9.2)."""
        self.note_request(cancel)
        cancelled = self._cancels.pop(transaction, None)
        if cancelled is not None:
            cancelled()

    def receive_prack(self, transaction: ServerTransaction, request: Request) -> None:
        """A PRACK of nothing that this leg sent (RFC 3262 section 3)."""
        self.respond(transaction, request.response(481))

    def receive_ack(self, ack: Request) -> None:
        """The ACK of a 2xx that this leg was given."""
        self._note(Passage.RECEIVED, ack)
        self.acknowledgements.receive(ack)

    def respond(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a response in the gateway's own name."""
        if transaction.ended:
            return
        headers = response.headers
        headers.set("Server", SOFTWARE)
        if response.status < 300 and response.cseq.method in ("INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY"):
            headers.set("Contact", self.contact)
        if 200 <= response.status < 300 and "Allow" not in headers:
            headers.set("Allow", ALLOW)
        self.session.response_leaves(self, response)
        self._note(Passage.SENT, response)
        transaction.respond(response)

    def answer(
        self, transaction: ServerTransaction, response: Response, acknowledged: Callable[[Request], None]
    ) -> None:
        """Send a 2xx to an INVITE, again and again until its ACK comes, which `acknowledged` is given."""
        self.respond(transaction, response)
        self.acknowledgements.wait_for(
            response.cseq.number,
            lambda: transaction.respond(response),
            acknowledged,
            lambda: self._owner.leg_broke(self, "no ACK"),
        )

    def acknowledge(self, cseq: int, fields: Fields = (), body: bytes = b"") -> None:
        """Send the ACK of a 2xx, and keep it for when that 2xx comes again."""
        if self.dialog is not None:
            self._send_ack(self.acknowledgements.make(self.dialog, cseq, fields, body))

    def acknowledge_again(self, cseq: int) -> bool:
        """Send a kept ACK again; False when there is none yet."""
        ack = self.acknowledgements.kept(cseq)
        if ack is not None:
            self._send_ack(ack)
        return ack is not None

    def note_answer(self, sdp: bytes) -> None:
        """The answer that we gave on this leg: it says whether this leg's media are encrypted."""
        self._settle(lambda: media_encrypted(sdp))

    def note_their_answer(self, sdp: bytes) -> None:
        """The answer that the peer gave on this leg.

        One that refuses or switches off all media says nothing new. One that cannot be read is not called encrypted,
        and the relay will not have it either.
        """
        self._settle(lambda: self.is_encrypted_by(sdp))

    def is_encrypted_by(self, sdp: bytes) -> bool | None:
        """Whether the peer's answer encrypts all media; None as for media_encrypted. MalformedDescription.

        Keys in the answer to an offer without any encrypt nothing, whoever put them there.
        """
        encrypted = media_encrypted(sdp)
        return encrypted and self.terms.media.encryption is not Encryption.NONE

    def _settle(self, read: Callable[[], bool | None]) -> None:
        try:
            encrypted = read()
        except MalformedDescription:
            encrypted = False
        if encrypted is not None:
            self.media_encrypted = encrypted
            self._owner.media_settled(self)

    def make_request(self, method: str, fields: Lines = (), body: bytes = b"") -> Request:
        """A request inside the dialog, with the next CSeq."""
        if self.dialog is None:
            raise Refused(481, "No dialog on this leg")
        request = self.dialog.make_request(method)
        request.headers.add_all(fields)
        if method in ("INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY"):
            request.headers.set("Contact", self.contact)
        request.headers.set("User-Agent", SOFTWARE)
        request.body = body
        return request

    def send(self, request: Request, user: TransactionUser) -> ClientTransaction:
        """Send a request of this leg; its responses go to `user`."""
        self.session.request_leaves(request)
        if request.method == "INVITE":
            self.acknowledgements.invite_leaves(request)
        self._note(Passage.SENT, request)
        return self._stack.transactions.send_request(request, self._open_flow(), user)

    def note_request(self, request: Request) -> None:
        """Write a request that was answered below this leg (CANCEL) into the ladder."""
        self._note(Passage.RECEIVED, request)

    def note_cancel(self, cancel: Request) -> None:
        """Write a CANCEL that leaves into the ladder."""
        self._note(Passage.SENT, cancel)

    def note_received(self, response: Response) -> None:
        """Take note of a response of this leg: the ladder has it, and the session timer."""
        self.session.response_came(self, response)
        self._note(Passage.RECEIVED, response)

    @property
    def clock(self) -> IReactorTime:
        """The time that the leg's timers go by."""
        return self._stack.clock

    def break_off(self, why: str) -> None:
        """The peer is gone: tell the owner."""
        if not self.ended:
            self._owner.leg_broke(self, why)

    def other(self) -> Leg | None:
        """The leg on the other side."""
        return self._owner.other_leg(self)

    def hang_up(self, fields: Fields = ()) -> None:
        """End the dialog with BYE."""
        if self.ended or self.dialog is None:
            return
        bye = self.make_request("BYE", fields)
        self.close()
        self.send(bye, _Goodbye(self))

    @property
    def contact(self) -> str:
        """The Contact that this leg's peer sees: an address of the gateway, and nothing of the other leg's host."""
        transport = str(self.flow.transport)
        suffix = "" if transport == "udp" else f";transport={transport}"
        user = f"{self.terms.user}@" if self.terms.user else ""
        return f"<sip:{user}{self.flow.advertised}{suffix}>"

    def close(self) -> None:
        """Expect nothing more on this leg: stop every timer, and answer what is open (RFC 3261 section 15.1.2)."""
        self.ended = True
        unanswered = [one for one in self._open if not one.is_answered]
        self._open.clear()
        self._cancels.clear()
        for transaction in unanswered:
            self.respond(transaction, transaction.request.response(487))
        self.session.stop()
        self.acknowledgements.stop()
        if self.dialog is not None:
            self._owner.dialog_ended(self.dialog)
        self._owner = Nobody(self._owner.record)

    def _send_ack(self, ack: Request) -> None:
        self._note(Passage.SENT, ack)
        self._stack.transactions.send_ack(ack, self._open_flow())

    def _open_flow(self) -> Flow:
        """The leg's flow, or one in its place when its connection is gone; never one that protects less."""
        if not self.flow.is_open:
            other = self.terms.reopen()
            if other is not None and (other.is_secure or not self.flow.is_secure):
                self.flow = other
        return self.flow

    def _follow(self, flow: Flow) -> None:
        """The peer is in the dialog, and came over another connection than the one that is gone, or by another port."""
        replaces = not self.flow.is_open and (flow.is_secure or not self.flow.is_secure)
        if replaces or self._is_rebound(flow):
            self.flow = flow

    def _is_rebound(self, flow: Flow) -> bool:
        """Whether the NAT before a phone has forgotten its port and given it another: the old one leads nowhere now."""
        ours = self.flow
        same_way = flow.listener == ours.listener and flow.remote.host == ours.remote.host
        return flow.side is Side.PHONES and not flow.is_reliable and same_way and flow.remote != ours.remote

    def _note(self, passage: Passage, message: Message) -> None:
        if passage is Passage.RECEIVED and message.body and message.content_type == SDP:
            self.their_sdp = message.body
        self._owner.record.add_step(self._stack.now(), self.terms.name, passage, message.title)


@attrs.define
class _Goodbye:
    """Waits for the answer to a BYE: whatever it is, the dialog is over (RFC 3261 section 15.1.1)."""

    leg: Leg

    def receive_response(self, response: Response) -> None:
        self.leg.note_received(response)
        if response.status in (401, 407):
            log.warn("the {leg} leg challenges BYE: its side of the call may stay up", leg=self.leg.terms.name)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        log.debug("no answer to BYE on the {leg} leg: {failure}", leg=self.leg.terms.name, failure=failure)
