"""The journal of calls that are up, as its file: `live.journal` in the state directory.

    put, change, drop --> one write each, done before the caller goes on: the kernel has it then
    load              <-- at the next start: for each call that is up its last whole record, and the changes after it

Nothing is forced to the disk: a power cut ends the calls anyway, and a process that is killed leaves the kernel's copy.
Records that count no more are left out when they outweigh the others. A disk that takes nothing stops no call: the
journal is behind then, and is written anew with all that counts when that is possible (`renew`).

Here: the file and its size. Not here: sealing (sealed_records), the contents of a record (b2bua/survival).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from gateway.observe.figures import KeptFile
from gateway.state.cluster.replica import NoReplica, Page, Replica
from gateway.state.journal.journal_clock import JournalClock
from gateway.state.journal.journal_copies import JournalCopies, entries
from gateway.state.journal.sealed_records import HEAD_BYTES, SALT_BYTES, RecordKind, Seal, opened_records

log = Logger()

FILE: Final = "live.journal"
SLACK: Final = 1024 * 1024
"""Bytes that count no more and may stay, beside as many as those that count."""
STALE: Final = 600.0
"""Seconds after which a journal is too old: it comes from a backup, or nobody has waited for so long."""
LARGEST: Final = 256 * 1024 * 1024
"""Bytes of the file. A call that does not fit is not kept; it goes on."""

PAGE: Final = 50
"""Calls of a page for the other node: a few milliseconds of work."""
CLOCK: Final = "clock"
"""The name of the record that has the time."""

_WHOLE: Final = int(RecordKind.WHOLE)
_CHANGE: Final = int(RecordKind.CHANGE)
_GONE: Final = int(RecordKind.GONE)

Kept = Mapping[str, tuple[bytes, ...]]
"""By name of a call: its whole record, and the changes after it."""


class LiveJournal:
    """The file `path`, which only this user may read. `secret` is the gateway's.

    Of `put`, `change` and `drop` none raises, and each is done when it returns.
    """

    def __init__(
        self, path: Path, secret: bytes, replica: Replica | None = None, clock: JournalClock | None = None
    ) -> None:
        """A ``replica`` gets a copy of each record that was written, the time's too."""
        self.clock = clock or JournalClock()
        self._path = path
        replica = NoReplica() if replica is None else replica
        replica.add(path.name, self._page)
        self._copies = JournalCopies(path.name, replica)
        self._secret = secret
        self._seal: Seal | None = None
        self._descriptor: int | None = None
        self._places: dict[str, list[tuple[int, int]]] = {}
        """Offset and length of each record that counts."""
        self._number = self._size = self._counting = 0
        self._failures = 0
        self._is_told = False
        self.is_behind = False
        """Whether something that counts is not in the file."""

    @property
    def standing(self) -> KeptFile:
        """The state of the file."""
        return KeptFile(self._path.name, self._failures, self.is_behind)

    @property
    def has_begun(self) -> bool:
        """Whether this process writes it, or has tried to. Before, all that is in it is the process before's."""
        return self._descriptor is not None or self.is_behind

    def load(self, now: float) -> Kept:
        """The calls that the process before has left; none where the file cannot be read, or is older than STALE: by
        the time that has passed, and where another boot has written it, by `now`, seconds since the epoch. Call it
        before `renew`."""
        try:
            age = now - self._path.stat().st_mtime
            found = dict(self._read())
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.error("{path} cannot be read: {reason}", path=self._path, reason=error.strerror)
            return {}
        kept = found.pop(CLOCK, None)
        passed = self.clock.go_on(None if kept is None else kept[0])
        if found and (age if passed is None else passed) > STALE:
            log.warn("{path} is of long ago: its calls are not gone on with", path=self._path)
            return {}
        return found

    def _read(self) -> Kept:
        """All calls in the file. Raises OSError."""
        if not self._path.is_file():
            return {}
        with self._path.open("rb") as file:
            content = file.read(LARGEST)
        found: dict[str, tuple[bytes, ...]] = {}
        for record in opened_records(self._secret, content):
            if record.kind == _WHOLE:
                found[record.name] = (record.data,)
            elif record.kind == _GONE:
                found.pop(record.name, None)
            elif record.kind == _CHANGE and record.name in found:
                found[record.name] += (record.data,)
        return found

    def renew(self, calls: Iterable[tuple[str, bytes]]) -> None:
        """Begin a new file with these calls, in the place of the one before. Does not raise: see `is_behind`."""
        seal = Seal(self._secret, secrets.token_bytes(SALT_BYTES))
        number, at = 0, HEAD_BYTES
        pieces, places = [seal.head], dict[str, list[tuple[int, int]]]()
        kept = [(CLOCK, self.clock.kept), *calls]
        for name, data in kept:
            try:
                record = seal.sealed(number, _WHOLE, name, data)
            except ValueError as error:
                log.warn("call {call_id} is not kept: {reason}", call_id=name, reason=str(error))
                continue
            pieces.append(record)
            places[name] = [(at, len(record))]
            number, at = number + 1, at + len(record)
        if self._replace(b"".join(pieces)):
            before, self._places = self._places, places
            self._seal, self._number, self._counting = seal, number, at - HEAD_BYTES
            self._copy_all(before, kept)

    def put(self, name: str, data: bytes) -> None:
        """Keep this of the call, and nothing that was kept before; where it does not fit, what was kept before."""
        self._write(_WHOLE, name, data)
        self._stay_small()

    def change(self, name: str, data: bytes) -> None:
        """Keep this as well; nothing happens for a call of which nothing whole is kept."""
        if name in self._places:
            self._write(_CHANGE, name, data)

    def drop(self, name: str) -> None:
        """Keep nothing of the call any more."""
        if name in self._places:
            self._copies.gone(name, len(self._places[name]))
            self._forget(name)
            self._write(_GONE, name, b"")
            self._stay_small()

    def holds(self, name: str) -> bool:
        """Whether the next process would find all of the call."""
        return not self.is_behind and name in self._places

    def touch(self) -> None:
        """Let the file be of now."""
        self.put(CLOCK, self.clock.kept)
        if self._descriptor is not None:
            with suppress(OSError):
                os.utime(self._descriptor)

    def close(self) -> None:
        """Let go of the file, which stays as it is."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def remove(self) -> None:
        """Leave nothing behind."""
        self.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _forget(self, name: str) -> None:
        self._counting -= sum(length for _, length in self._places.pop(name))

    def _write(self, kind: int, name: str, data: bytes) -> None:
        if self._descriptor is None or self._seal is None or self.is_behind:
            self.is_behind = True
            return
        number = self._number
        self._number = number + 1
        try:
            record = self._seal.sealed(number, kind, name, data)
            length = len(record)
            if self._size + length > LARGEST:
                raise ValueError("the journal is full")
            if os.write(self._descriptor, record) < length:
                raise OSError(28, "No space left on device")
        except ValueError as error:
            if not self._is_told:  # once: a caller may send long requests without end
                self._is_told = True
                log.warn("call {call_id} is not kept, nor others like it: {reason}", call_id=name, reason=str(error))
            return
        except OSError as error:
            self._fail(error)
            return
        if kind != _GONE:
            self._place(kind, name, data, length)
        self._size += length

    def _place(self, kind: int, name: str, data: bytes, length: int) -> None:
        """Note a record that counts, at the end of the file."""
        before = len(self._places.get(name, ()))
        if kind == _WHOLE and before:
            self._forget(name)
        self._places.setdefault(name, []).append((self._size, length))
        self._counting += length
        if kind == _WHOLE:
            self._copies.whole(name, data, before)
        else:
            self._copies.change(name, before, data)

    def _copy_all(self, before: Mapping[str, Sequence[object]], kept: Iterable[tuple[str, bytes]]) -> None:
        """Let the replica have the calls of a new file, and no others."""
        for name in before.keys() - self._places.keys():
            self._copies.gone(name, len(before[name]))
        for name, data in kept:
            if name in self._places:
                self._copies.whole(name, data, len(before.get(name, ())))

    def _page(self, mark: Sequence[str] | None) -> Deferred[Page]:
        """The records of some calls, read from the file by their places; `mark` names the calls that are left, of
        which some may be gone by now. Calls that come meanwhile are told as they are written. Fails with OSError."""
        names = [*self._places] if mark is None else mark
        some, following = names[:PAGE], names[PAGE:]
        try:
            kept = self._opened(some)
        except OSError:
            return fail()
        return succeed(Page(entries(kept), following or None))

    def _opened(self, names: Iterable[str]) -> Kept:
        """All records of these calls that count; nothing of a call of which one cannot be read. Raises OSError."""
        seal, found = self._seal, dict[str, tuple[bytes, ...]]()
        if seal is None:
            return found
        with self._path.open("rb") as file:
            for name in names:
                read = (os.pread(file.fileno(), length, at) for at, length in self._places.get(name, ()))
                opened = [seal.opened_whole(record) for record in read]
                found[name] = tuple(piece.data for piece in opened if piece is not None)
                if len(found[name]) < len(opened):
                    del found[name]
                    log.error("{path}: call {call_id} cannot be read, nor copied", path=self._path, call_id=name)
        return found

    def _stay_small(self) -> None:
        """Write the records that count into a new file where the others outweigh them. They stay as they are sealed:
        numbers go on, and no nonce comes again."""
        if self.is_behind or self._size - HEAD_BYTES - self._counting <= self._counting + SLACK:
            return
        try:
            content = self._path.read_bytes()
        except OSError as error:
            self._fail(error)
            return
        at, pieces = HEAD_BYTES, [content[:HEAD_BYTES]]
        places: dict[str, list[tuple[int, int]]] = {name: [] for name in self._places}
        every = sorted((place, name) for name, of_call in self._places.items() for place in of_call)
        for (offset, length), name in every:
            pieces.append(content[offset : offset + length])
            places[name].append((at, length))
            at += length
        if self._replace(b"".join(pieces)):
            self._places = places

    def _replace(self, content: bytes) -> bool:
        """Put a file with this content in the place of the one there is, which stays where that fails."""
        beside = self._path.with_name(self._path.name + ".new")
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            descriptor = os.open(beside, flags, 0o600)
            try:
                _write_all(descriptor, content)
                beside.replace(self._path)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            self._fail(error)
            return False
        self.close()
        self._descriptor, self._size, self.is_behind = descriptor, len(content), False
        return True

    def _fail(self, error: OSError) -> None:
        self._failures += 1
        if not self.is_behind:
            log.error(
                "{path} cannot be written: {reason}; calls go on, and would not outlive the gateway",
                path=self._path,
                reason=error.strerror,
            )
        self.is_behind = True


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
