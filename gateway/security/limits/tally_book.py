"""All tallies, by limit and caller: in memory, bounded, and written behind to `limits.sqlite`.

    of(limit, caller) -> LimitTally -> changed(key) -> write(), every second -> FILE
    FILE -> recall(), before a port is open

Users that the provider has vouched for and sources that proved nothing have rooms of their own: a forger of sources
cannot push out a user's tally. Within a room the one longest unused goes first, unless it is held or has calls up. Its
row goes with it: so the file has no more rows than memory has tallies, and those that are read at the start are all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, Protocol

from gateway.base.json_codec import Json
from gateway.config.tables.limit_table import CallLimit
from gateway.security.limits.rules import LimitedCaller
from gateway.security.limits.tally import LimitTally

USERS: Final = 20_000
"""Tallies of users; a user has one for each limit."""
STRANGERS: Final = 4_000
"""Tallies of sources."""
CAPACITY: Final = USERS + STRANGERS
KEPT_SECONDS: Final = 2 * 86_400
"""A tally that was not changed for so long says nothing about today."""
_LOOKS: Final = 16
"""Tallies that are looked at for one that may go."""
_USER: Final = "sip:"

Key = tuple[str, str]
"""The name of a limit, and of a caller."""


class Keeper(Protocol):
    """The table that outlives the process."""

    def put(self, key: str, at: float, value: dict[str, Json]) -> None:
        """Keep a value, a moment later."""

    def drop(self, key: str) -> None:
        """Keep nothing under that key."""

    def drop_before(self, at: float) -> None:
        """Keep nothing that is older, seconds since the epoch."""


class TallyBook:
    """See the module. ``now`` gives seconds since the epoch that pass evenly."""

    def __init__(self, keeper: Keeper, now: Callable[[], float]) -> None:
        self._keeper = keeper
        self._now = now
        self._users: OrderedDict[Key, LimitTally] = OrderedDict()
        self._strangers: OrderedDict[Key, LimitTally] = OrderedDict()
        self._changed: dict[Key, LimitTally] = {}

    def __len__(self) -> int:
        return len(self._users) + len(self._strangers)

    def of(self, limit: CallLimit, caller: LimitedCaller) -> LimitTally:
        """The tally of a caller under a limit."""
        key = (limit.name, caller.name)
        room = self._users if caller.is_proved else self._strangers
        tally = room.get(key)
        if tally is None:
            tally = LimitTally(limit)
            self._make_room(room, USERS if caller.is_proved else STRANGERS)
            room[key] = tally
        else:
            room.move_to_end(key)
            tally.limit = limit
        return tally

    def changed(self, limit: CallLimit, caller: LimitedCaller, tally: LimitTally) -> None:
        """Write this tally soon."""
        self._changed[limit.name, caller.name] = tally

    def write(self) -> None:
        """Give the table all that changed. To be called every second, and at the end."""
        changed, self._changed = self._changed, {}
        for (limit, name), tally in changed.items():
            self._keeper.put(_row(limit, name), self._now(), tally.as_json())

    def recall(self, rows: Iterable[tuple[str, Mapping[str, Json]]], limits: Iterable[CallLimit]) -> None:
        """Take over the rows of the process before, the oldest first; those of limits that there are."""
        known = {limit.name: limit for limit in limits}
        for key, kept in rows:
            name, _, caller = key.partition("|")
            caller = caller.casefold()  # earlier versions kept capitals
            if name in known:
                is_user = caller.startswith(_USER)
                room = self._users if is_user else self._strangers
                self._make_room(room, USERS if is_user else STRANGERS)
                room[name, caller] = LimitTally.of(known[name], kept)

    def forget_old(self) -> None:
        """Let old rows go; those that are held stay. To be called once an hour."""
        self._changed.update((key, tally) for key, tally in self.all() if tally.held_at is not None)
        self.write()
        self._keeper.drop_before(self._now() - KEPT_SECONDS)

    def all(self) -> Iterator[tuple[Key, LimitTally]]:
        """Every tally, those used last first."""
        yield from reversed(self._users.items())
        yield from reversed(self._strangers.items())

    def of_caller(self, name: str) -> list[tuple[Key, LimitTally]]:
        """The tallies of one caller."""
        return [(key, tally) for key, tally in self.all() if key[1] == name]

    def notable(self, most: int) -> list[tuple[Key, LimitTally]]:
        """Those that are held, then those used last."""
        held = [(key, tally) for key, tally in self.all() if tally.held_at is not None]
        others = ((key, tally) for key, tally in self.all() if tally.held_at is None)
        return [*held[:most], *islice(others, max(0, most - len(held)))]

    def _make_room(self, room: OrderedDict[Key, LimitTally], most: int) -> None:
        if len(room) < most:
            return
        for _ in range(_LOOKS):
            key, tally = next(iter(room.items()))
            if tally.held_at is None and not tally.up:
                break
            room.move_to_end(key)
        gone, _ = room.popitem(last=False)
        self._changed.pop(gone, None)
        self._keeper.drop(_row(*gone))


def _row(limit: str, name: str) -> str:
    return f"{limit}|{name}"
