"""The owner of a leg, a call or a subscription: it hears of all that is not about this leg alone.

`L` is a leg.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

import attrs

from gateway.dialog.session_refresh import RenewalUser
from gateway.security.policy.terms import Refusal
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.state.call_record import CallRecord
from gateway.transaction.server import ServerTransaction

L = TypeVar("L")

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
