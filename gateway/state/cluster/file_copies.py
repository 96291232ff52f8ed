"""Small files of the state directory as entries of a replica: secrets of the gateway, switches of its operators.

They are read whole, and looked at every second: they change when an operator does something, if at all. The secrets
are those that bindings and phones' addresses are made with; without them the other node could not read its copies.
They leave this machine sealed, as all copies do (cluster_seal). No such file has an SDES key or a certificate's key.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from gateway.base.private_files import replace_private
from gateway.state.cluster.replica import Page, Replica

log = Logger()

FILES: Final = "files"
"""The name among files that these have together."""
COPIED: Final = ("secret", "provisioning.key", "switches.json", "defence-since")
LONGEST: Final = 256 * 1024
"""Bytes of one; a longer one is not copied, nor are the others as a whole then."""


class FileCopies:
    """Copies of the files of a directory."""

    def __init__(self, directory: Path, replica: Replica) -> None:
        self._directory = directory
        self._replica = replica
        self._stamps: dict[str, tuple[int, int]] = {}
        self._told: dict[str, str] = {}
        """By name of a file that cannot be copied: the reason that was told."""
        replica.add(FILES, self._page)

    def look(self) -> None:
        """Note those that have changed, and those that are gone. To be called every second or so."""
        for name in COPIED:
            try:
                for data in self._changed(name):
                    self._replica.note(FILES, name.encode(), data)
                self._told.pop(name, None)
            except OSError as error:
                self._tell(name, error)

    def _page(self, mark: object) -> Deferred[Page]:
        """All of them; fails where one that is there cannot be read, for it would be taken for gone."""
        self._stamps.clear()
        try:
            found = [(name.encode(), data) for name in COPIED for data in self._changed(name) if data is not None]
        except OSError:
            return fail()
        return succeed(Page(found, None))

    def _changed(self, name: str) -> Iterator[bytes | None]:
        """The content of a file that has changed; None for one that is gone. Raises OSError."""
        path = self._directory / name
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp == self._stamps.get(name):
                return
            if found.st_size > LONGEST:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
            data = path.read_bytes()
        except FileNotFoundError:  # there need not be one
            if self._stamps.pop(name, None) is not None:
                yield None
            return
        self._stamps[name] = stamp
        yield data

    def _tell(self, name: str, error: OSError) -> None:
        why = error.strerror or type(error).__name__
        if self._told.get(name) != why:
            self._told[name] = why
            path = self._directory / name
            log.error("{path} is not copied for the other node: {reason}", path=path, reason=why)


def restore_files(directory: Path, found: dict[bytes, bytes]) -> None:
    """Put the files of another node in the place of ours; those that it did not have go. Raises OSError."""
    for name in COPIED:
        data = found.get(name.encode())
        if data is not None:
            replace_private(directory / name, data)
        else:
            (directory / name).unlink(missing_ok=True)
