"""Writing behind: changes are noted, and all notes are written in one transaction a moment later.

    note(key, value) -> noted -> (delay) -> one transaction -> FILE        failed: noted again, tried again later
                                                            `- a row that no file can hold: left out, told, counted

A note is the latest state of one key, never a list of changes, so the notes are bounded by the number of keys. Here:
the time of writing. Not here: the transaction, and reading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from gateway.state.sqlite import LeftOut

RETRY_DELAY: Final = 10.0
"""Seconds until a failed write is tried again."""

K = TypeVar("K")
V = TypeVar("V")


class WriteBehind(Generic[K, V]):
    """The notes of one table. ``write`` writes them in a transaction, and gives the rows that it had to leave out;
    ``failed`` gets the reason when it cannot, and that of the first row that was left out.

    With ``most`` notes waiting, which only a disk that fails lets happen, the oldest are dropped.
    """

    def __init__(
        self,
        timers: IReactorTime,
        delay: float,
        write: Callable[[dict[K, V | None]], Deferred[LeftOut]],
        failed: Callable[[BaseException | None], None],
        most: int | None = None,
    ) -> None:
        self._timers = timers
        self._delay = delay
        self._do_write = write
        self._failed = failed
        self._most = most
        self.noted: dict[K, V | None] = {}
        """Keys that are not written yet, with their values; None for a key that is to go."""
        self.stopped = False
        self.failures = 0
        """Writes so far that failed, and rows that were left out."""
        self.is_failing = False
        """Whether the last one did."""
        self._timer: IDelayedCall | None = None
        self._writing: Deferred[LeftOut] | None = None
        self._under_way: dict[K, V | None] = {}
        """The notes that are being written."""
        self._is_urgent = False
        """Whether something that waits for the end of a write is to be written right after it."""

    def is_written(self, key: K) -> bool:
        """Whether the latest state of a key is in the file."""
        return key not in self.noted and key not in self._under_way

    def note_urgent(self, key: K, value: V | None) -> None:
        """The same, to be written at once: as soon as the write under way, if any, is done. While writes fail, it waits
        as any other."""
        self.note(key, value)
        self.hurry()

    def hurry(self) -> None:
        """Write all that is noted at once, in one transaction, as ``note_urgent`` does."""
        self._is_urgent = self._writing is not None
        if self._timer is not None and not self.is_failing:
            self._timer.cancel()
            self._write_expired()

    def note(self, key: K, value: V | None) -> None:
        """Write a key's latest state a moment from now; None: that there is nothing under it."""
        self.noted.pop(key, None)
        self.noted[key] = value
        if self._most is not None and len(self.noted) > self._most:
            del self.noted[next(iter(self.noted))]
        if self._timer is None and self._writing is None and not self.stopped:
            self._timer = self._timers.callLater(self._delay, self._write_expired)

    def stop(self) -> Deferred[None]:
        """Write the notes, and nothing after that. Never fails: ``failed`` gets the reason of a write that did."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None:
            return self._write()
        return self._writing.addCallback(lambda _: self._write())

    def _write_expired(self) -> None:
        self._timer = None
        self._write()

    def _write(self) -> Deferred[None]:
        notes, self.noted = self.noted, {}
        if not notes:
            return succeed(None)
        self._under_way = notes
        self._writing = self._do_write(notes)
        return self._writing.addBoth(self._written, notes)

    def _written(self, result: Failure | LeftOut, notes: dict[K, V | None]) -> None:
        self._writing, self._under_way = None, {}
        delay, self._is_urgent = (0.0 if self._is_urgent else self._delay), False
        self.is_failing = isinstance(result, Failure)
        if isinstance(result, Failure):
            self.failures += 1
            self._failed(result.value)
            self.noted = notes | self.noted
            delay = RETRY_DELAY
        elif result:
            self.failures += len(result)
            self._failed(result[0][1])
        if self.noted and not self.stopped:
            self._timer = self._timers.callLater(delay, self._write_expired)
