"""The calls of the history as a budget counts them: read once, at the start.

    tally (hours of 30 days, minutes of two hours) -> read_past -> PastCalls(hours, minutes)

Calls to emergency numbers that fell back are excused; the counts do not know them, the list of calls does. Not here:
counting (budgets.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, cast

import attrs
from twisted.enterprise.adbapi import Transaction

from gateway.security.budget.outcomes import BETWEEN_PHONES, EXCUSES, WEAK_VERDICTS, BudgetOutcome, outcome_of
from gateway.security.budget.standing import BURN_WINDOWS, HOUR, MINUTE, WINDOW
from gateway.state.listing.tallies import KEPT, Tallied, tallied

_BY_MINUTE: Final = KEPT[MINUTE]
_EMERGENCIES: Final = (
    "SELECT CAST(started_at / ? AS INTEGER) * ?, domain, reason, COUNT(*) FROM listed"
    " WHERE verdict IN (?, ?, ?) AND emergency = 1 AND started_at > ? GROUP BY 1, 2, 3"
)


@attrs.frozen
class SomeCalls:
    """Calls that have all of this in common."""

    at: float
    """The begin of their minute or hour, seconds since the epoch."""
    domain: str
    outcome: BudgetOutcome
    calls: int
    """Fewer than none: so many of the others were counted wrongly."""


@attrs.frozen
class PastCalls:
    """The calls of the history, twice: each stands in both lists as far as these go back."""

    hours: tuple[SomeCalls, ...] = ()
    """By the hour, of 30 days."""
    minutes: tuple[SomeCalls, ...] = ()
    """Of 3 days: those of the last two hours by the minute, older ones at the first minute of their hour."""


def read_past(transaction: Transaction, now: float) -> PastCalls:
    """The calls in the file."""
    hours = (*_counted(tallied(transaction, HOUR, now - WINDOW)), *_excused(transaction, HOUR, now - WINDOW))
    known = (now - _BY_MINUTE) // HOUR * HOUR + HOUR
    """The first hour of which every minute is known."""
    older = (one for one in hours if now - BURN_WINDOWS["3d"] < one.at < known)
    minutes = (*_counted(tallied(transaction, MINUTE, known)), *_excused(transaction, MINUTE, known))
    return PastCalls(hours, (*older, *(one for one in minutes if one.at >= known)))


def _counted(tallies: Iterable[Tallied]) -> Iterator[SomeCalls]:
    for one in tallies:
        outcome = outcome_of(one.verdict, one.reason)
        if outcome is not None and one.direction != BETWEEN_PHONES:
            yield SomeCalls(one.at, one.domain, outcome, one.calls)


def _excused(transaction: Transaction, width: int, since: float) -> Iterator[SomeCalls]:
    """Calls to emergency numbers that stand among the spent ones."""
    transaction.execute(_EMERGENCIES, (width, width, *sorted(WEAK_VERDICTS), since))
    for at, domain, reason, calls in cast("list[tuple[int, str, str, int]]", transaction.fetchall()):
        if reason not in EXCUSES:
            yield SomeCalls(at, domain, BudgetOutcome.SPENT, -calls)
            yield SomeCalls(at, domain, BudgetOutcome.EXCUSED, calls)
