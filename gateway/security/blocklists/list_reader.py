"""Reads one list of addresses as its table says: a file, a URL, or the batches of apiban.org.

    Blocklist -read(table)-> bytes -> texts -> RangesBuilder, in small steps -> ListContents, or NoList and why

A list that is mostly no addresses is none: an error page, a moved file, a format of others. So is one with more than
MOST entries: half of a list would drop some and let in others, and nobody would know which. Of a list from elsewhere
private addresses are passed over: many lists name them as strange on the internet, and here they are phones. Here: one
reading. Not here: the times of readings, the lists in force (blocklists.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator, deferLater

from gateway.base.address_ranges import PIECE, AddressRanges, RangesBuilder, bounds
from gateway.config.tables.blocklist_table import KEY_PLACE, Blocklist
from gateway.observe.clean_text import clean
from gateway.security.blocklists.list_fetch import LARGEST, ListFetch
from gateway.security.blocklists.list_text import Batch, NoList, texts

MOST: Final = 100_000
"""Entries of a list."""
BATCH_SECONDS: Final = 11.5
"""Between two batches: apiban.org answers eleven times in two minutes."""
MOST_BATCHES: Final = 400
_KEY_BYTES: Final = 500
PRIVATE: Final = AddressRanges.of(
    (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
)
"""Addresses that mean something else in each network (RFC 1918, 6598, 3927, 4193, 4291)."""

T = TypeVar("T")
InThread = Callable[[Callable[[], T]], "Deferred[T]"]
"""Does work that may wait for a disk in another thread."""


@attrs.frozen
class ListContents:
    """A list that was read."""

    ranges: AddressRanges
    unreadable: int = 0
    """Lines that are no address."""


@attrs.frozen
class ListReader:
    """Reads lists. Nothing it does keeps the reactor for longer than a step of the builder."""

    fetch: ListFetch
    in_thread: InThread[bytes]
    timers: IReactorTime

    async def read(self, table: Blocklist) -> ListContents:
        """The list of a table. Raises NoList."""
        builder = RangesBuilder()
        if table.file is not None:
            await self._take(texts(await self._file(table.file)), builder, is_ours=True)
        elif table.format == "plain":
            await self._take(texts(await self.fetch(await self._url(table))), builder)
        else:
            await self._batches(await self._url(table), builder)
        _judge(builder, may_be_empty=table.file is not None)
        await self._stepwise(builder.join())
        return ListContents(builder.made, builder.unreadable)

    async def _batches(self, url: str, builder: RangesBuilder) -> None:
        """All batches, from the first one on."""
        following, seen = "", {""}
        for _ in range(MOST_BATCHES):
            batch = Batch.of(await self.fetch(f"{url}/{following}" if following else url))
            await self._take(batch.addresses, builder)
            following = batch.following
            if following in seen:
                return
            seen.add(following)
            await deferLater(self.timers, BATCH_SECONDS)
        raise NoList(f"it goes on after {MOST_BATCHES} batches")

    async def _take(self, words: Iterable[str], builder: RangesBuilder, *, is_ours: bool = False) -> None:
        await self._stepwise(_added(words, builder, is_ours=is_ours))

    async def _stepwise(self, steps: Iterator[None]) -> None:
        """One step in each turn of the reactor."""

        def scheduler(work: Callable[[], None]) -> Any:
            return self.timers.callLater(0, work)

        cooperator = Cooperator(terminationPredicateFactory=lambda: lambda: True, scheduler=scheduler)
        await cooperator.coiterate(steps)

    async def _file(self, path: Path, most: int = LARGEST) -> bytes:
        try:
            data = await self.in_thread(lambda: _contents(path, most + 1))
        except OSError as error:
            raise NoList(f"{path} cannot be read: {error.strerror}") from None
        if len(data) > most:
            raise NoList(f"{path} has more than {most:,} bytes")
        return data

    async def _url(self, table: Blocklist) -> str:
        """The URL, with its key if it has one."""
        url = table.url or ""
        if table.key_file is None:
            return url
        key = (await self._file(table.key_file, _KEY_BYTES)).decode("latin-1").strip()
        if not key or not all("!" <= letter <= "~" and letter not in "/?#" for letter in key):
            raise NoList(f"{table.key_file} holds no key")
        return url.replace(KEY_PLACE, key)


def _contents(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def _added(words: Iterable[str], builder: RangesBuilder, *, is_ours: bool) -> Iterator[None]:
    """Add them, a piece a step; of those that are no addresses the first one is told. Raises NoList."""
    odd = ""
    for count, word in enumerate(words, start=1):
        before = builder.unreadable
        if is_ours or not _is_private(word):
            builder.add(word)
        if builder.unreadable > before:
            odd = odd or word
            if builder.unreadable > builder.made.entries + PIECE:
                raise NoList(_no_addresses(odd))
        if builder.made.entries > MOST:
            raise NoList(f"it has more than {MOST:,} entries")
        if count % PIECE == 0:
            yield
    if builder.unreadable > builder.made.entries:
        raise NoList(_no_addresses(odd))


def _is_private(word: str) -> bool:
    found = bounds(word)
    return found is not None and PRIVATE.has(found[:2])


def _no_addresses(odd: str) -> str:
    return f"most of it is no address, such as {clean(odd)[:40]}"


def _judge(builder: RangesBuilder, *, may_be_empty: bool) -> None:
    if not builder.made.entries and not may_be_empty:
        raise NoList("it is empty")
