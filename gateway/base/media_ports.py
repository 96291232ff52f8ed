"""The ports that media may have, in pairs: an even one for RTP and the odd one above for RTCP (RFC 3550 section 11).

    10078-10083    10078, 10082    and not 10080, which browsers block

The configuration is checked by them, the workers' shares are made of them, and a worker gives them to calls: so a range
that is accepted carries the calls that it is said to carry. Pure.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import attrs

LEAST_PAIRS: Final = 2
"""Of a range that carries a call, wherever its sides have their ports."""
RESERVE: Final = 0.1
"""Of the pairs of a worker, kept for emergency calls; none of less than ten pairs."""
MOST_RESERVED: Final = 100
"""Pairs that are kept for them at most: fifty calls at once."""
QUARANTINE_SECONDS: Final = 10.0
"""A pair that carried a call is silent for so long before the next one gets it."""
BLOCKED_BY_BROWSERS: Final = frozenset({1720, 4190, 5060, 6000, 6566, 6666, 6668, 10080})
"""Even ports from 1024 on that pages reach nobody at (Fetch, section "Port blocking"): Chromium sends no check there,
and the call would stay silent. Left out for all calls: whose one is, is not known when it gets its port."""


@attrs.frozen
class PortRange:
    """UDP ports from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def pairs(self) -> list[int]:
        """The even ports of its pairs, in their order."""
        return [one for one in range(self.first + self.first % 2, self.last, 2) if one not in BLOCKED_BY_BROWSERS]

    @property
    def reserved(self) -> int:
        """The number of pairs that are kept for emergency calls."""
        return min(MOST_RESERVED, int(len(self.pairs) * RESERVE))

    def shares(self, count: int) -> list[PortRange]:
        """`count` ranges that follow one another, each from an even port on, and as long as the others, give or take a
        pair; fewer where one would have less than LEAST_PAIRS. A worker that lives on through an upgrade is found by
        its share: blocked ports count here, so that they move no bound."""
        most = max(1, min(count, len(self.pairs) // LEAST_PAIRS))
        splits = map(self._split, range(most, 0, -1))
        return next(one for one in splits if len(one) == 1 or all(len(part.pairs) >= LEAST_PAIRS for part in one))

    def _split(self, count: int) -> list[PortRange]:
        first = self.first + self.first % 2
        pairs = (self.last + 1 - first) // 2
        bounds = [first + 2 * (pairs * index // count) for index in range(count + 1)]
        return [PortRange(start, end - 1) for start, end in pairwise(bounds)]
