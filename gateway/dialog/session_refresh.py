"""The session timer of one leg (RFC 4028): a call ends when its peer has vanished, and goes on while the peer lives.

Each leg agrees with its own peer; nothing of it crosses. A refresh of ours is an UPDATE without SDP where the peer
takes UPDATE, else a re-INVITE that offers the last SDP again, so that its answer changes nothing. The rules and the
timer itself are session_timer.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gateway.dialog.ack import AcknowledgingLeg, InviteClient
from gateway.dialog.session_timer import (
    Agreement,
    Headers,
    Preferences,
    SessionTimer,
    accept_answer,
    accept_offer,
    offer,
)
from gateway.sip.capabilities import TIMER
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure, TransactionUser

log = Logger()

_PREFERENCES: Final = Preferences()

METHODS: Final = ("INVITE", "UPDATE")
"""The methods that agree on a session interval."""


class RefreshedMedia(Protocol):
    """The offers and answers of that leg."""

    our_sdp: bytes
    """The description that the peer was given last; empty before there was one."""
    pending_invite: bool
    """True while an INVITE of either direction has no final response."""


class RefreshedLeg(AcknowledgingLeg, Protocol):
    """The leg of the session."""

    ended: bool

    @property
    def media(self) -> RefreshedMedia:
        """The state of its offers and answers."""

    @property
    def clock(self) -> IReactorTime:
        """The time that the session goes by."""

    def make_request(self, method: str, fields: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """A request inside the dialog, with the next CSeq."""

    def send(self, request: Request, user: TransactionUser) -> object:
        """Send a request of this leg; its responses go to `user`."""

    def acknowledge(self, cseq: int) -> None:
        """Send the ACK of a 2xx, and keep it."""

    def break_off(self, why: str) -> None:
        """The peer is gone."""


class LegSession:
    """The agreement of one leg on the length of its session."""

    def __init__(self) -> None:
        self.preferences = _PREFERENCES
        self._timer: SessionTimer | None = None  # while there is an agreement: most calls have none
        self._takes_update = False
        self._promised: tuple[Agreement | None, Headers] = (None, ())

    @property
    def takes_update(self) -> bool:
        """Whether the peer has said that it takes UPDATE (RFC 3311 section 5.1)."""
        return self._takes_update

    def request_leaves(self, request: Request) -> None:
        """Add our preferences to an INVITE or UPDATE of ours."""
        if request.method not in METHODS:
            return
        supported = [*request.headers.values("Supported"), TIMER]
        request.headers.set("Supported", ", ".join(supported))
        for name, value in offer(self.preferences, self._agreement):
            request.headers.set(name, value)

    def response_came(self, leg: RefreshedLeg, response: Response) -> None:
        """A 2xx to an INVITE or UPDATE of ours holds the agreement. Raises MalformedMessage."""
        self._note_abilities(response)
        if 200 <= response.status < 300 and response.cseq.method in METHODS and not leg.ended:
            self._agree(leg, accept_answer(response))

    def request_came(self, request: Request) -> None:
        """Look at the peer's INVITE or UPDATE; raises Refused 422 and MalformedMessage."""
        self._note_abilities(request)
        if request.method in METHODS:
            self._promised = accept_offer(self.preferences, request, self._agreement)

    def response_leaves(self, leg: RefreshedLeg, response: Response) -> None:
        """Add the agreement to a 2xx of ours, and let the time begin."""
        if response.cseq.method not in METHODS or not 200 <= response.status < 300:
            return
        agreement, headers = self._promised
        response.headers.add_all(headers)
        self._agree(leg, agreement)

    def stop(self) -> None:
        """The session does not expire, or has ended."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    @property
    def _agreement(self) -> Agreement | None:
        return None if self._timer is None else self._timer.agreement

    def _agree(self, leg: RefreshedLeg, agreement: Agreement | None) -> None:
        if agreement is None:
            self.stop()
            return
        if self._timer is None:
            self._timer = SessionTimer(
                leg.clock, lambda: self._refresh(leg), lambda: leg.break_off("the session expired")
            )
        self._timer.agree(agreement)

    def _refresh(self, leg: RefreshedLeg) -> None:
        if leg.ended or leg.media.pending_invite:
            return  # the INVITE under way refreshes too
        if self._takes_update:
            leg.send(leg.make_request("UPDATE"), _Refresh(leg))
        elif leg.media.our_sdp:
            leg.media.pending_invite = True
            invite = leg.make_request("INVITE", (("Content-Type", "application/sdp"),), leg.media.our_sdp)
            leg.send(invite, InviteClient(leg, _Refresh(leg)))

    def _note_abilities(self, message: Request | Response) -> None:
        if "Allow" in message.headers:
            self._takes_update = "UPDATE" in message.headers.values("Allow")


class _Refresh:
    """Waits for the answer to a refresh. Only a dialog that the peer does not know ends the call; anything else leaves
    it to the timer (RFC 4028 section 10)."""

    def __init__(self, leg: RefreshedLeg) -> None:
        self._leg = leg

    def receive_response(self, response: Response) -> None:
        """A 2xx to a re-INVITE is acknowledged."""
        leg = self._leg
        leg.note_received(response)
        if response.status < 200:
            return
        if response.cseq.method == "INVITE":
            leg.media.pending_invite = False
            if response.status < 300:
                leg.acknowledge(response.cseq.number)
        if response.status in (408, 481):
            leg.break_off(f"{response.status} to a session refresh")

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No answer at all: the peer is gone."""
        self._leg.media.pending_invite = False
        self._leg.break_off("no answer to a session refresh")
