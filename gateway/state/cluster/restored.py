"""The state of the node that was active before, put into the files that a start reads.

    store -> records of the whole generation -> opened -> files of the state directory -> the usual start

So a node that takes over starts as one does after the kill of its process, and nothing knows two ways. The copy in the
store counts, and all that this node had from the time when it was active itself goes, but for records of calls that are
over, which stay where they were written. Records of another schema, and rows of another version, are left out and told.
A file that the other node could not read is not whole in the store: this node's own one stays, so that nobody is let in
for want of a ban or a limit. Of the journal all that is there counts, since each record in it is of a call by itself.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.base.private_files import kept_secret
from gateway.state.cluster.cluster_seal import ClusterSeal, OtherSchema
from gateway.state.cluster.cluster_store import ClusterStore
from gateway.state.cluster.copying import ALL_OF_IT
from gateway.state.cluster.file_copies import FILES, restore_files
from gateway.state.cluster.row_copies import restore
from gateway.state.journal.journal_copies import pieces
from gateway.state.journal.live_journal import FILE, LiveJournal
from gateway.state.listing.call_table import forget_calls_up, prepare_calls
from gateway.state.sqlite import create_private

log = Logger()

PATIENCE: Final = 1.0
"""Seconds to wait for a file that another process has open."""

Databases = Mapping[str, Callable[[sqlite3.Connection], None]]
"""By name of a sqlite file: the preparation of its tables."""


class NotOpened(Exception):
    """Not one record could be opened; the message is one line for an operator."""


@attrs.define
class Found:
    """Entries of a generation, by file and key."""

    files: dict[str, dict[bytes, bytes]] = attrs.Factory(dict)
    count: int = 0
    of_other_schema: int = 0
    unreadable: int = 0


async def found_in(store: ClusterStore, keys: Sequence[bytes], generation: str) -> Found:
    """All entries of a generation. Raises StoreSilent, and NotOpened where the secrets are not the cluster's."""
    seal, found = ClusterSeal(keys, generation), Found()
    async for field, record in store.records(generation):
        try:
            opened = seal.opened(field, record)
        except OtherSchema:
            found.of_other_schema += 1
            continue
        if opened is None:
            found.unreadable += 1
            continue
        found.count += 1
        found.files.setdefault(opened.file, {})[opened.key] = opened.value
    if found.unreadable and not found.count:
        told = f"opens none of {found.unreadable} records in the store: each node needs the same file"
        raise NotOpened(f"cluster.key_file: {told}")
    for number, why in ((found.of_other_schema, "of another version"), (found.unreadable, "not to be opened")):
        if number:
            log.warn("{number} records in the cluster's store are left out: {why}", number=number, why=why)
    return found


def restore_all(found: Found, directory: Path, databases: Databases, seen_at: float) -> None:
    """Put all that was found into the files of the state directory; `seen_at` is the last sign of life of its node.
    To be run in a thread. Raises OSError and sqlite3.Error."""
    whole = {file: entries for file, entries in found.files.items() if entries.pop(ALL_OF_IT, None) is not None}
    for name in sorted((databases.keys() | {FILES}) - whole.keys()):
        log.error("{file} was not copied whole by the node before: this node goes on with its own", file=name)
    if FILES in whole:
        restore_files(directory, whole[FILES])
    for name in databases.keys() & whole.keys():
        left_out = _restore_database(directory / name, databases[name], whole[name])
        if left_out:
            log.warn("{number} rows of {file} are left out: of another version", number=left_out, file=name)
    for name in sorted(whole.keys() - databases.keys() - {FILES, FILE}):
        log.warn("copies of {file} are left out: this version has no such file", file=name)
    _restore_journal(directory / FILE, kept_secret(directory / "secret"), found.files.get(FILE, {}), seen_at)
    _forget_own_calls(directory / "calls.sqlite")


def _restore_database(path: Path, prepare: Callable[[sqlite3.Connection], None], entries: dict[bytes, bytes]) -> int:
    create_private(path)
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
        prepare(connection)
        return restore(connection, entries.values())


def _restore_journal(path: Path, secret: bytes, entries: dict[bytes, bytes], seen_at: float) -> None:
    """The time of the file is that of its node's last sign: calls of long ago are not gone on with."""
    kept = pieces(entries.items())
    journal = LiveJournal(path, secret)
    journal.renew([(name, found[0]) for name, found in kept.items()])
    for name, found in kept.items():
        for change in found[1:]:
            journal.change(name, change)
    journal.close()
    if path.exists():
        os.utime(path, (seen_at, seen_at))


def _forget_own_calls(path: Path) -> None:
    """Calls that were up when this node was active last are the other node's since then, and so are their records."""
    if path.exists():
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            prepare_calls(connection)
            forget_calls_up(connection)
