"""Session timers (RFC 4028): the session interval, the side that refreshes, and the timer itself.

    we send INVITE, UPDATE:  offer() -> headers;  2xx -> accept_answer() -> Agreement;  422 -> Preferences.raised_by()
    we get INVITE, UPDATE:   accept_offer() -> Agreement and headers for the 2xx, or Refused(422)
    Agreement --SessionTimer--> refresh (send UPDATE or re-INVITE), expired (send BYE)

Each leg has its own agreement. "uac" and "uas" are roles in the refreshing transaction, not in the dialog: they change
with the sender of the request, so an Agreement says `we_refresh` instead. `Supported: timer` is the caller's to send
with each request.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from attrs import evolve, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.sip.capabilities import TIMER
from gateway.sip.errors import Refused
from gateway.sip.grammar import find_parameter, parse_number, parse_parameters
from gateway.sip.message import Message, Request, Response

SMALLEST = 90
"""Seconds: the smallest session interval that anybody may ask for (section 5)."""
_LARGEST = 2**32 - 1
LEFT_AT_LEAST = 32.0
"""Seconds that a session lasts after a restart at least: for so long its peer may ask in vain (64*T1)."""
LAST_SECONDS = 1.0
"""Before its end a session is not refreshed any more."""

Headers = tuple[tuple[str, str], ...]


class Refresher(StrEnum):
    """The refreshing side, by its role in the transaction that agrees on it."""

    UAC = "uac"
    UAS = "uas"


@frozen
class SessionExpires:
    """The Session-Expires header: an interval in seconds and, when settled, the refreshing side."""

    seconds: int
    refresher: Refresher | None = None

    @classmethod
    def parse(cls, text: str) -> SessionExpires:
        """Raises MalformedMessage; an unknown refresher counts as none."""
        number, semicolon, rest = text.partition(";")
        seconds = parse_number(number.strip(), "Session-Expires", _LARGEST)
        name = find_parameter(parse_parameters(semicolon + rest), "refresher") if semicolon else None
        known = {refresher.value: refresher for refresher in Refresher}
        return cls(seconds, known.get((name or "").lower()))

    def __str__(self) -> str:
        return str(self.seconds) if self.refresher is None else f"{self.seconds};refresher={self.refresher}"


@frozen
class Preferences:
    """The interval that we ask for and the smallest that we accept, in seconds. Only raised_by() changes them within a
    dialog."""

    interval: int = 1800
    smallest: int = SMALLEST

    def raised_by(self, message: Message) -> Preferences:
        """The preferences after a 422 (section 7.3) or a request with Min-SE: no interval below the peer's minimum."""
        smallest = max(self.smallest, _min_se(message))
        return evolve(self, interval=max(self.interval, smallest), smallest=smallest)


@lru_cache(maxsize=8)
def preferences_for(interval: int) -> Preferences:
    """The preferences that legs begin with, one value for all of them."""
    return Preferences(interval)


@frozen
class Agreement:
    """A session interval in seconds, and whether we refresh it."""

    interval: int
    we_refresh: bool

    @property
    def refresh_after(self) -> float:
        """Seconds from one refresh to the next (section 10: half the interval)."""
        return self.interval / 2

    @property
    def expires_after(self) -> float:
        """Seconds without refresh until BYE: a bit before the peer's end (section 10)."""
        return self.interval - min(32.0, self.interval / 3)


def offer(preferences: Preferences, agreement: Agreement | None = None) -> Headers:
    """Session-Expires and Min-SE for a request of ours; in mid-dialog with the interval and refresher that rule
    (7.4)."""
    if agreement is None:
        wanted = SessionExpires(max(preferences.interval, preferences.smallest))
    else:
        refresher = Refresher.UAC if agreement.we_refresh else Refresher.UAS
        wanted = SessionExpires(max(agreement.interval, preferences.smallest), refresher)
    return ("Session-Expires", str(wanted)), ("Min-SE", str(preferences.smallest))


def accept_answer(response: Response) -> Agreement | None:
    """The agreement in the 2xx to our request (7.2); None: this session does not expire, an earlier agreement ends.

    An interval below 90 s counts as 90 s. Without refresher, which is an error of the peer, we refresh. Raises
    MalformedMessage.
    """
    if "session-expires" not in response.headers.present:
        return None
    agreed = SessionExpires.parse(response.headers.get("Session-Expires") or "")
    return Agreement(max(agreed.seconds, SMALLEST), agreed.refresher is not Refresher.UAS)


def accept_offer(
    preferences: Preferences, request: Request, agreement: Agreement | None = None
) -> tuple[Agreement | None, Headers]:
    """Our answer to the peer's INVITE or UPDATE (section 9): the agreement, and the headers for our 2xx.

    The peer's interval is kept or lowered, never raised. The side that the peer names refreshes; else the one that does
    it now; else the peer, if it can. A peer that knows no timer and asks for none has none. Raises Refused(422) for an
    interval below our minimum (only to a peer that understands 422), MalformedMessage for a header that cannot be read.
    """
    given = request.headers
    text = given.get("Session-Expires") if "session-expires" in given.present else None
    supported = supports_timer(request)
    if text is None and not supported:
        return None, ()
    asked = SessionExpires(preferences.interval) if text is None else SessionExpires.parse(text)
    if supported and asked.seconds < preferences.smallest:
        raise Refused(422, headers=(("Min-SE", str(preferences.smallest)),))
    least = max(_min_se(request), SMALLEST)
    interval = max(min(asked.seconds, preferences.interval), least)
    refresher = _choose_refresher(supported, asked.refresher, agreement)
    headers: Headers = (("Session-Expires", str(SessionExpires(interval, refresher))),)
    if supported:
        headers = (*headers, ("Require", TIMER))
    return Agreement(interval, refresher is Refresher.UAS), headers


def supports_timer(message: Message) -> bool:
    """Whether the peer says `timer` in Supported or Require."""
    headers = message.headers
    if "supported" not in headers.present and "require" not in headers.present:
        return False
    named = headers.values("Supported")
    if "require" in headers.present:
        named = named + headers.values("Require")
    return TIMER in named or TIMER in map(str.lower, named)


def _choose_refresher(supported: bool, asked: Refresher | None, agreement: Agreement | None) -> Refresher:
    """Table 2 of section 9; we are the UAS here."""
    if not supported:
        return Refresher.UAS
    if asked is not None:
        return asked
    return Refresher.UAS if agreement is not None and agreement.we_refresh else Refresher.UAC


def _min_se(message: Message) -> int:
    """Min-SE in seconds, 0 when missing. Raises MalformedMessage."""
    text = message.headers.get("Min-SE")
    return 0 if text is None else parse_number(text.partition(";")[0].strip(), "Min-SE", _LARGEST)


class SessionTimer:
    """Runs an agreement. agree() after each refresh of either side; stop() with the dialog.

    refresh is called when a refresh of ours is due, and the owner then sends it; expired when no refresh came in time,
    and the owner then sends BYE. Neither is called after stop().
    """

    def __init__(self, clock: IReactorTime, refresh: Callable[[], None], expired: Callable[[], None]) -> None:
        self._clock = clock
        self._refresh = refresh
        self._expired = expired
        self._agreement: Agreement | None = None
        self._agreed_at = 0.0
        self._call: IDelayedCall | None = None
        self._again: IDelayedCall | None = None

    @property
    def agreement(self) -> Agreement | None:
        """The present agreement; None when the session does not expire."""
        return self._agreement

    def agree(self, agreement: Agreement | None) -> None:
        """A refresh has been agreed on: the time starts again. None ends the timer."""
        self.stop()
        self._agreement = agreement
        if agreement is None:
            return
        self._agreed_at = self._clock.seconds()
        if agreement.we_refresh:
            self._call = self._clock.callLater(agreement.refresh_after, self._refresh_due, agreement)
        else:
            self._call = self._clock.callLater(agreement.expires_after, self._session_expired)

    @property
    def age(self) -> float:
        """Seconds since the present agreement."""
        return self._clock.seconds() - self._agreed_at

    def resume(self, agreement: Agreement, age: float, wait: float) -> None:
        """Go on with an agreement that another process made so many seconds ago: a refresh that is due or overdue comes
        after `wait` seconds, and the end not within LEFT_AT_LEAST."""
        self.stop()
        self._agreement, self._agreed_at = agreement, self._clock.seconds() - age
        left = max(agreement.expires_after - age, LEFT_AT_LEAST)
        self._call = self._clock.callLater(left, self._session_expired)
        if agreement.we_refresh:
            due = max(agreement.refresh_after - age, min(wait, left / 2))
            self._again = self._clock.callLater(due, self._refresh_again)

    def again(self, wait: float | None) -> None:
        """Call refresh again after so many seconds, or half of those that are left, if the session lasts so long."""
        if self._call is None or self._again is not None:
            return
        left = self._call.getTime() - self._clock.seconds()
        seconds = left / 2 if wait is None else wait
        if left > LAST_SECONDS and seconds < left:
            self._again = self._clock.callLater(seconds, self._refresh_again)

    def stop(self) -> None:
        """End; call nobody any more."""
        self._agreement = None
        for call in (self._call, self._again):
            if call is not None:
                call.cancel()
        self._call = self._again = None

    def _refresh_due(self, agreement: Agreement) -> None:
        left = agreement.expires_after - agreement.refresh_after
        self._call = self._clock.callLater(left, self._session_expired)
        self._refresh()

    def _refresh_again(self) -> None:
        self._again = None
        self._refresh()

    def _session_expired(self) -> None:
        self._call = None
        self.stop()
        self._expired()
