"""One leg of a call or subscription: a record of one peer, and the messages that the gateway sends it in its own name.

The record holds the flow, the dialog, the 2xx and ACKs under way (RFC 3261 sections 13.3.1.4 and 13.2.2.4), the session
timer and the media. Nothing here needs the other leg. Verbs are modules that take a leg: ``in_dialog`` receives its
requests and hangs up, ``caller`` is the gateway as UAS of an initial INVITE, ``callee`` the gateway as UAC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Final, TypeAlias, cast

import attrs
from twisted.internet.interfaces import IReactorTime

from gateway.b2bua.across.headers import take_out_providers
from gateway.b2bua.legs.authorization import LegCredentials
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.flows import LegWay, Reopen
from gateway.b2bua.legs.media import LegMedia, has_sdp
from gateway.b2bua.legs.owner import Fields as Fields
from gateway.b2bua.legs.owner import Lines as Lines
from gateway.b2bua.legs.owner import Nobody, Owner, WithoutMediaOf
from gateway.b2bua.legs.services import MediasecLeg, ServicesOf
from gateway.config.model import Side
from gateway.dialog.ack import Acknowledgements
from gateway.dialog.dialog import Dialog
from gateway.dialog.session_refresh import METHODS as SESSION_METHODS
from gateway.dialog.session_refresh import LegSession, RenewalUser
from gateway.dialog.usages import Usage, usage_of
from gateway.media.relay import SdpWish
from gateway.sip.capabilities import ALLOW_LINE, SERVER_LINE, USER_AGENT_LINE
from gateway.sip.errors import Refused
from gateway.sip.message import Message, Request, Response
from gateway.state.call_record import LegName, Passage
from gateway.transaction.client import ClientTransaction, TransactionUser
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PROVIDER: Final = Side.PROVIDER
_SENT: Final = Passage.SENT
_RECEIVED: Final = Passage.RECEIVED


_TAGS: Final = {name: str(name) for name in LegName}

_REFRESHES_TARGET: Final = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY"})
"""Methods whose requests and 2xx tell the remote target (RFC 3261 section 12.2, RFC 6665, RFC 3515)."""


_NONE_TO_CANCEL: Final[Mapping[ServerTransaction, Callable[[], None]]] = {}


def _never() -> Flow | None:
    """There is no other way to the peer."""
    return None


def _acknowledged(leg: Leg, acknowledged: Callable[[Request], None], ack: Request) -> None:
    """The ACK of a 2xx came: the call is as it says."""
    leg.services.keeper.note(leg.owner)
    acknowledged(ack)


@attrs.frozen
class LegSpec:
    """The part of a leg that is settled before its first message."""

    name: LegName
    side: Side
    wish: SdpWish
    """The form of SDP toward this leg."""
    user: str
    """The user part of the Contact that this leg's peer sees."""
    border: Border
    """The rules for all that crosses to this leg."""
    reopen: Reopen = attrs.field(default=_never, eq=False)
    """Opens another flow to the peer when this leg's connection is gone."""
    fork: int = 0
    """The number of the phone, from 1, where several of one user ring; 0 where there is one."""


LegOwner: TypeAlias = Owner["Leg"]
"""The call or subscription that a leg is of."""

WithoutMedia: TypeAlias = WithoutMediaOf["Leg"]
"""The part of an owner that sets up no media."""

LegServices: TypeAlias = ServicesOf["Leg"]
"""The layers that calls use."""


class Leg:
    """One peer, and the dialog with it. A table for each part that few legs need is made when it is needed."""

    __slots__ = (
        "__weakref__",
        "_at",
        "acknowledgements",
        "cancels",
        "credentials",
        "dialog",
        "ended",
        "is_judged",
        "is_leaving",
        "is_toward_provider",
        "media",
        "mediasec",
        "open_requests",
        "own_host",
        "owner",
        "record",
        "services",
        "session",
        "spec",
        "way",
    )

    def __init__(self, spec: LegSpec, flow: Flow, services: LegServices, owner: LegOwner) -> None:
        self.spec = spec
        self.way = LegWay(flow, spec.border.phone_on(spec.side))
        self.services = services
        self.owner: LegOwner = owner
        self.record = owner.record
        self._at = f"{spec.user}@" if spec.user else ""  # the begin of the Contact
        self.dialog: Dialog | None = None
        self.is_toward_provider = spec.side is _PROVIDER
        self.is_judged = self.is_toward_provider or spec.border.is_between_phones
        """Whether the policy has a say in its media: on the provider's leg, and on both of a call between phones."""
        self.ended = False
        self.is_leaving = False
        """Whether only an ACK is waited for, and then BYE is said."""
        provider = spec.border.route.provider
        mediasec = MediasecLeg(services.mediasec, provider, self.is_toward_provider) if provider.mediasec else None
        self.mediasec: MediasecLeg | None = mediasec
        """Of use where the provider of its call wants media security to be said."""
        self.own_host = provider.contact_host if self.is_toward_provider else None
        """Our name toward the provider, where it is another than its listener's."""
        self.media = LegMedia(spec.wish)
        self.session = LegSession(services.session_interval)
        self.acknowledgements = Acknowledgements(services.clock)
        self.credentials = LegCredentials()
        self.open_requests: tuple[ServerTransaction, ...] = ()
        """The peer's requests that went to the owner; the last one may be answered."""
        self.cancels = _NONE_TO_CANCEL
        """The peer's INVITEs within the dialog, each with the call that its CANCEL leads to."""

    flow = cast(Flow, property(attrgetter("way.flow"), doc="The flow that requests of ours go over."))

    @property
    def fork(self) -> str | None:
        """The tag of the peer that is spoken with, while several may be: a call of ours rings."""
        return None

    @property
    def media_tag(self) -> str:
        """The tag of this leg at the media relay."""
        return _TAGS[self.spec.name]

    clock = cast(IReactorTime, property(attrgetter("services.clock"), doc="The time that the leg's timers go by."))

    @property
    def contact(self) -> str:
        """The Contact that this leg's peer sees: an address of the gateway, and nothing of the other leg's host."""
        if self.own_host is not None and self.way.flow.is_secure:
            return f"<sip:{self._at}{self.own_host}:{self.way.flow.advertised.port};transport=tls>"
        return f"<sip:{self._at}{self.way.flow.contact}>"

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog that a request of the peer is inside of; None before there is one."""
        return self.dialog

    def speak_with(self, tag: str | None) -> None:
        """Let the fork with that tag be the one that is spoken with, where there are several."""

    def receive_prack(self, transaction: ServerTransaction, request: Request) -> None:
        """A PRACK of nothing that this leg sent (RFC 3262 section 3)."""
        self.respond(transaction, request.response(481))

    def respond(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a response in the gateway's own name."""
        if transaction.ended:
            return
        headers, status = response.headers, response.status
        lines: tuple[tuple[str, str], ...] = (SERVER_LINE,)
        if status < 300:
            if transaction.method in _REFRESHES_TARGET:
                lines = SERVER_LINE, ("contact", f"Contact: {self.contact}")
            if status >= 200 and "allow" not in headers.present:
                lines = *lines, ALLOW_LINE
        headers.set_lines(lines)
        if 200 <= status < 300 and transaction.method in SESSION_METHODS:
            self.session.response_leaves(self, response)
            if transaction.method == "UPDATE":  # an INVITE's 2xx is kept as its ACK comes
                self.services.keeper.note(self.owner)
        if self.mediasec is not None:
            self.mediasec.mark(response, transaction.flow)
        self.note(_SENT, response)
        transaction.respond(response)

    def answer(
        self, transaction: ServerTransaction, response: Response, acknowledged: Callable[[Request], None]
    ) -> None:
        """Send a 2xx to an INVITE, again and again until its ACK comes, which `acknowledged` is given."""
        self.respond(transaction, response)
        self.acknowledgements.wait_for(
            response.cseq.number,
            lambda: transaction.respond(response),
            partial(_acknowledged, self, acknowledged),
            lambda: self.owner.leg_broke(self, "no ACK"),
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

    def make_request(self, method: str, fields: Lines = (), body: bytes = b"") -> Request:
        """A request inside the dialog, with the next CSeq."""
        if self.dialog is None:
            raise Refused(481, "No dialog on this leg")
        request = self.dialog.make_request(method)
        headers = request.headers
        if fields != ():
            headers.add_all(fields)
        if method in _REFRESHES_TARGET:
            headers.set("Contact", self.contact)
        headers.set_lines((USER_AGENT_LINE,))
        request.body = body
        return request

    def send(self, request: Request, user: TransactionUser) -> ClientTransaction:
        """Send a request of this leg, with its credentials; its responses go to `user`."""
        self.session.request_leaves(request)
        return self.credentials.send(self, request, user)

    def transmit(self, request: Request, user: TransactionUser) -> ClientTransaction:
        """Send a request as it is."""
        self.note(_SENT, request)
        flow = self.opened_flow()
        if self.mediasec is not None:
            self.mediasec.dress_request(request, flow)
        transaction = self.services.transactions.send_request(request, flow, user)
        if request.method == "INVITE":
            self.acknowledgements.invite_left(request, transaction)
        return transaction

    def note_cancel(self, cancel: Request) -> None:
        """Write a CANCEL that leaves into the ladder."""
        self.note(_SENT, cancel)

    def note_received(self, response: Response) -> None:
        """Take note of a response of this leg: the ladder has it, and the session timer."""
        if self.mediasec is not None:
            self.mediasec.learn(response, self.way.flow)
        self.session.response_came(self, response)
        self.note(_RECEIVED, response)
        if self.spec.border.is_between_phones:
            take_out_providers(response.headers)

    def renew(self, user: RenewalUser) -> None:
        """Offer the media in force again, by a re-INVITE."""
        self.owner.leg_renews(self, user)

    def break_off(self, why: str) -> None:
        """The peer is gone: tell the owner."""
        if not self.ended:
            self.owner.leg_broke(self, why)

    def close(self) -> None:
        """Expect nothing more on this leg: stop every timer, and answer open requests (RFC 3261 section 15.1.2).

        Those of a subscription are not the call's to answer: their crossing does (RFC 5057 section 3.1).
        """
        self.ended = True
        self.leave_owner()
        self.acknowledgements.stop()
        if self.dialog is not None:
            self.services.dialogs.ended(self, self.dialog)

    def leave_owner(self) -> None:
        """Belong to no call any more: nothing crosses, and open requests are answered."""
        self.is_leaving = True
        self.cancels = _NONE_TO_CANCEL
        if self.open_requests:
            open_ones = [one for one in self.open_requests if not one.is_answered]
            unanswered = [one for one in open_ones if usage_of(one.request.method) is not Usage.SUBSCRIPTION]
            self.open_requests = ()
            for transaction in unanswered:
                self.respond(transaction, transaction.request.response(487))
        self.session.stop()
        self.owner = Nobody(self.record)

    def _send_ack(self, ack: Request) -> None:
        self.note(_SENT, ack)
        flow = self.opened_flow()
        if self.mediasec is not None:
            self.mediasec.dress_request(ack, flow)
        self.services.transactions.send_ack(ack, flow)

    def opened_flow(self) -> Flow:
        """The flow that requests leave by, opened again if need be."""
        way = self.way
        phone = way.phone
        if phone is None and way.flow.is_open:
            return way.flow
        return way.opened(self.spec.reopen if phone is None else partial(self.services.phones.flow_of, phone))

    def note(self, passage: Passage, message: Message) -> None:
        """Write a message into the ladder. Raises MalformedMessage for one with a body of an unreadable type."""
        if message.body:
            has_sdp(message)
        what = message.method if message.is_request else f"{message.status} {message.reason}"
        self.record.add_step(self.services.wall(), self.spec.name, passage, what, self.spec.fork)
