"""A limit on the requests of each source: token buckets, in a table of bounded size.

Pure: time is an argument (seconds, any origin, never going back). A source that has been quiet until its bucket is full
again needs no entry. When the table is full of sources that are not, new ones share one bucket: a
sender with many addresses does not get a burst for each, and sources in the table already are not affected.
"""

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

import attrs


@attrs.define
class _Bucket:
    tokens: float
    at: float


@attrs.frozen
class Rate:
    """``per_second`` on average, ``burst`` at once."""

    per_second: float
    burst: int

    @property
    def refill(self) -> float:
        """Seconds until an empty bucket is full."""
        return self.burst / self.per_second


class RateLimit:
    """Token buckets by source."""

    def __init__(self, rate: Rate, capacity: int = 10_000) -> None:
        self._rate = rate
        self._capacity = capacity
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._shared = _Bucket(float(rate.burst), 0.0)

    def allows(self, host: str, now: float) -> bool:
        """Whether ``host`` (an IP address) may ask once more now; takes a token if so."""
        bucket = self._bucket(source_of(host), now)
        tokens = bucket.tokens + (now - bucket.at) * self._rate.per_second
        bucket.tokens, bucket.at = min(float(self._rate.burst), tokens), now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def give_back(self, host: str, now: float) -> None:
        """Take back that ``host`` asked: it turned out to be none of those that are to be limited."""
        bucket = self._bucket(source_of(host), now)
        bucket.tokens = min(float(self._rate.burst), bucket.tokens + 1.0)

    def __len__(self) -> int:
        return len(self._buckets)

    def _bucket(self, source: str, now: float) -> _Bucket:
        bucket = self._buckets.get(source)
        if bucket is None:
            self._drop_full(now)
            if len(self._buckets) >= self._capacity:
                return self._shared
            bucket = self._buckets[source] = _Bucket(float(self._rate.burst), now)
        self._buckets.move_to_end(source)
        return bucket

    def _drop_full(self, now: float) -> None:
        """Forget those longest quiet, as far as their buckets are surely full: at most two a call, so never a pause."""
        for _ in range(2):
            oldest = next(iter(self._buckets.values()), None)
            if oldest is None or now - oldest.at < self._rate.refill:
                return
            self._buckets.popitem(last=False)


@lru_cache(maxsize=4096)
def source_of(host: str) -> str:
    """The source that an address belongs to: an IPv4 address, or the /64 that one IPv6 subscriber has for itself."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))
