"""Points of sources, which halve in ten minutes, and the users that each has tried: tables of bounded size.

Pure: time is an argument (seconds, never going back). Beyond the capacity new sources have no account: a sender with
many addresses can neither fill the memory nor push out the account of another.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import attrs

HALF_LIFE: Final = 600.0
"""Seconds."""
NOTHING: Final = 0.5
"""Points that are as good as none: an account with fewer is given up for another."""
MOST_POINTS: Final = 1_000.0
"""Of one source: one that stops has few left within an hour."""
USERS_AT_ONCE: Final = 64
"""Users of one source that are counted at most."""


@attrs.define(eq=False)
class Points:
    """Points of one source."""

    points: float = 0.0
    at: float = 0.0
    """When they were so many."""
    by_kind: dict[str, float] | None = None
    """Points by kind of observation, without decay: the largest is the reason of a ban."""

    def add(self, kind: str, points: float, now: float) -> None:
        """Add points, of a kind if that is to be remembered."""
        self.points, self.at = min(self.now(now) + points, MOST_POINTS), now
        if kind:
            self.by_kind = {} if self.by_kind is None else self.by_kind
            self.by_kind[kind] = self.by_kind.get(kind, 0.0) + points

    def now(self, now: float) -> float:
        """The points that are left."""
        return float(self.points * 0.5 ** ((now - self.at) / HALF_LIFE)) if self.points else 0.0

    @property
    def reason(self) -> str:
        """The kind that weighed most."""
        return max(self.by_kind, key=self.by_kind.__getitem__) if self.by_kind else ""


class Scores:
    """Accounts by source, at most so many."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._accounts: OrderedDict[str, Points] = OrderedDict()

    def add(self, source: str, kind: str, points: float, now: float) -> Points | None:
        """The account of a source, with these points more; None where there is no room for one of its own."""
        account = self._accounts.get(source)
        if account is None:
            self._drop_empty(now)
            if len(self._accounts) >= self._capacity:
                return None
            account = self._accounts[source] = Points(at=now)
        self._accounts.move_to_end(source)
        account.add(kind, points, now)
        return account

    def points(self, source: str, now: float) -> float:
        """The points of a source."""
        account = self._accounts.get(source)
        return 0.0 if account is None else account.now(now)

    def forget(self, source: str) -> None:
        """Let a source begin anew."""
        self._accounts.pop(source, None)

    def __len__(self) -> int:
        return len(self._accounts)

    def _drop_empty(self, now: float) -> None:
        """Forget those longest quiet, as far as nothing is left of their points: two at most, so never a pause."""
        for _ in range(2):
            oldest = next(iter(self._accounts), None)
            if oldest is None or self._accounts[oldest].now(now) >= NOTHING:
                return
            del self._accounts[oldest]


class UsersTried:
    """Different users that a source has tried within ``window`` seconds. Of sources beyond the capacity, those quiet
    longest are forgotten."""

    def __init__(self, window: float, capacity: int) -> None:
        self._window = window
        self._capacity = capacity
        self._tried: OrderedDict[str, dict[int, float]] = OrderedDict()

    def note(self, source: str, user: str, now: float) -> int:
        """One more try; how many different users there were of late."""
        users = self._tried.get(source)
        if users is None:
            users = self._tried[source] = {}
            if len(self._tried) > self._capacity:
                self._tried.popitem(last=False)
        self._tried.move_to_end(source)
        if user:
            users.pop(key := hash(user), None)  # the latest last
            users[key] = now
        return self._count(users, now)

    def forget(self, source: str, user: str) -> None:
        """That user exists, and the source may ask for it."""
        if source in self._tried:
            self._tried[source].pop(hash(user), None)

    def count(self, source: str, now: float) -> int:
        """How many different users there were of late."""
        users = self._tried.get(source)
        return 0 if users is None else self._count(users, now)

    def has(self, source: str, user: str) -> bool:
        """Whether this user is one of them."""
        return hash(user) in self._tried.get(source, ())

    def __len__(self) -> int:
        return len(self._tried)

    def _count(self, users: dict[int, float], now: float) -> int:
        while users and (now - (first := next(iter(users.items())))[1] >= self._window or len(users) > USERS_AT_ONCE):
            del users[first[0]]
        return len(users)
