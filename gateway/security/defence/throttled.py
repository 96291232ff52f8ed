"""The sources that are slowed: unknown ones with so many points that next to nothing of them is let through.

    Observation -> Judge -> observed -> one more? -> told once, with the evidence        clock -> look(): over?
                                   `-> the table -> current(), of(source): for operators

Most scanners use UDP and prove nothing, so that they are never banned: their packets are dropped one by one. This table
shows them beside the bans. It decides nothing. A forger can put any address on a packet, and fill the table as fast as
it likes: so it is bounded, those quiet longest go first, and only so many are told. One that goes on comes back.

Not here: the points (judge.py), the dropping (sieve.py), the evidence (evidence.py), the words (defence_news.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

import attrs

from gateway.base.rate import Rate, TokenBuckets, source_of
from gateway.observe.observations import Observation
from gateway.security.defence.evidence import UNPROVED, EvidenceLines
from gateway.security.defence.judge import POINTS

CAPACITY: Final = UNPROVED
"""Sources at most: of so many is there evidence."""
TOLD: Final = Rate(0.2, 20)
"""Sources that are told, each kind by itself: those that proved their address, and the others, that may be forged."""


@attrs.frozen
class ThrottledSource:
    """A source that is slowed. Times are seconds since the epoch that pass evenly."""

    source: str
    """As `base.rate.source_of` writes it."""
    is_proved: bool
    """Whether proved points alone are enough. If not, its packets may be another's, with this address on them."""
    since: float
    last: float
    """When the latest packet was judged. A flood is judged by a few of its packets."""
    until: float
    """When it is slowed no more, if nothing else is observed."""
    by_kind: dict[str, float]
    """Points by kind of observation since then, without decay."""
    seen: int
    """Observations since then."""
    left_out: int = 0
    """Others that were not told since the last one that was."""

    @property
    def reason(self) -> str:
        """The kind that weighed most (`observations.Kind`)."""
        return max(self.by_kind, key=self.by_kind.__getitem__)


class PointsNow(Protocol):
    """The points of sources: a `Judge`."""

    def slowed_for(self, source: str) -> tuple[float, bool]:
        """Seconds that a source is slowed for from now on, 0 for one that is not; whether proved points do it alone."""


class Throttled:
    """The table of them. ``now`` gives seconds since the epoch that pass evenly; ``tell`` takes each that is new."""

    def __init__(
        self,
        judge: PointsNow,
        evidence: EvidenceLines,
        now: Callable[[], float],
        tell: Callable[[ThrottledSource, str], None],
        capacity: int = CAPACITY,
    ) -> None:
        self._judge = judge
        self._evidence = evidence
        self._now = now
        self._tell = tell
        self._capacity = capacity
        self._table: OrderedDict[str, ThrottledSource] = OrderedDict()
        self._told: TokenBuckets[bool] = TokenBuckets(2, TOLD.refill)
        self._left_out = 0

    def observed(self, seen: Observation) -> None:
        """A reader of observations, after the judge."""
        if seen.kind not in POINTS:
            return
        source = source_of(seen.host)
        seconds, is_proved = self._judge.slowed_for(source)
        if not seconds:
            self._table.pop(source, None)
            return
        now, kind = self._now(), str(seen.kind)
        known = self._table.pop(source, None)
        if known is None or known.until <= now:
            one = ThrottledSource(source, is_proved, now, now, now + seconds, {kind: POINTS[seen.kind]}, 1)
            self._keep(one)
            self._tell_of(one, now)
            return
        points = {**known.by_kind, kind: known.by_kind.get(kind, 0.0) + POINTS[seen.kind]}
        self._keep(
            attrs.evolve(known, is_proved=is_proved, last=now, until=now + seconds, by_kind=points, seen=known.seen + 1)
        )

    def look(self) -> None:
        """Forget those that are slowed no more. To be called every few seconds."""
        now = self._now()
        for source in [source for source, one in self._table.items() if one.until <= now]:
            del self._table[source]

    def current(self) -> list[ThrottledSource]:
        """Those that are slowed now, the latest first."""
        return [one for one in reversed(self._table.values()) if self._judge.slowed_for(one.source)[0]]

    def of(self, source: str) -> ThrottledSource | None:
        """One of them; None for a source that is not slowed."""
        return self._table.get(source) if self._judge.slowed_for(source)[0] else None

    def proved(self) -> tuple[int, int]:
        """How many there are: with a proved address, and without."""
        count = sum(one.is_proved for one in self._table.values())
        return count, len(self._table) - count

    def _keep(self, one: ThrottledSource) -> None:
        self._table[one.source] = one
        if len(self._table) > self._capacity:
            self._table.popitem(last=False)

    def _tell_of(self, one: ThrottledSource, now: float) -> None:
        if not self._told.take(one.is_proved, TOLD, now):
            self._left_out += 1
            return
        left_out, self._left_out = self._left_out, 0
        lines = self._evidence.lines(one.source)
        self._tell(attrs.evolve(one, left_out=left_out), lines[-1] if lines else "")
