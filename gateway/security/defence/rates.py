"""Rates of new requests by source and method: token buckets, of which only the excess is dropped.

    source, method, trust -> Rates.allows -> True | False: one too many

A known source has room for all its phones to come back at once: with each phone that is registered from there it may
send more. An unknown one registers its first phone, and is known from then on. A source with many points has next to
nothing. A phone that is registered has something of its own beside the rate of its source, which a forger of that
source can use up. Buckets of unknown sources are apart: forged ones push out none that are known. Beyond the capacity
new sources share one. Pure: time is an argument.
"""

from __future__ import annotations

from typing import Final

from gateway.base.rate import Rate, TokenBuckets
from gateway.security.defence.trust import Trust

REGISTER: Final = {Trust.KNOWN: Rate(5.0, 200), Trust.UNKNOWN: Rate(1.0, 20)}
OTHERS: Final = {Trust.KNOWN: Rate(100.0, 2_000), Trust.UNKNOWN: Rate(20.0, 400)}
"""Of each other method by itself."""
THROTTLED: Final = Rate(0.2, 8)
"""REGISTERs of a source with points, without credentials: one in five seconds, after some that let a fast guesser go on
to its ban."""
THROTTLED_OTHERS: Final = Rate(1.0, 20)
"""Its requests of each other method."""
PER_PHONE: Final = Rate(0.1, 4)
"""More for each phone that is registered from a source: behind NAT it registers twice a minute."""
PHONE: Final = Rate(1.0, 20)
"""Of each method of a registered phone over UDP, by itself."""
CAPACITY: Final = 20_000
IDLE: Final = 300.0
"""Seconds after which a bucket is surely full again."""


_Buckets = TokenBuckets[tuple[str, str]]


class Rates:
    """All buckets."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._known = _Buckets(capacity, IDLE)
        self._unknown = _Buckets(capacity, IDLE)
        self._throttled = _Buckets(capacity, IDLE)
        self._phones = _Buckets(capacity, IDLE)

    def allows_phone(self, flow: str, method: str, now: float) -> bool:
        """Whether the phone that is registered over a flow may send one more request, beside those of its source."""
        return self._phones.take((flow, method), PHONE, now)

    def allows(self, source: str, method: str, trust: Trust, phones: int, now: float) -> bool:
        """Whether a source may send one more request of a method; ``phones`` are registered from there."""
        rate = (REGISTER if method == "REGISTER" else OTHERS)[trust]
        if trust is Trust.KNOWN:
            return self._known.take((source, method), _with_phones(rate, phones), now)
        return self._unknown.take((source, method), rate, now)

    def allows_throttled(self, source: str, method: str, now: float) -> bool:
        """The same of a source with points."""
        return self._throttled.take((source, method), THROTTLED if method == "REGISTER" else THROTTLED_OTHERS, now)


def _with_phones(rate: Rate, phones: int) -> Rate:
    if not phones:
        return rate
    return Rate(rate.per_second + phones * PER_PHONE.per_second, rate.burst + phones * PER_PHONE.burst)
