"""The layers that calls use: a record that every leg has, and the same one for all."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Generic, Protocol, TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime

from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.flows import Phones
from gateway.b2bua.legs.forgotten_invites import ForgottenInvites
from gateway.b2bua.legs.mediasec_leg import MediasecLeg as MediasecLeg
from gateway.b2bua.legs.owner import Owner
from gateway.media.relay import Relay
from gateway.routing.mediasec import Mediasec
from gateway.security.limits.call_limits import CallLimits
from gateway.sip.message import Response
from gateway.transaction.layer import TransactionLayer

L = TypeVar("L")
"""A leg."""


class CallKeeping(Protocol[L]):
    """Keeps calls for the next process, should this one die under them."""

    def note(self, owner: Owner[L]) -> None:
        """A call has changed: write down how it is now, before the message that makes it so leaves. Never raises."""

    def ends(self, owner: Owner[L]) -> None:
        """A peer of a call has said BYE, and has no answer yet: the call is over, for the next process as well. Never
        raises."""

    def invited(self, leg: L) -> None:
        """An INVITE of this leg has left, the first of its dialog. Never raises."""

    def turns_away(self, leg: L, answer: Response) -> None:
        """A 2xx came that nobody waits for, of another fork or after CANCEL: ACK and BYE follow, by the next process if
        not by us. Never raises."""


class NoKeeping(Generic[L]):
    """Calls end with the process."""

    def note(self, owner: Owner[L]) -> None:
        """Nothing is written down."""

    def ends(self, owner: Owner[L]) -> None:
        """Nothing is written down."""

    def invited(self, leg: L) -> None:
        """Nothing is written down."""

    def turns_away(self, leg: L, answer: Response) -> None:
        """Nothing is written down."""


@attrs.frozen
class ServicesOf(Generic[L]):
    """The layers that calls use. One for the whole gateway."""

    transactions: TransactionLayer
    relay: Relay
    name: str
    """The gateway's name in Warning fields (RFC 3261 section 20.43)."""
    clock: IReactorTime
    wall: Callable[[], float]
    """Seconds since the epoch, for people."""
    new_tag: Callable[[], str]
    """A fresh random token for tags and Call-IDs (RFC 3261 section 19.3: at least 32 random bits)."""
    dialogs: Dialogs[L]
    """The leg of each dialog."""
    phones: Phones
    """The phones that are registered."""
    own_hosts: Set[str]
    """Names and addresses of the gateway's listeners, in lower case, as they are now."""
    session_interval: int
    """Seconds: the session interval that each leg asks its peer for, and the longest that it grants (RFC 4028)."""
    keeper: CallKeeping[L]
    """Of the calls that are to outlive the process."""
    forgotten: ForgottenInvites
    """INVITEs that a late 2xx may still come for."""
    limits: CallLimits
    """Of the calls that phones make, and have their provider make."""
    mediasec: Mediasec
    """The agreements on encrypted media with providers that want them."""
