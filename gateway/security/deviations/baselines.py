"""Profiles from the calls that are kept: asked in SQL, a day at a time, in the thread of their file.

A day of a busy domain is some ten thousand rows of an index and takes tens of milliseconds; between two days the thread
has room for others. The answer of each is a row for an hour and one for a country, never one for a call.
"""

from __future__ import annotations

from typing import Any, Final, cast

from twisted.enterprise.adbapi import Transaction

from gateway.security.deviations.calling_profile import DAYS, HOUR, CallingProfile, country_of
from gateway.state.listing.call_table import CallTable

DAY: Final = 86_400

_OF: Final = "FROM listed WHERE {subject} AND direction = 'outbound' AND started_at >= ? AND started_at < ?"
_HOURS: Final = f"SELECT CAST(started_at / {HOUR} AS INTEGER) AS hour, COUNT(*), COUNT(answered_at) {_OF} GROUP BY hour"
# One number of each code: five characters tell the countries of +1 apart, too.
_NUMBERS: Final = (
    f"SELECT MAX(callee_number), CAST(MAX(started_at) / {HOUR} AS INTEGER) {_OF}"
    " AND callee_number GLOB '+[0-9][0-9][0-9][0-9]*' GROUP BY substr(callee_number, 1, 5)"
)
_USER: Final = "caller_user = ? AND domain = ?"
_DOMAIN: Final = "domain = ?"

Rows = list[tuple[Any, ...]]


async def profile_before(table: CallTable, domain: str, user: str, at: float) -> CallingProfile:
    """The profile of a user, or of a whole domain where that is empty, of the calls in the 28 days before a time."""
    profile = CallingProfile()
    subject, arguments = (_USER, (user, domain)) if user else (_DOMAIN, (domain,))
    hours, numbers = _HOURS.format(subject=subject), _NUMBERS.format(subject=subject)

    def look(first: float, last: float) -> Any:
        def ask(transaction: Transaction) -> tuple[Rows, Rows]:
            transaction.execute(hours, (*arguments, first, last))
            found = cast(Rows, transaction.fetchall())
            transaction.execute(numbers, (*arguments, first, last))
            return found, cast(Rows, transaction.fetchall())

        return table.ask(ask)

    for days in range(DAYS, 0, -1):
        counted, called = await look(at - days * DAY, at - (days - 1) * DAY)
        for hour, calls, answered in counted:
            profile.add_hour(hour, calls, answered)
        for number, hour in called:
            profile.add_country(country_of(number), hour)
    return profile
