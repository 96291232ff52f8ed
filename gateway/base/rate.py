"""A limit on the requests of each source: token buckets, in a table of bounded size.

Pure: time is an argument (seconds, any origin, never going back). A source that has been quiet until its bucket is full
again needs no entry. When the table is full of sources that are not, new ones share one bucket: a
sender with many addresses does not get a burst for each, and sources in the table already are not affected.
"""

from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Generic, TypeVar

import attrs

K = TypeVar("K", bound=Hashable)


@attrs.define
class TokenBucket:
    """Tokens, and when they were counted."""

    tokens: float
    at: float

    def take(self, per_second: float, burst: float, now: float) -> bool:
        """Take a token, after it has filled at this rate until now; whether there was one."""
        tokens = self.tokens + (now - self.at) * per_second
        self.tokens, self.at = min(burst, tokens), now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


@attrs.frozen
class Rate:
    """``per_second`` on average, ``burst`` at once."""

    per_second: float
    burst: int

    @property
    def refill(self) -> float:
        """Seconds until an empty bucket is full."""
        return self.burst / self.per_second


class TokenBuckets(Generic[K]):
    """Buckets by key, ``capacity`` at most; each is surely full again after ``idle`` seconds. The one that new keys
    share beyond that begins with ``shared`` tokens."""

    def __init__(self, capacity: int, idle: float, shared: float = 0.0) -> None:
        self._capacity = capacity
        self._idle = idle
        self._buckets: OrderedDict[K, TokenBucket] = OrderedDict()
        self._shared = TokenBucket(shared, 0.0)

    def take(self, key: K, rate: Rate, now: float) -> bool:
        """Take a token of a bucket, which fills at this rate; whether there was one."""
        return self._bucket(key, rate, now).take(rate.per_second, float(rate.burst), now)

    def give_back(self, key: K, rate: Rate, now: float) -> None:
        """Put a token back."""
        bucket = self._bucket(key, rate, now)
        bucket.tokens = min(float(rate.burst), bucket.tokens + 1.0)

    def __len__(self) -> int:
        return len(self._buckets)

    def _bucket(self, key: K, rate: Rate, now: float) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            self._drop_full(now)
            if len(self._buckets) >= self._capacity:
                return self._shared
            bucket = self._buckets[key] = TokenBucket(float(rate.burst), now)
        self._buckets.move_to_end(key)
        return bucket

    def _drop_full(self, now: float) -> None:
        """Forget those longest quiet, as far as their buckets are surely full: at most two a call, so never a pause."""
        for _ in range(2):
            oldest = next(iter(self._buckets.values()), None)
            if oldest is None or now - oldest.at < self._idle:
                return
            self._buckets.popitem(last=False)


class RateLimit:
    """Token buckets by source, all of one rate."""

    def __init__(self, rate: Rate, capacity: int = 10_000) -> None:
        self._rate = rate
        self._buckets: TokenBuckets[str] = TokenBuckets(capacity, rate.refill, float(rate.burst))

    def allows(self, host: str, now: float) -> bool:
        """Whether ``host`` (an IP address) may ask once more now; takes a token if so."""
        return self._buckets.take(source_of(host), self._rate, now)

    def give_back(self, host: str, now: float) -> None:
        """Take back that ``host`` asked: it turned out to be none of those that are to be limited."""
        self._buckets.give_back(source_of(host), self._rate, now)

    def __len__(self) -> int:
        return len(self._buckets)


@lru_cache(maxsize=4096)
def source_of(host: str) -> str:
    """The source that an address belongs to: an IPv4 address, or the /64 that one IPv6 subscriber has for itself."""
    if ":" not in host:  # IPv4 has one spelling; forged sources are many, and all are asked for
        return host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))
