"""Tallies of wrong passwords, and memories of bounded size: pure, time is an argument (seconds, never going back)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeAlias, TypeVar

import attrs

ANSWER_SECONDS: Final = 10.0
"""A guess that the provider has not answered for so long counts no more: it may never do so."""

Key: TypeAlias = tuple[Hashable, ...]
"""The kind of a thing remembered, then the thing."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedMemory(Generic[K, V]):
    """A memory of so many things at most; those longest unused are forgotten."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._things: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The thing, used now; None where there is none."""
        thing = self._things.get(key)
        if thing is not None:
            self._things.move_to_end(key)
        return thing

    def put(self, key: K, thing: V) -> None:
        """Remember a thing."""
        self._things[key] = thing
        self._things.move_to_end(key)
        if len(self._things) > self._capacity:
            self._things.popitem(last=False)

    def pop(self, key: K) -> None:
        """Forget a thing, if it is there."""
        self._things.pop(key, None)

    def values(self) -> Iterator[V]:
        """All things, the one longest unused first."""
        return iter(self._things.values())

    def __len__(self) -> int:
        return len(self._things)


@attrs.define(eq=False)
class WrongPasswords:
    """Wrong passwords of late, and guesses that wait for their answer: when each came, the oldest first."""

    _rejected: list[float] = attrs.field(factory=list)
    _waiting: list[float] = attrs.field(factory=list)

    def is_full(self, most: int, now: float, window: float) -> bool:
        """Whether there are so many of the last ``window`` seconds that no other may follow."""
        self._rejected = [at for at in self._rejected if now - at < window]
        self._waiting = [at for at in self._waiting if now - at < ANSWER_SECONDS]
        return len(self._rejected) + len(self._waiting) >= most

    def until(self, most: int, window: float) -> float:
        """When a full tally has room again for wrong passwords; 0 where it is only full of guesses that wait."""
        return self._rejected[-most] + window if len(self._rejected) >= most else 0.0

    def wait(self, now: float) -> None:
        """A guess goes to the provider."""
        self._waiting.append(now)

    def settle(self, since: float) -> None:
        """The guess of that moment has its answer."""
        if since in self._waiting:
            self._waiting.remove(since)

    def reject(self, now: float, most: int) -> None:
        """A wrong password; no more than ``most`` are kept."""
        self._rejected.append(now)
        del self._rejected[:-most]
