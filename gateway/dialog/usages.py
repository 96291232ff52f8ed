"""The usages of a dialog (RFC 5057): a call and subscriptions share one and live and die apart.

    REFER --202--> a subscription --NOTIFY terminated, a refusal of NOTIFY, time--> over        RFC 3515 section 2.4.4
    SUBSCRIBE --2xx--> one (again: prolonged) --the same--> over                                RFC 6665 section 4
    INVITE --2xx--> a call --BYE--> over                                                        RFC 3261 section 15

Here: which response ends which usage, and the subscriptions of one pair of dialogs, as a B2BUA has it: each request
carries the CSeq of its own leg, so the ``id`` of a transfer's events (RFC 3515 section 2.4.6) is another on each side.
Time is an argument's: seconds of any clock. Not here: calls, messages, timers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

import attrs

from gateway.sip.grammar import find_parameter, format_parameters, parse_parameters, replace_parameter
from gateway.sip.message import Request, Response

MOST: Final = 16
"""Subscriptions of one pair of dialogs; the oldest is forgotten for another."""

FIRST_NOTIFY_SECONDS: Final = 64.0
"""How long a transfer's subscription waits for its first NOTIFY (RFC 6665 section 4.1.2.4: timer N is 64*T1)."""

TRANSFER_SECONDS: Final = 3600
"""The longest time between two events of a transfer: nobody refreshes it."""

DEFAULT_SECONDS: Final = 3600
"""How long a subscription lasts whose SUBSCRIBE does not say."""

LONGEST_SECONDS: Final = 24 * 3600

GRACE_SECONDS: Final = 64.0
"""How much later than announced a subscription is forgotten."""


class Usage(StrEnum):
    """The part of a dialog that a request belongs to."""

    CALL = "call"
    SUBSCRIPTION = "subscription"
    NONE = "none"
    """A request that neither lives on a usage nor harms one."""


_USAGES: Final = {
    **dict.fromkeys(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"), Usage.CALL),
    **dict.fromkeys(("SUBSCRIBE", "NOTIFY", "REFER"), Usage.SUBSCRIPTION),
}

_GONE: Final = frozenset({404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604})
"""Of a subscription (RFC 6665 sections 4.1.2.2 and 4.2.2)."""

_CALL_GONE: Final = frozenset({408, 481})
"""RFC 3261 section 12.2.1.2. RFC 5057 has more, but what another hop says of a refresh is no reason to hang up."""

_ENDING: Final = {
    **dict.fromkeys(("INVITE", "PRACK", "UPDATE"), _CALL_GONE),
    "SUBSCRIBE": _GONE,
    "NOTIFY": _GONE | {408},  # a time-out, too; a refresh may time out, and the subscription lasts as announced
    "REFER": frozenset(range(300, 700)),  # there will be none
}


def usage_of(method: str) -> Usage:
    """The usage that a request of this method is part of (RFC 5057 section 5.3). INFO is one of the call by RFC 6086,
    and yet has no effect on it."""
    return _USAGES.get(method, Usage.NONE)


def is_ended_by(method: str, status: int) -> bool:
    """Whether this final response ends the usage of its request, alone (RFC 5057 section 5.1); a time-out is 408."""
    return status in _ENDING.get(method, ())


@attrs.define
class _Subscription:
    subscriber: str
    """The leg that is told of events."""
    package: str
    id: str
    """As the subscriber has it."""
    other_id: str
    """As the notifier has it."""
    until: float


class KeptUsage(NamedTuple):
    """A subscription as the next process is told of it."""

    subscriber: str
    package: str
    id: str
    other_id: str
    left: float
    """Seconds."""


def _nothing() -> None:
    """Nobody waits for a change."""


class Usages:
    """The subscriptions of one pair of dialogs. ``changed`` is called when one begins, is prolonged or ends."""

    __slots__ = ("_changed", "_live", "_seconds")

    def __init__(self, seconds: Callable[[], float], changed: Callable[[], None] = _nothing) -> None:
        self._seconds = seconds
        self._changed = changed
        self._live: tuple[_Subscription, ...] = ()

    @property
    def count(self) -> int:
        """How many there are, those that are over included until they are looked at."""
        return len(self._live)

    @property
    def until(self) -> float | None:
        """When the last of them is over; None when none is left."""
        if not self._live:
            return None
        now = self._seconds()
        self._live = tuple(one for one in self._live if one.until > now)
        return max((one.until for one in self._live), default=None)

    @property
    def kept(self) -> tuple[KeptUsage, ...]:
        """All of them, with the time that each has left."""
        now = self._seconds()
        return tuple(
            KeptUsage(one.subscriber, one.package, one.id, one.other_id, one.until - now) for one in self._live
        )

    def resume(self, kept: Iterable[KeptUsage]) -> None:
        """Go on with those of the process before."""
        now = self._seconds()
        self._live = tuple(
            _Subscription(one.subscriber, one.package, one.id, one.other_id, now + min(one.left, LONGEST_SECONDS))
            for one in kept
        )[-MOST:]
        self._changed()

    def handed_on(self, changed: Callable[[], None]) -> Usages:
        """The same for another owner."""
        usages = Usages(self._seconds, changed)
        usages._live = self._live
        return usages

    def leaves(self, origin: str, asked: Request, sent: Request) -> None:
        """A request of leg ``origin`` leaves as ``sent`` on the other leg; its Event is put into that leg's words."""
        if asked.method == "REFER":
            self._begin(_Subscription(origin, "refer", str(asked.cseq.number), str(sent.cseq.number), 0.0))
            self._prolong(self._live[-1], FIRST_NOTIFY_SECONDS)
        elif asked.method in ("SUBSCRIBE", "NOTIFY"):
            found = self._find(origin, asked)
            if found is not None:
                _rename(sent, found.id if asked.method == "NOTIFY" else found.other_id)
            if asked.method == "NOTIFY":
                self._notified(found, asked)
            else:
                self._subscribed(origin, found, asked)

    def answered(self, origin: str, asked: Request, status: int, response: Response | None = None) -> None:
        """The request of leg ``origin`` got its final response; a time-out is 408."""
        is_unwanted = response is not None and (response.headers.get("Refer-Sub") or "").strip().lower() == "false"
        found = self._find(origin, asked)
        if found is not None and (is_ended_by(asked.method, status) or (asked.method == "REFER" and is_unwanted)):
            self._live = tuple(one for one in self._live if one is not found)
            self._changed()

    def _begin(self, subscription: _Subscription) -> None:
        self._live = (*self._live[-MOST + 1 :], subscription)

    def _subscribed(self, origin: str, found: _Subscription | None, asked: Request) -> None:
        if found is None:
            package, name = _event(asked)
            found = _Subscription(origin, package, name, name, 0.0)
            self._begin(found)
        expires = asked.expires
        self._prolong(found, DEFAULT_SECONDS if expires is None else expires)

    def _notified(self, found: _Subscription | None, asked: Request) -> None:
        if found is None:
            return
        state, _, rest = (asked.headers.get("Subscription-State") or "").partition(";")
        seconds = _EXPIRES.search(f";{rest}")
        if state.strip().lower() == "terminated":
            self._prolong(found, 0.0)
        elif seconds is not None:
            self._prolong(found, float(seconds[1]))
        elif found.package == "refer":
            self._prolong(found, TRANSFER_SECONDS)

    def _prolong(self, subscription: _Subscription, seconds: float) -> None:
        longest = TRANSFER_SECONDS if subscription.package == "refer" else LONGEST_SECONDS
        subscription.until = self._seconds() + min(seconds, longest) + GRACE_SECONDS
        self._changed()

    def _find(self, origin: str, request: Request) -> _Subscription | None:
        """The subscription of a request of leg ``origin``. A transfer's first events need not say
        which it is, and some makes leave Event out of a refresh."""
        is_notify = request.method == "NOTIFY"
        package, name = ("refer", str(request.cseq.number)) if request.method == "REFER" else _event(request)
        for one in self._live:
            known = one.other_id if is_notify else one.id
            if one.package != (package or one.package) or (one.subscriber != origin) is not is_notify:
                continue
            if known == name or (package in ("refer", "") and not name):
                return one
        return None


_EXPIRES: Final = re.compile(r";\s*expires\s*=\s*([0-9]{1,10})\s*(?:;|$)", re.IGNORECASE)


def _event(request: Request) -> tuple[str, str]:
    """The package and id of an Event (RFC 6665 section 8.2.1)."""
    package, semicolon, rest = (request.headers.get("Event") or "").partition(";")
    name = find_parameter(parse_parameters(semicolon + rest), "id") if rest.strip() else None
    return package.strip().lower(), name or ""


def _rename(request: Request, name: str) -> None:
    package, semicolon, rest = (request.headers.get("Event") or "").partition(";")
    parameters = parse_parameters(semicolon + rest) if rest.strip() else ()
    if find_parameter(parameters, "id") not in (None, name):
        request.headers.set("Event", package.strip() + format_parameters(replace_parameter(parameters, "id", name)))
