"""A rebuilt call learns the provider's description again, where it will need it.

    phone's description, kept --offer--> relay --> re-INVITE to the provider --answer--> in force on both legs

The provider's is not kept, for its keys. Only a re-INVITE of ours to the *phone* offers it: a refresh for a phone that
knows no UPDATE (RFC 4028 section 9), whose session would end without. One to the provider offers the phone's, and its
answer is what was missing; the phone hears of it, and that is its refresh. A phone with SRTP is kept without its
description as well, and nothing can be offered for it.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from gateway.b2bua.across import reoffer
from gateway.b2bua.call import Call, CallState
from gateway.b2bua.legs.leg import Leg
from gateway.dialog.session_refresh import glare_seconds
from gateway.sip.message import Response
from gateway.transaction.client import TransactionFailure

log = Logger()

MOST_TRIES: Final = 5


def renew_soon(call: Call, wait: float) -> None:
    """Ask the provider after `wait` seconds, if a refresh of ours to the phone needs its answer; or a phone."""
    provider, phone = call.by_side()
    if provider is None or phone is None:
        return
    _learn(call, provider, phone, wait)
    if phone.spec.border.is_between_phones:
        _learn(call, phone, provider, wait)


def _learn(call: Call, unknown: Leg, refreshed: Leg, wait: float) -> None:
    if unknown.media.in_force is not None or refreshed.media.in_force is None:
        return
    _, takes_update, agreed = refreshed.session.kept
    if agreed is not None and agreed[0].we_refresh and not takes_update:
        _Learning(call, unknown, refreshed).again(wait)


class _Learning:
    """The re-INVITE to the provider, tried again while another change is open."""

    def __init__(self, call: Call, provider: Leg, phone: Leg) -> None:
        self._call = call
        self._legs = provider, phone
        self._left = MOST_TRIES

    def again(self, seconds: float) -> None:
        """Ask after so many seconds."""
        if self._left:
            self._left -= 1
            self._call.media_path.later(self._call.services.clock.callLater(seconds, self._begin))

    def answered(self, response: Response) -> None:
        """A refusal changes nothing; glare is over soon."""
        if response.status == 491:
            self.again(glare_seconds(self._legs[0].dialog))
        elif response.status in (408, 481):
            self._legs[0].break_off(f"{response.status} to a re-INVITE")

    def failed(self, failure: TransactionFailure) -> None:
        """The call's own timers tell whether the provider is gone."""
        log.info("call {call_id}: no answer to a re-INVITE", call_id=self._call.id)

    def postponed(self) -> None:
        """Another change is open, and may bring the answer."""
        self.again(glare_seconds(None) + 1)

    def _begin(self) -> None:
        if self._call.state is CallState.ESTABLISHED and self._legs[0].media.in_force is None:
            reoffer.renew(self._call.media_path, self._legs, self)
