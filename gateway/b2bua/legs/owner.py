"""The owner of a leg, a call or a subscription: it hears of all that is not about this leg alone; and the sender of a
leg's INVITE, which hears of its responses.

`L` is a leg.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, Protocol, TypeVar

import attrs

from gateway.dialog.session_refresh import RenewalUser
from gateway.security.policy.terms import Refusal
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.state.call_record import CallRecord
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction

L = TypeVar("L")
Invited = TypeVar("Invited", contravariant=True)

Fields = Iterable[tuple[str, str]]

Lines = Headers | Fields
"""Fields that the other leg's message had, as they stood, or some of our own."""


class Owner(Protocol[L]):
    """The call or subscription that a leg is of."""

    @property
    def record(self) -> CallRecord:
        """The record with the leg's ladder."""

    def other_leg(self, leg: L) -> L | None:
        """The leg on the other side, once there is one."""

    def leg_received(self, leg: L, transaction: ServerTransaction, request: Request) -> None:
        """A request inside the dialog is to cross to the other leg."""

    def leg_hung_up(self, leg: L, bye: Request) -> None:
        """The peer sent BYE, and was answered."""

    def leg_broke(self, leg: L, why: str) -> None:
        """The peer is gone: no ACK, no answer, or the dialog is unknown to it."""

    def leg_renews(self, leg: L, user: RenewalUser) -> None:
        """This leg's session is to be refreshed by a re-INVITE."""

    def media_settled(self, leg: L) -> None:
        """An answer settled whether this leg's media are encrypted."""

    def judge(self, leg: L, encrypted: bool | None) -> Refusal | None:
        """The policy's refusal of media that an offer or answer would bring on this leg (None: no media at all)."""

    def media_barred(self, refusal: Refusal) -> None:
        """A peer's answer brings media that the policy forbids: nothing of it was relayed."""


class WithoutMediaOf(Generic[L]):
    """The part of an owner that sets up no media."""

    __slots__ = ()

    def leg_renews(self, leg: L, user: RenewalUser) -> None:
        """There is no session."""

    def media_settled(self, leg: L) -> None:
        """No verdict changes."""

    def judge(self, leg: L, encrypted: bool | None) -> Refusal | None:
        """There is no policy to ask."""
        return None

    def media_barred(self, refusal: Refusal) -> None:
        """There is nothing to end."""


@attrs.frozen
class Nobody(WithoutMediaOf[L]):
    """Takes the owner's place when a leg has ended: the ladder goes on, and nothing else follows from anything."""

    record: CallRecord

    def other_leg(self, leg: L) -> L | None:
        """There is none any more."""
        return None

    def leg_received(self, leg: L, transaction: ServerTransaction, request: Request) -> None:
        """Nothing crosses."""

    def leg_hung_up(self, leg: L, bye: Request) -> None:
        """It is over."""

    def leg_broke(self, leg: L, why: str) -> None:
        """It is over."""


class InviterOf(Protocol[Invited]):
    """The sender of an INVITE of ours."""

    def callee_progressed(self, leg: Invited, response: Response) -> None:
        """A provisional response other than 100."""

    def callee_answered(self, leg: Invited, response: Response) -> None:
        """The first 2xx: the dialog stands, its ACK is still to be sent."""

    def callee_refused(self, leg: Invited, response: Response) -> None:
        """A final response of 300 or more."""

    def callee_failed(self, leg: Invited, failure: TransactionFailure) -> None:
        """No final response, or no way to the peer."""


class _Unheard:
    """The inviter of a leg that was given up, or has been answered. An INVITE that was given up waits for its end, half
    a minute with a peer that is silent, and must not keep the search and the caller's INVITE for as long: to send a
    CANCEL after each INVITE costs little."""

    def _unheard(self, leg: object, said: object) -> None:
        """Nobody waits for it."""

    callee_progressed = callee_answered = callee_refused = callee_failed = _unheard


UNHEARD: Final = _Unheard()
