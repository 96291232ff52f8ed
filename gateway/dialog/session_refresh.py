"""The session timer of one leg (RFC 4028): a call that lost its peer ends, and one that lives is kept.

Each leg agrees with its own peer; nothing of it crosses. A refresh of ours is an UPDATE without SDP where the peer
takes UPDATE, else a re-INVITE, which is an exchange like any other: it offers the descriptions in force, and its answer
counts. A refresh that fails is tried again while the session lasts:

    491                      again, after 2.1 to 4 s where the Call-ID is ours, else within 2 s  (RFC 3261 section 14.1)
    405, 501 to UPDATE       by re-INVITE, from then on
    422                      with the peer's larger interval (RFC 4028 section 7.4), at once the first time
    others                   after their Retry-After, or when half of the time that is left is over
    481, 408, no answer      the dialog is gone: the call ends (RFC 4028 section 10)

The rules and the timer itself are session_timer.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from secrets import randbelow
from typing import Final, NamedTuple, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gateway.dialog.ack import AcknowledgingLeg
from gateway.dialog.dialog import Dialog
from gateway.dialog.session_timer import (
    Agreement,
    Headers,
    Preferences,
    SessionTimer,
    accept_answer,
    accept_offer,
    offer,
    preferences_for,
)
from gateway.sip.capabilities import TIMER
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import HeaderLine, line_of
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure, TransactionUser

log = Logger()

POSTPONED_SECONDS: Final = 2.0
"""After which a refresh that met another change is tried again."""

AGAIN_AT_LEAST: Final = 1.0
"""Seconds between refreshes that are refused, whatever the peer says: each refusal would draw the next request."""


ASK_SECONDS: Final = 5.0
"""Between two refreshes out of turn."""

_NEVER: Final = -ASK_SECONDS
_NO_PROMISE: Final = (None, ())

METHODS: Final = ("INVITE", "UPDATE")
"""The methods that agree on a session interval."""


class RenewalUser(Protocol):
    """The user of a re-INVITE that offers the media in force."""

    def answered(self, response: Response) -> None:
        """Its final response, of which note was taken; a 2xx is acknowledged."""

    def failed(self, failure: TransactionFailure) -> None:
        """There is no final response."""

    def postponed(self) -> None:
        """It was not sent: another change is open, or nothing is in force."""


class RefreshedLeg(AcknowledgingLeg, Protocol):
    """The leg of the session."""

    ended: bool
    dialog: Dialog | None

    @property
    def clock(self) -> IReactorTime:
        """The time that the session goes by."""

    def make_request(self, method: str, fields: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """A request inside the dialog, with the next CSeq."""

    def send(self, request: Request, user: TransactionUser) -> object:
        """Send a request of this leg; its responses go to `user`."""

    def renew(self, user: RenewalUser) -> None:
        """Offer the media in force again, by a re-INVITE."""

    def break_off(self, why: str) -> None:
        """The peer is gone."""


class KeptSession(NamedTuple):
    """The session of one leg, for the next process."""

    preferences: Preferences
    takes_update: bool
    agreed: tuple[Agreement, float] | None
    """The agreement, and seconds since it was made."""


class LegSession:
    """The agreement of one leg on the length of its session."""

    __slots__ = ("_asked_at", "_is_raised", "_promised", "_takes_update", "_timer", "preferences")

    def __init__(self, interval: int) -> None:
        """`interval`: seconds, the session interval that we ask for."""
        self._asked_at = _NEVER
        self.preferences = preferences_for(interval)
        self._is_raised = False
        """Whether a 422 has raised the interval of a refresh since the last that succeeded."""
        self._timer: SessionTimer | None = None  # while there is an agreement: most calls have none
        self._takes_update = False
        self._promised: tuple[Agreement | None, Headers] = _NO_PROMISE

    @property
    def kept(self) -> KeptSession:
        """All of it that outlives this process."""
        timer = self._timer
        agreed = None if timer is None or timer.agreement is None else (timer.agreement, timer.age)
        return KeptSession(self.preferences, self._takes_update, agreed)

    def resume(self, leg: RefreshedLeg, kept: KeptSession, wait: float) -> None:
        """Go on with the session of a process that is gone; a refresh that is due comes after `wait` seconds."""
        self.preferences, self._takes_update = kept.preferences, kept.takes_update
        if kept.agreed is not None:
            self._timer = self._new_timer(leg)
            self._timer.resume(*kept.agreed, wait)

    @property
    def takes_update(self) -> bool:
        """Whether the peer has said that it takes UPDATE (RFC 3311 section 5.1)."""
        return self._takes_update

    def request_leaves(self, request: Request) -> None:
        """Add our preferences to an INVITE or UPDATE of ours."""
        if request.method not in METHODS:
            return
        supported = f"Supported: {TIMER}"
        if "supported" in request.headers.present:
            supported = f"Supported: {', '.join([*request.headers.values('Supported'), TIMER])}"
        agreement = None if self._timer is None else self._timer.agreement
        request.headers.set_lines((("supported", supported), *_offer(self.preferences, agreement)))

    def response_came(self, leg: RefreshedLeg, response: Response) -> None:
        """A 2xx to an INVITE or UPDATE of ours holds the agreement. Raises MalformedMessage."""
        if "allow" in response.headers.present:
            self._note_abilities(response)
        if 200 <= response.status < 300 and response.cseq.method in METHODS and not leg.ended:
            self._agree(leg, accept_answer(response))

    def request_came(self, request: Request) -> None:
        """Look at the peer's INVITE or UPDATE; raises Refused 422 and MalformedMessage."""
        if "allow" in request.headers.present:
            self._note_abilities(request)
        if request.method in METHODS:
            agreement = None if self._timer is None else self._timer.agreement
            self._promised = accept_offer(self.preferences, request, agreement)

    def response_leaves(self, leg: RefreshedLeg, response: Response) -> None:
        """Add the agreement to a 2xx of ours, and let the time begin."""
        if not 200 <= response.status < 300 or response.cseq.method not in METHODS:
            return
        agreement, headers = self._promised
        if headers:
            response.headers.add_all(headers)
        self._agree(leg, agreement)

    def stop(self) -> None:
        """The session does not expire, or has ended."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _agree(self, leg: RefreshedLeg, agreement: Agreement | None) -> None:
        self._is_raised = False
        if agreement is None:
            if self._timer is not None:
                self.stop()
            return
        if self._timer is None:
            self._timer = self._new_timer(leg)
        self._timer.agree(agreement)

    def _new_timer(self, leg: RefreshedLeg) -> SessionTimer:
        return SessionTimer(leg.clock, lambda: self._refresh(leg), lambda: leg.break_off("the session expired"))

    def _refresh(self, leg: RefreshedLeg) -> None:
        if leg.ended:
            return
        refresh = _Refresh(leg, self)
        if self._takes_update:
            leg.send(leg.make_request("UPDATE"), refresh)
        else:
            leg.renew(refresh)

    def ask(self, leg: RefreshedLeg) -> None:
        """Refresh out of turn, to hear from the peer whether the dialog is still up; once in ASK_SECONDS."""
        now = leg.clock.seconds()
        if now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            self._refresh(leg)

    def refused(self, leg: RefreshedLeg, response: Response) -> None:
        """A refresh of ours got this final response, which is no success and does not end the call."""
        status, wait = response.status, _postponed(response)
        if status == 491:
            wait = glare_seconds(leg.dialog)
        elif status in (405, 501) and response.cseq.method == "UPDATE":
            self._takes_update, wait = False, 0.0
        elif status == 422:
            wait = self._raise_interval(response)
        self.again(wait)

    def again(self, wait: float | None) -> None:
        """Refresh again after so many seconds, or half of those that are left, as long as the session lasts."""
        if self._timer is not None:
            self._timer.again(wait)

    def _raise_interval(self, response: Response) -> float | None:
        try:
            raised = self.preferences.raised_by(response)
        except MalformedMessage:
            return None
        wait = None if self._is_raised or raised == self.preferences else 0.0
        self._is_raised, self.preferences = True, raised
        return wait

    def _note_abilities(self, message: Request | Response) -> None:
        self._takes_update = "UPDATE" in message.headers.values("Allow")


class _Refresh:
    """Waits for the outcome of one refresh."""

    def __init__(self, leg: RefreshedLeg, session: LegSession) -> None:
        self._leg = leg
        self._session = session

    def receive_response(self, response: Response) -> None:
        """A response to an UPDATE."""
        self._leg.note_received(response)
        if response.status >= 200:
            self.answered(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No response to an UPDATE."""
        self.failed(failure)

    def answered(self, response: Response) -> None:
        """Only a dialog that the peer does not know ends the call."""
        if response.status in (408, 481):
            self._leg.break_off(f"{response.status} to a session refresh")
        elif response.status >= 300:
            self._session.refused(self._leg, response)

    def failed(self, failure: TransactionFailure) -> None:
        """A peer that does not answer is gone (RFC 3261 section 12.2.1.2); a connection may come back."""
        if failure.timed_out:
            self._leg.break_off("no answer to a session refresh")
        else:
            self._session.again(None)

    def postponed(self) -> None:
        """The change under way refreshes too, if it succeeds."""
        self._session.again(POSTPONED_SECONDS)


@lru_cache(maxsize=256)
def _offer(preferences: Preferences, agreement: Agreement | None) -> tuple[HeaderLine, ...]:
    """The lines of an offer, which are the same for most calls."""
    return tuple(line_of(name, value) for name, value in offer(preferences, agreement))


def glare_seconds(dialog: Dialog | None) -> float:
    """Seconds to wait after 491 (RFC 3261 section 14.1), in units of 10 ms."""
    if dialog is not None and dialog.is_initiator:
        return (210 + randbelow(191)) / 100
    return randbelow(201) / 100


def _postponed(response: Response) -> float | None:
    """The seconds that a response wants us to wait, if it says so; a second at least."""
    wanted = response.retry_after
    return None if wanted is None else max(float(wanted), AGAIN_AT_LEAST)
