"""Media of a call that is up, put on another relay when theirs is lost: a re-INVITE to each side.

    phone's description in force --offer--> relay --> re-INVITE to the provider --answer--> relay
    provider's new description   --offer--> relay --> re-INVITE to the phone    --answer--> relay

It begins with the provider's leg, since its answer brings the key. A change that is open comes to its end first, and
changes nothing: without a relay nothing of it can be carried out. Any failure ends the call, with a reason: a call
without media is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from gateway.b2bua.across.reoffer import Reoffer, Settled, is_at_rest
from gateway.b2bua.call import Call, CallState
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.legs.media import has_sdp
from gateway.sip.message import Response
from gateway.transaction.client import TransactionFailure

log = Logger()

LOOK_SECONDS: Final = 0.5
LOOKS: Final = 64
"""For half a minute a change may go on: so long an answer of the peer's may take (RFC 3261 section 17.1.2.2)."""


@guarded
def move_media(call: Call) -> None:
    """Put the media of a call on another relay; one that is not up, or cannot be moved, ends with a reason."""
    provider, phone = call.by_side()
    if call.media_path.is_lost:
        return  # it is moved already
    if call.state is CallState.ESTABLISHED and phone is not None and provider is not None:
        call.media_path.is_lost = True
        RelayFailover(call, phone, provider).begin()
    else:
        call.lost("the media relay was lost")


class RelayFailover:
    """One attempt to give a call new media."""

    def __init__(self, call: Call, phone: Leg, provider: Leg) -> None:
        self._call = call
        self._phone = phone
        self._provider = provider
        self._looks = 0

    def begin(self) -> None:
        """Offer the phone's media to the provider, from another relay, once no change is open."""
        if self._looks < LOOKS and not (is_at_rest(self._phone) and is_at_rest(self._provider)):
            self._looks += 1
            path, clock = self._call.media_path, self._call.services.clock
            path.later(clock.callLater(LOOK_SECONDS, self.begin))
            return
        log.info("call {call_id}: its media relay is lost, another takes over", call_id=self._call.id)
        self._call.media_path.is_lost = False
        self._invite(self._provider, self._phone, self._tell_phone)

    def _tell_phone(self, _changed: bool) -> None:
        if self._call.media_path.is_lost:
            return  # that relay is lost as well, and the call is moved once more
        self._invite(self._phone, self._provider, self._told)

    def _told(self, _changed: bool) -> None:
        self._call.conclude()

    def _invite(self, leg: Leg, other: Leg, settled: Settled) -> None:
        Reoffer(self._call.media_path, (leg, other), _Asked(leg, self._call.lost), settled).begin()


class _Asked:
    """Waits for the answer to one of the re-INVITEs."""

    def __init__(self, leg: Leg, lost: Callable[[str], None]) -> None:
        self._leg = leg
        self._lost = lost

    def answered(self, response: Response) -> None:
        """Anything but a 2xx with an answer is the end of the call."""
        if response.status >= 300:
            self._lost(f"the media relay was lost; the {self._leg.spec.name} refused another: {response.status}")
        elif not has_sdp(response):
            self._lost("the media relay was lost; no answer in a re-INVITE's 2xx")

    def failed(self, failure: TransactionFailure) -> None:
        """The peer is gone as well."""
        self._lost(f"the media relay was lost; no answer of the {self._leg.spec.name}")

    def postponed(self) -> None:
        """A change is open, or the other relay refuses."""
        self._lost("the media relay was lost while the call was being changed, or no other takes it")
