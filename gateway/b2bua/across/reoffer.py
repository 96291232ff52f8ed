"""An offer of ours inside a call: a re-INVITE on one leg that offers the media in force, as the other leg
describes them.

    other leg's description in force --offer--> relay --> re-INVITE to the leg
                                        relay <--answer-- 2xx, acknowledged

A session refresh is one (RFC 4028), and so is a call's move to another relay. It is an exchange like any other, with
the same door. An answer that changes the other leg's part (codecs, hold, m-lines) is offered there in turn;
addresses and keys are between the relay and this leg alone.

A change that comes from the other leg meanwhile waits for the end: both sides' session timers begin with the same
message, so their refreshes meet each time, and in the other leg's dialog nothing is open that 491 could blame (RFC 3261
section 14.2). Some phones do not repeat a refresh after 491, and their session would expire.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.b2bua.across.exchange import MediaExchange
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.legs.callee import TIMER_C
from gateway.b2bua.legs.in_dialog import refresh_target
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.legs.media import has_sdp
from gateway.dialog.ack import InviteClient
from gateway.dialog.dialog import DialogState
from gateway.dialog.session_refresh import RenewalUser, glare_seconds
from gateway.media.relay import Encryption, SdpWish
from gateway.sdp.settlement import DTLS_SRTP
from gateway.security.policy.terms import Refusal
from gateway.sip.bodies.session_part import SDP
from gateway.sip.message import Response
from gateway.transaction.client import TransactionFailure

log = Logger()

MOST_TELLINGS: Final = 5
"""Attempts to let the other leg hear of a change."""

Settled = Callable[[bool], None]
"""Called when the answer is in force, with whether the other leg would hear a difference."""


class Reoffer:
    """One re-INVITE of ours."""

    def __init__(self, path: MediaPath, legs: tuple[Leg, Leg], user: RenewalUser, settled: Settled) -> None:
        """`legs` are the one that is asked, and the other one, whose description is offered."""
        self._path = path
        self._leg, self._other = legs
        self._user = user
        self._settled = settled
        self._before = self._leg.media.in_force
        self._exchange = MediaExchange(path, self._other, self._leg, is_ours=True)
        self._ringing: IDelayedCall | None = None

    def begin(self) -> None:
        """Ask the relay for the offer, and send it."""
        in_force = self._other.media.in_force
        if in_force is None or not all(map(is_at_rest, (self._leg, self._other))):
            self._user.postponed()
            return
        self._open(True)
        self._other.media.is_repeated = True
        self._exchange.offer(in_force.theirs, self._send, self._barred, self._barred, wish_in_force(self._leg))

    def receive_response(self, response: Response) -> None:
        """Acknowledge a 2xx, and let its answer count; any other final response leaves all as it was."""
        leg = self._leg
        leg.note_received(response)
        if response.status < 200:
            if response.status > 100:
                self._release()  # it may ring for long
            return
        self._close()
        if response.status >= 300:
            self._fail()
        else:
            leg.acknowledge(response.cseq.number)
            self._take(response)
        self._user.answered(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No final response."""
        self._close()
        self._fail()
        self._user.failed(failure)

    def _send(self, sdp: bytes) -> None:
        leg = self._leg
        sent = leg.send(leg.make_request("INVITE", (("Content-Type", SDP),), sdp), InviteClient(leg, self))
        self._ringing = leg.clock.callLater(TIMER_C, sent.cancel, (), leg.note_cancel)

    def _take(self, response: Response) -> None:
        refresh_target(self._leg, response)
        if not has_sdp(response):
            self._fail()
            return
        self._exchange.is_lasting = True
        self._exchange.answer(response.body, self._answered, self._leg.owner.media_barred)

    def _answered(self, _sdp: bytes) -> None:
        before, now = self._before, self._leg.media.in_force
        self._leg.services.keeper.note(self._leg.owner)
        self._settled(before is None or now is None or not now.sounds_like(before))
        self._release()

    def _fail(self) -> None:
        self._exchange.fail()
        self._release()

    def _barred(self, refusal: Refusal) -> None:
        log.info("no offer to the {leg}: {why}", leg=self._leg.spec.name, why=refusal.cause or refusal.text)
        self._open(False)
        self._release()
        self._user.postponed()

    def _release(self) -> None:
        self._other.media.is_repeated = False
        self._path.release()

    def _open(self, is_open: bool) -> None:
        for leg in (self._leg, self._other):
            leg.media.pending_invite = is_open

    def _close(self) -> None:
        self._open(False)
        if self._ringing is not None and self._ringing.active():
            self._ringing.cancel()


class Telling:
    """Lets one leg hear of a change on the other: a renewal that is tried again after 491."""

    def __init__(self, path: MediaPath, legs: tuple[Leg, Leg]) -> None:
        """`legs` are the one that is to hear, and the changed one."""
        self._path = path
        self._legs = legs
        self._left = MOST_TELLINGS

    def begin(self) -> None:
        """Offer the change."""
        if self._left and not self._path.is_closed:
            self._left -= 1
            Reoffer(self._path, self._legs, self, self._heard).begin()

    def answered(self, response: Response) -> None:
        """A refusal but for glare is the end of it: that leg goes on as it was."""
        if response.status == 491:
            self._again(glare_seconds(self._legs[0].dialog))
        elif response.status in (408, 481):
            self._legs[0].break_off(f"{response.status} to a re-INVITE")

    def failed(self, failure: TransactionFailure) -> None:
        """The peer is gone."""
        self._legs[0].break_off("no answer to a re-INVITE")

    def postponed(self) -> None:
        """Another change is open."""
        self._again(glare_seconds(None) + 1)

    def _heard(self, changed: bool) -> None:
        """The leg's own answer is in force at the relay; a change in it is not told back, or it would not end."""

    def _again(self, seconds: float) -> None:
        self._path.later(self._legs[0].clock.callLater(seconds, self.begin))


def renew(path: MediaPath, legs: tuple[Leg, Leg], user: RenewalUser) -> None:
    """Refresh the session of the first of these legs, and let the other one hear of a change."""
    leg, other = legs

    def settled(changed: bool) -> None:
        if changed:
            Telling(path, (other, leg)).begin()

    Reoffer(path, legs, user, settled).begin()


def wish_in_force(leg: Leg) -> SdpWish:
    """The form of an offer that changes nothing: ours of before; where the peer's offer is in force, with its profile
    and the one suite that was taken."""
    wish, in_force = leg.media.wish, leg.media.in_force
    if in_force is None or in_force.we_offered or not in_force.lines:
        return wish
    if any(line.suite == DTLS_SRTP for line in in_force.lines):
        return attrs.evolve(wish, encryption=Encryption.DTLS)
    suites = dict.fromkeys(line.suite for line in in_force.lines if line.is_encrypted)
    if not suites:
        return attrs.evolve(wish, encryption=Encryption.NONE)
    is_secure = any("SAVP" in line.protocol.upper() for line in in_force.lines)
    return attrs.evolve(wish, encryption=Encryption.SAVP if is_secure else Encryption.OSRTP, suites=tuple(suites))


def is_at_rest(leg: Leg) -> bool:
    """Whether a re-INVITE may be sent on this leg (RFC 3261 section 14.1), and its media changed."""
    is_up = not leg.ended and leg.dialog is not None and leg.dialog.state is DialogState.CONFIRMED
    is_changing = leg.media.pending_invite or leg.media.pending_offer is not None
    return is_up and not is_changing and not leg.acknowledgements.is_waiting
