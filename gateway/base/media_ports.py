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

    def shares(self, count: int) -> list[PortRange]:
        """`count` ranges that follow one another, each from an even port on, with as many pairs, give or take one;
        fewer where one would have less than LEAST_PAIRS. It has a pair at least."""
        pairs = self.pairs
        count = max(1, min(count, len(pairs) // LEAST_PAIRS))
        firsts = [pairs[len(pairs) * index // count] for index in range(count)]
        return [PortRange(first, end - 1) for first, end in pairwise([*firsts, pairs[-1] + 2])]
