"""Who a leg reports to: its call or subscription while it lives, and nobody afterwards.

A call holds its legs, and they it. What refers to each other in a circle is freed by the garbage collector alone, which
has to look at everything for it; so a leg that has ended lets go of its owner, and both are freed when the last
transaction of the leg is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from gateway.dialog.dialog import Dialog
from gateway.sip.message import Request
from gateway.state.call_record import CallRecord
from gateway.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from gateway.b2bua.legs.leg import Leg


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
