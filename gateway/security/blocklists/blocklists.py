"""The block lists in force: read at the start and every hour, and never made less by a list that fails.

    tables -adopt-> ListReader -> AddressRanges of each list -> Banned (transport), while [defence] defends
                        `- NoList: told once, the entries of before go on counting; tried again sooner
    those that are never banned, asked every few seconds -> Banned.spare

Lists are the word of others. So they ban nobody that `never_ban`, the providers' names or the gateway's own addresses
name: that is asked for at each packet that a list would drop, and not once when the list is read, since a name may lead
elsewhere in an hour. Here: the lists and their times. Not here: reading one (list_reader.py), the sockets' question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.address_ranges import AddressRanges
from gateway.base.clock import Clock
from gateway.config.tables.blocklist_table import Blocklist
from gateway.observe.events import EventName, Events
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.security.blocklists.list_reader import ListContents, ListReader
from gateway.security.blocklists.list_text import NoList
from gateway.transport.banned import Banned

log = Logger()

HOUR: Final = 3600.0
SOON: Final = 60.0
"""Seconds from a first failure to the next try; then twice as long, up to an hour."""


@attrs.frozen
class ListStanding:
    """How a list stands."""

    name: str
    entries: int
    read_at: float | None
    """When it was last read, seconds since the epoch by people's clocks; None: not yet."""
    why: str = ""
    """Why the last reading failed; empty: it did not."""
    unreadable: int = 0
    """Lines that are no address."""


@attrs.define(eq=False)
class _Kept:
    """One list."""

    table: Blocklist
    contents: ListContents = attrs.field(factory=lambda: ListContents(AddressRanges()))
    read_at: float | None = None
    why: str = ""
    failures: int = 0
    timer: IDelayedCall | None = None
    reading: Deferred[None] | None = None

    def stop(self) -> None:
        """Read it no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.reading is not None:
            self.reading.cancel()


class Blocklists:
    """All lists. ``never`` gives the addresses and networks that are never banned."""

    def __init__(
        self, reader: ListReader, banned: Banned, never: Callable[[], Iterable[str]], clock: Clock, events: Events
    ) -> None:
        self._reader = reader
        self._banned = banned
        self._never = never
        self._clock = clock
        self._events = events
        self._lists: dict[str, _Kept] = {}
        self._spared: frozenset[str] = frozenset()
        self._is_in_force = False

    def adopt(self, tables: Sequence[Blocklist]) -> None:
        """Go by these tables from now on, and read each again."""
        before, self._lists = self._lists, {table.name: _Kept(table) for table in tables}
        for name, kept in before.items():
            kept.stop()
            if name in self._lists and self._lists[name].table == kept.table:
                same = self._lists[name]
                same.contents, same.read_at, same.why = kept.contents, kept.read_at, kept.why
        for kept in self._lists.values():
            self._plan(kept, 0.0)
        self._put_in_force()

    def stop(self) -> None:
        """Read no more."""
        lists, self._lists = self._lists, {}
        for kept in lists.values():
            kept.stop()

    def look(self, *, in_force: bool) -> None:
        """Ask again for those that are never banned, and drop by the lists or not. To be called every few seconds."""
        never = frozenset(self._never())
        if never != self._spared:
            self._spared = never
            self._banned.spare(AddressRanges.of(never))
        if in_force != self._is_in_force:
            self._is_in_force = in_force
            self._put_in_force()

    def read_now(self, name: str) -> bool:
        """Read a list at once; whether there is one of that name. One that is being read is left alone."""
        kept = self._lists.get(name)
        if kept is not None and kept.reading is None:
            self._plan(kept, 0.0)
        return kept is not None

    def standings(self) -> tuple[ListStanding, ...]:
        """How each list stands."""
        return tuple(
            ListStanding(name, one.contents.ranges.entries, one.read_at, one.why, one.contents.unreadable)
            for name, one in self._lists.items()
        )

    def figures(self) -> Iterator[Sample]:
        """The samples of the metric of entries."""
        for name, kept in self._lists.items():
            yield Metrics.blocklist_entries, (name,), kept.contents.ranges.entries

    def holding(self, host: str) -> tuple[str, ...]:
        """The names of the lists that hold an address."""
        return tuple(name for name, kept in self._lists.items() if kept.contents.ranges.holds(host))

    def _plan(self, kept: _Kept, seconds: float) -> None:
        if kept.timer is not None:
            kept.timer.cancel()
        kept.timer = self._clock.timers.callLater(seconds, self._read, kept)

    def _read(self, kept: _Kept) -> None:
        kept.timer = None
        reading = Deferred.fromCoroutine(self._reader.read(kept.table))
        kept.reading = done = reading.addCallbacks(
            lambda contents: self._took(contents, kept), lambda failure: self._failed(failure, kept)
        )
        if done.called:
            kept.reading = None

    def _took(self, contents: ListContents, kept: _Kept) -> None:
        kept.reading = None
        is_news = bool(kept.why) or kept.read_at is None or contents.ranges.entries != kept.contents.ranges.entries
        kept.contents, kept.read_at, kept.why, kept.failures = contents, self._clock.wall(), "", 0
        self._put_in_force()
        self._plan(kept, HOUR)
        if is_news:
            self._tell(kept)

    def _tell(self, kept: _Kept) -> None:
        spared = [*self._spared_in(kept.contents.ranges)]
        entries, unreadable = kept.contents.ranges.entries, kept.contents.unreadable
        log.info("list {name} is read: {entries} entries", name=kept.table.name, entries=entries)
        if spared:
            log.warn(
                "list {name} holds {count} addresses that are never banned, such as {address}",
                name=kept.table.name,
                count=len(spared),
                address=spared[0],
            )
        told = ", ".join(spared[:5])
        name = EventName.SECURITY_BLOCKLIST_READ
        self._events.note(name, who=kept.table.name, entries=entries, unreadable=unreadable, spared=told)

    def _spared_in(self, ranges: AddressRanges) -> Iterator[str]:
        return (one for one in sorted(self._spared) if ranges.holds(one.partition("/")[0]))

    def _failed(self, failure: Failure, kept: _Kept) -> None:
        kept.reading = None
        if self._lists.get(kept.table.name) is not kept:  # the configuration has another by now
            return
        if failure.check(NoList) is None:
            log.failure("reading a list met a bug", failure)
        why = failure.getErrorMessage()
        entries = kept.contents.ranges.entries
        if not kept.why:
            log.warn("list {name} cannot be had: {reason}", name=kept.table.name, reason=why)
            self._events.note(EventName.SECURITY_BLOCKLIST_FAILED, who=kept.table.name, why=why, entries=entries)
        kept.why, kept.failures = why, kept.failures + 1
        self._plan(kept, min(HOUR, SOON * 2 ** min(kept.failures - 1, 10)))

    def _put_in_force(self) -> None:
        lists = [kept.contents.ranges for kept in self._lists.values()] if self._is_in_force else []
        self._banned.keep_out_lists(lists)
