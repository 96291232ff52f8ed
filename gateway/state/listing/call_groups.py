"""All calls of a time, counted by domain, provider, verdict and reason, for reports.

    the first part of an hour: the rows of `listed`, by their begin     whole hours: `tally`
    a domain with a begin of its own (its policy was changed): the same, for it alone

Whole hours are counted already, so a month of a million calls costs no more than its hours; only the calls of less than
one hour are looked at. Figures are kept for 31 days, so no longer time can be asked about.

Here: the question in SQL. Not here: the calls that are up, which have no verdict yet.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias, cast

import attrs
from twisted.enterprise.adbapi import Transaction

from gateway.state.listing.call_statistics import ENCRYPTED
from gateway.state.listing.tallies import HOUR

MOST_DAYS: Final = 31
"""That figures are kept for."""
MOST_BEGINS: Final = 100
"""Domains with a begin of their own; of more, the latest."""

NO_CLAIM: Final = frozenset({"REFUSED", "UNANSWERED", ""})
"""Verdicts of calls that did not come about."""
EMERGENCY: Final = "CLEAR_EMERGENCY"

_KEY: Final = "domain, provider, verdict, reason"
_Row: TypeAlias = tuple[str, str, str, str, int]


@attrs.frozen
class CallGroup:
    """Calls that ended and have all of this in common."""

    domain: str
    provider: str
    verdict: str
    reason: str
    calls: int

    @property
    def is_answered(self) -> bool:
        """Whether they came about: only then their verdict claims something."""
        return self.verdict not in NO_CLAIM

    @property
    def is_encrypted(self) -> bool:
        """Whether they were encrypted to the provider."""
        return self.verdict in ENCRYPTED

    @property
    def is_emergency(self) -> bool:
        """Whether they went in clear since they were emergency calls."""
        return self.reason == EMERGENCY

    @property
    def is_weaker(self) -> bool:
        """Whether they came about with less than encryption to the provider; not so emergency calls in clear."""
        return self.is_answered and not self.is_encrypted and not self.is_emergency


def grouped(transaction: Transaction, since: float, begins: Mapping[str, float] | None = None) -> list[CallGroup]:
    """The calls that began since, seconds since the epoch, and have ended. ``begins``: domains of which only the calls
    since a later moment count."""
    later = {name: at for name, at in (begins or {}).items() if at > since}
    own = dict(sorted(later.items(), key=lambda item: item[1])[-MOST_BEGINS:])
    counted: Counter[tuple[str, str, str, str]] = Counter()
    for *key, calls in _since(transaction, since):
        if key[0].lower() not in own:
            counted[cast("tuple[str, str, str, str]", tuple(key))] += calls
    for name, at in own.items():
        for *key, calls in _since(transaction, at):
            if key[0].lower() == name:
                counted[cast("tuple[str, str, str, str]", tuple(key))] += calls
    return [CallGroup(*key, calls) for key, calls in sorted(counted.items())]


def _since(transaction: Transaction, since: float) -> Iterator[_Row]:
    whole = math.ceil(since / HOUR) * HOUR
    transaction.execute(
        f"SELECT {_KEY}, COUNT(*) FROM listed WHERE started_at >= ? AND started_at < ? GROUP BY {_KEY}",  # noqa: S608
        (since, whole),
    )
    yield from _texts(cast("list[_Row]", transaction.fetchall()))
    transaction.execute(
        f"SELECT {_KEY}, SUM(calls) FROM tally WHERE width = ? AND at >= ? GROUP BY {_KEY}",  # noqa: S608
        (HOUR, whole),
    )
    yield from _texts(cast("list[_Row]", transaction.fetchall()))


def _texts(rows: list[_Row]) -> Iterator[_Row]:
    """Rows of an earlier version may lack a text."""
    for domain, provider, verdict, reason, calls in rows:
        yield domain or "", provider or "", verdict or "", reason or "", int(calls)
