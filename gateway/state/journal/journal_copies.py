"""Records of the journal as entries of a replica, and back: a whole record is one, and each change after it.

    whole, change, gone <- each record that was written        entries(kept) <- all, for a whole copy
    pieces(entries)     -> by name of a call, its record and changes, for the journal of another node

The name of a call, and for a change its number after that, is the key. Not here: the file, sealing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.state.cluster.replica import Replica

_BETWEEN: Final = b"\0"
_NUMBER_BYTES: Final = 4


class JournalCopies:
    """Copies the records of the journal `file`."""

    def __init__(self, file: str, replica: Replica) -> None:
        self._file = file
        self._replica = replica

    def whole(self, name: str, data: bytes, before: int) -> None:
        """All of a call was written, in the place of so many records `before`."""
        self._replica.note(self._file, key_of(name), data)
        self._forget(name, range(1, before))

    def change(self, name: str, number: int, data: bytes) -> None:
        """A change was written, the first of which has the number 1."""
        self._replica.note(self._file, key_of(name, number), data)

    def gone(self, name: str, count: int) -> None:
        """Nothing of a call counts any more, which had so many records."""
        self._forget(name, range(count))

    def _forget(self, name: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._replica.note(self._file, key_of(name, number), None)


def key_of(name: str, number: int = 0) -> bytes:
    """The key of a record: 0 is the whole one."""
    return name.encode() + (_BETWEEN + number.to_bytes(_NUMBER_BYTES, "big") if number else b"")


def entries(kept: Mapping[str, tuple[bytes, ...]]) -> list[tuple[bytes, bytes]]:
    """All records of calls, as entries."""
    return [(key_of(name, number), data) for name, pieces in kept.items() for number, data in enumerate(pieces)]


def pieces(found: Iterable[tuple[bytes, bytes]]) -> dict[str, tuple[bytes, ...]]:
    """By name of a call, the whole record and the changes after it. One without a whole record is left out."""
    wholes: dict[str, bytes] = {}
    changes: dict[str, list[tuple[bytes, bytes]]] = {}
    for key, data in found:
        name, between, number = key.partition(_BETWEEN)
        if between:
            changes.setdefault(name.decode(), []).append((number, data))
        else:
            wholes[name.decode()] = data
    return {name: (whole, *(data for _, data in sorted(changes.get(name, ())))) for name, whole in wholes.items()}
