"""Media of a call that is up, put on another relay or at another address: a re-INVITE to each side.

    phone's description in force --offer--> relay --> re-INVITE to the provider --answer--> relay
    provider's new description   --offer--> relay --> re-INVITE to the phone    --answer--> relay

The relay is lost, or the gateway has another address and with it another Contact. It begins with the provider's leg,
since its answer brings the key. A change that is open comes to its end first, and changes nothing: without a relay
nothing of it can be carried out. Any failure ends the call, with a reason: a call without media is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
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


@attrs.frozen
class MoveCause:
    """The reason for a move, for the log and for the peers of a call that cannot be moved."""

    why: str
    text: str
    """Of the Reason header of its end (RFC 3326)."""


RELAY_LOST: Final = MoveCause("the media relay was lost", "Media relay lost")
ADDRESS_CHANGED: Final = MoveCause("the gateway's address has changed", "Address changed")


@guarded
def move_media(call: Call, cause: MoveCause = RELAY_LOST) -> None:
    """Put the media of a call on another relay; one that is not up, or cannot be moved, ends with a reason."""
    provider, phone = call.by_side()
    if call.media_path.is_lost:
        return  # it is moved already
    if call.state is CallState.ESTABLISHED and phone is not None and provider is not None:
        call.media_path.is_lost = True
        RelayFailover(call, phone, provider, cause).begin()
    else:
        call.lost(cause.why, cause.text)


@guarded
def move_address(call: Call) -> None:
    """Go on with a call from the gateway's new address: its media at new ports, and a new Contact for both sides."""
    if not call.media_path.is_lost and call.state is CallState.ESTABLISHED:
        call.services.relay.delete(call.id, at_once=True)  # with its report so far; the next offer begins anew
    move_media(call, ADDRESS_CHANGED)


class RelayFailover:
    """One attempt to give a call new media."""

    def __init__(self, call: Call, phone: Leg, provider: Leg, cause: MoveCause) -> None:
        self._call = call
        self._phone = phone
        self._provider = provider
        self._cause = cause
        self._looks = 0

    def begin(self) -> None:
        """Offer the phone's media to the provider, from another relay, once no change is open."""
        if self._looks < LOOKS and not (self._can_begin(self._phone) and self._can_begin(self._provider)):
            self._looks += 1
            path, clock = self._call.media_path, self._call.services.clock
            path.later(clock.callLater(LOOK_SECONDS, self.begin))
            return
        log.info("call {call_id}: {cause}, its media move", call_id=self._call.id, cause=self._cause.why)
        self._call.media_path.is_lost = False
        self._invite(self._provider, self._phone, self._tell_phone)

    def _can_begin(self, leg: Leg) -> bool:
        """Whether a leg is at rest and, where our address has changed, its peer can be reached: a phone over TLS
        registers again first."""
        return is_at_rest(leg) and (self._cause is RELAY_LOST or leg.opened_flow().is_open)

    def _tell_phone(self, _changed: bool) -> None:
        if self._call.media_path.is_lost:
            return  # that relay is lost as well, and the call is moved once more
        self._invite(self._phone, self._provider, self._told)

    def _told(self, _changed: bool) -> None:
        self._call.conclude()

    def _invite(self, leg: Leg, other: Leg, settled: Settled) -> None:
        Reoffer(self._call.media_path, (leg, other), _Asked(leg, self._call, self._cause), settled).begin()


class _Asked:
    """Waits for the answer to one of the re-INVITEs."""

    def __init__(self, leg: Leg, call: Call, cause: MoveCause) -> None:
        self._name = leg.spec.name
        self._lost: Callable[[str, str], None] = call.lost
        self._cause = cause

    def answered(self, response: Response) -> None:
        """Anything but a 2xx with an answer is the end of the call."""
        if response.status >= 300:
            self._end(f"the {self._name} refused another: {response.status}")
        elif not has_sdp(response):
            self._end("no answer in a re-INVITE's 2xx")

    def failed(self, failure: TransactionFailure) -> None:
        """The peer is gone as well."""
        self._end(f"no answer of the {self._name}")

    def postponed(self) -> None:
        """A change is open, or the other relay refuses."""
        self._lost(f"{self._cause.why} while the call was being changed, or no other takes it", self._cause.text)

    def _end(self, found: str) -> None:
        self._lost(f"{self._cause.why}; {found}", self._cause.text)
