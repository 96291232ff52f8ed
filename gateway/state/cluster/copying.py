"""Copies of an active node's state into the store, written behind: nothing waits for it, and nothing fails by it.

    note(file, key, value) -> noted -> (FLUSH_SECONDS) -> a batch under the node's token -> store
                                `- more than NOTED wait, no answer, the store was emptied -> a whole copy
    whole copy: a new generation -> page by page of each file, changes between -> complete: the next node reads this one

Until a whole copy is complete the generation before stays the one that is read, so that no node ever begins with half.
A file that cannot be read keeps no other from being copied; it has no ALL_OF_IT then, and is read again later. Changes
leave in the order in which they were made last, those of one call or row together. A batch under a token that is no
lease any more writes nothing. Here: the moments and the bounds. Not here: the lease, the entries of each file
(row_copies, journal_copies), sealing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.state.cluster.cluster_seal import ClusterSeal
from gateway.state.cluster.cluster_store import ClusterStore, Written
from gateway.state.cluster.link import StoreSilent
from gateway.state.cluster.replica import Pages

log = Logger()

FLUSH_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 1.0
"""Until a whole copy is tried again that failed; twice as long each time that one fails which had begun."""
LONGEST_RETRY: Final = 30.0
"""Seconds."""
REREAD_SECONDS: Final = 60.0
"""Until files are read again that could not be read."""
FINISH_SECONDS: Final = 5.0
"""For which the last changes may take at the end."""
NOTED: Final = 20_000
"""Changes that wait at most; more of them are a reason for a whole copy."""
BATCH: Final = 100
"""Records of a batch at most: building it takes half a millisecond."""
ALL_OF_IT: Final = b"\0all"
"""The key of the entry that says: all entries of this file are here."""
BETWEEN: Final = b"\0"
"""Keys that are alike up to this byte belong together."""

Noted = dict[tuple[str, bytes], bytes | None]


@attrs.frozen
class CopyFigures:
    """How the copies stand."""

    waiting: int
    """Changes that are not in the store yet."""
    lag: float
    """Seconds since the oldest of them; 0 where the store has all."""
    whole: int
    """Whole copies that were completed."""
    failures: int
    """Batches that the store did not take."""


class Failed(Exception):
    """A batch was not written, and a whole copy is needed."""


class Copying:
    """A Replica. `completed` is told of each generation that is whole; `clock` is the reactor."""

    def __init__(
        self, store: ClusterStore, keys: Sequence[bytes], clock: Any, completed: Callable[[str], None]
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._completed = completed
        self._files: dict[str, Pages] = {}
        self._token = ""
        self._noted: Noted = {}
        self._touched: set[tuple[str, bytes]] | None = None
        """During a whole copy: entries that have changed since it began."""
        self._generation, self._seal = "", ClusterSeal(keys, "")
        self._is_new = self._is_needed = self._is_busy = False
        self._working: Deferred[None] | None = None
        """The round that is under way, or the latest."""
        self._unread: dict[str, Pages] = {}
        """Files of the latest whole copy that could not be read."""
        self._maker = secrets.token_hex(8)
        """The first half of the names of our generations."""
        self._half = ""
        """The generation before this one, if it did not become whole, as far as we know."""
        self._since: float | None = None
        self._again = self._reread_at = 0.0
        self._delay = RETRY_SECONDS
        self._whole = self._failures = 0
        self._rounds = LoopingCall(self._round)
        self._rounds.clock = clock
        self.generation = ""
        """The latest one that is whole."""

    @property
    def figures(self) -> CopyFigures:
        """How it stands."""
        lag = 0.0 if self._since is None else self._clock.seconds() - self._since
        return CopyFigures(len(self._noted), lag, self._whole, self._failures)

    def add(self, file: str, pages: Pages) -> None:
        """See Replica."""
        self._files[file] = pages

    def note(self, file: str, key: bytes, value: bytes | None) -> None:
        """See Replica. Before `begin` nothing is noted: a whole copy comes then."""
        if not self._token:
            return
        entry = (file, key)
        self._noted.pop(entry, None)
        self._noted[entry] = value
        if self._touched is not None:
            self._touched.add(entry)
        if self._since is None:
            self._since = self._clock.seconds()
        if len(self._noted) > NOTED:
            self._need_whole()

    def begin(self, token: str, generation: str) -> None:
        """Copy under this token from now on; `generation` is the whole one that the store has."""
        self._token, self.generation = token, generation
        self._need_whole()
        self._again = 0.0
        if not self._rounds.running:
            self._rounds.start(FLUSH_SECONDS, now=False)

    def made(self, generation: str) -> bool:
        """Whether a generation is of this process, completed or asked to be, or the latest that it knows of."""
        return generation == self.generation or generation.startswith(self._maker)

    def stop(self) -> None:
        """Copy no more; all that waits is forgotten."""
        self._token = ""
        self._noted.clear()
        if self._rounds.running:
            self._rounds.stop()

    async def finish(self) -> None:
        """Copy all that waits, once, and stop: FINISH_SECONDS at most. Files may be closed by then."""
        if self._rounds.running:
            self._rounds.stop()
        rest = Deferred.fromCoroutine(self._rest())
        timer = self._clock.callLater(FINISH_SECONDS, self._hurry, rest)
        try:
            await rest
        except (StoreSilent, Failed, CancelledError) as error:
            reason = error if timer.active() else "the store is too slow"
            log.warn("the last changes are not in the cluster's store: {reason}", reason=reason)
        finally:
            if timer.active():
                timer.cancel()
        self.stop()

    async def _rest(self) -> None:
        """A round that is under way ends first: changes that it has taken are noted no more."""
        if self._working is not None:
            await self._working
        if self._is_needed:
            await self._copy_whole()
        else:
            await self._flush()

    def _hurry(self, rest: Deferred[None]) -> None:
        self._token = ""  # else a round that hears of it would begin again
        rest.cancel()

    def _round(self) -> None:
        now = self._clock.seconds()
        if self._is_busy or not self._token or now < self._again:
            return
        if self._is_needed or self._noted or (self._unread and now >= self._reread_at):
            self._is_busy = True
            self._working = Deferred.fromCoroutine(self._work()).addErrback(
                lambda failure: log.failure("the cluster's store met a bug", failure)
            )

    async def _work(self) -> None:
        try:
            if self._is_needed:
                await self._copy_whole()
            elif self._unread and self._clock.seconds() >= self._reread_at:
                await self._copy_files(self._unread)
            else:
                await self._flush()
            self._delay = RETRY_SECONDS
        except (StoreSilent, Failed) as error:
            self._failures += 1
            log.info("copies are behind, a whole one follows: {reason}", reason=error)
            if self._is_new:  # nothing of it was written: to ask again costs nothing
                self._delay = RETRY_SECONDS
            self._again = self._clock.seconds() + self._delay
            self._delay = min(2 * self._delay, LONGEST_RETRY)
            self._need_whole()
        finally:
            self._is_busy = False
        if not self._noted and not self._is_needed:
            self._since = None

    def _need_whole(self) -> None:
        self._is_needed = True
        self._noted.clear()  # all of it is in the whole copy
        if self._since is None:
            self._since = self._clock.seconds()

    async def _copy_whole(self) -> None:
        self._is_needed = False
        if not self._is_new:  # else the store has nothing of this one yet
            self._half = self._generation if self._generation != self.generation else ""
            self._generation, self._is_new = self._maker + secrets.token_hex(8), True
            self._seal = ClusterSeal(self._keys, self._generation)
        token = self._token
        await self._write([])
        await self._copy_files(self._files)
        # The half may be whole after all, where the answer was lost.
        outcome = await self._store.complete(token, self._generation, (self.generation, self._half))
        _look_at(outcome)
        self.generation = self._generation
        self._whole += 1
        self._completed(self.generation)

    async def _copy_files(self, files: Mapping[str, Pages]) -> None:
        """Copy all of these, and all changes meanwhile. Those that cannot be read wait."""
        self._touched, self._unread = set(), {}
        try:
            for file, pages in files.items():
                await self._copy_file(file, pages)
            await self._flush()
        finally:
            self._touched = None
        self._reread_at = self._clock.seconds() + REREAD_SECONDS

    async def _copy_file(self, file: str, pages: Pages) -> None:
        mark = None
        while True:
            try:
                page = await pages(mark)
            except Exception as error:  # without ALL_OF_IT the other node keeps its own
                log.error("{file} is not copied for the other node: {reason}", file=file, reason=error)
                self._unread[file] = pages
                return
            touched = self._touched or set()
            entries = [(file, key, value) for key, value in page.entries if (file, key) not in touched]
            for start in range(0, len(entries), BATCH):
                await self._write(entries[start : start + BATCH])
            await self._flush()
            mark = page.following
            if mark is None:
                break
        await self._write([(file, ALL_OF_IT, b"1")])

    async def _flush(self) -> None:
        """Write all that is noted, a batch at a time."""
        while self._noted:
            await self._write([(*entry, self._noted.pop(entry)) for entry in [*self._batch()]])

    def _batch(self) -> Iterator[tuple[str, bytes]]:
        """The oldest entries that are noted, and a few more than BATCH where one call's would be divided."""
        last = None
        for number, (file, key) in enumerate(self._noted):
            stem = (file, key.partition(BETWEEN)[0])
            if number >= BATCH and stem != last:
                return
            last = stem
            yield file, key

    async def _write(self, entries: Sequence[tuple[str, bytes, bytes | None]]) -> None:
        """Write these as one batch. Raises StoreSilent, Failed."""
        if self._is_needed or not self._token:
            raise Failed("too much has changed meanwhile" if self._token else "it is to stop")
        pairs, half = [*self._pairs(entries)], self._half if self._is_new else None
        _look_at(await self._store.write(self._token, self._generation, pairs, instead_of=half))
        self._is_new = False

    def _pairs(self, entries: Iterable[tuple[str, bytes, bytes | None]]) -> Iterable[bytes]:
        for file, key, value in entries:
            yield self._seal.field(file, key)
            yield b"" if value is None else self._seal.sealed(file, key, value)


def _look_at(outcome: Written) -> None:
    """Raises Failed for one that wrote nothing."""
    if outcome is Written.LOST:
        raise Failed("this node has no lease any more")
    if outcome is Written.EMPTIED:
        raise Failed("the store has lost its copy")
