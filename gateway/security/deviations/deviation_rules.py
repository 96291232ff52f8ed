"""The rules: a call beside the profile that its user or domain had before it. Pure functions.

Each deviation has the figures that were compared, so that its reader can judge. A rule that was told says no more
until the matter is another one: the next country, hour, ten minutes, fifty calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from gateway.observe.events import EventName, Field
from gateway.security.deviations.calling_profile import (
    DAYS,
    LATEST,
    SHORT_SECONDS,
    CallingProfile,
    OutgoingCall,
    is_night,
)

TIMES: Final = 5
"""Times the usual calls of an hour that are many."""
LEAST_CALLS: Final = 10
"""Calls of an hour that may be many: five calls of a phone that makes one are none."""
SHORT_CALLS: Final = 10
SHORT_WITHIN: Final = 600.0
"""Seconds."""
LEAST_ANSWERED: Final = 0.1
"""Share."""


@attrs.frozen
class Deviation:
    """One deviation, with the figures that were compared."""

    name: EventName
    fields: Mapping[str, Field]


def deviations_of(profile: CallingProfile, call: OutgoingCall, offset: float, *, of_user: bool) -> list[Deviation]:
    """The deviations of a call that has ended, and the profile goes on with it. None without a week of history.

    ``offset``: seconds that local time is ahead. Short and unanswered calls are judged of a user alone: those of many
    users together mean nothing.
    """
    if not profile.is_ripe(call.started_at):
        profile.add(call)
        return []
    found = [*_new(profile, call, offset)]
    profile.add(call)
    found += _busy(profile, call)
    return [*found, *_short(profile, call), *_unanswered(profile)] if of_user else found


def _new(profile: CallingProfile, call: OutgoingCall, offset: float) -> Iterator[Deviation]:
    """Judged before the profile knows the call."""
    hour, country = call.hour, call.country
    if country and not profile.is_known(country, hour):
        known = profile.countries(hour)
        yield Deviation(
            EventName.DEVIATION_NEW_COUNTRY,
            {"country": country, "number": call.number, "countries_before": len(known), "days": DAYS},
        )
    if is_night(call.started_at, offset) and not profile.was_at_night(hour, offset):
        yield Deviation(EventName.DEVIATION_NIGHT_CALL, {"number": call.number, "night_calls_before": 0, "days": DAYS})


def _busy(profile: CallingProfile, call: OutgoingCall) -> list[Deviation]:
    """Told at the one call that reaches the limit: the next of the hour is one more."""
    hour = call.hour
    calls, usual = profile.in_hour(hour), profile.usual(hour, call.started_at)
    limit = max(LEAST_CALLS, TIMES * usual)
    if not calls - 1 < limit <= calls:
        return []
    return [Deviation(EventName.DEVIATION_BUSY_HOUR, {"calls": calls, "usual": round(usual, 1), "times": TIMES})]


def _short(profile: CallingProfile, call: OutgoingCall) -> Iterator[Deviation]:
    calls = profile.short_since(call.ended_at - SHORT_WITHIN)
    if calls > SHORT_CALLS:
        profile.forget_short()
        yield Deviation(
            EventName.DEVIATION_SHORT_CALLS,
            {"calls": calls, "shorter_than": SHORT_SECONDS, "within": SHORT_WITHIN, "number": call.number},
        )


def _unanswered(profile: CallingProfile) -> Iterator[Deviation]:
    """Of a user that is answered seldom anyway, nothing is told."""
    calls, answered = profile.latest_answers()
    if calls < LATEST or answered >= LEAST_ANSWERED * calls:
        return
    before = profile.calls - calls
    usual = (profile.answered - answered) / before if before > 0 else 0.0
    profile.forget_answers()
    if usual >= 2 * LEAST_ANSWERED:
        yield Deviation(
            EventName.DEVIATION_UNANSWERED_CALLS,
            {"calls": calls, "answered": answered, "usual_answered_percent": round(100 * usual)},
        )
