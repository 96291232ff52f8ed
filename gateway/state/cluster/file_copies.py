"""Small files of the state directory as entries of a replica: secrets of the gateway, switches of its operators.

They are read whole, and looked at every second: they change when an operator does something, if at all. The secrets
are those that bindings and phones' addresses are made with; without them the other node could not read its copies.
They leave this machine sealed, as all copies do (cluster_seal). No such file has an SDES key or a certificate's key.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred, succeed

from gateway.base.private_files import replace_private
from gateway.state.cluster.replica import Page, Replica

FILES: Final = "files"
"""The name among files that these have together."""
COPIED: Final = ("secret", "provisioning.key", "switches.json", "defence-since")
LONGEST: Final = 256 * 1024
"""Bytes of one; a longer one is not copied."""


class FileCopies:
    """Copies of the files of a directory."""

    def __init__(self, directory: Path, replica: Replica) -> None:
        self._directory = directory
        self._replica = replica
        self._stamps: dict[str, tuple[int, int]] = {}
        replica.add(FILES, self._page)

    def look(self) -> None:
        """Note those that have changed. To be called every second or so."""
        for name, data in self._changed():
            self._replica.note(FILES, name.encode(), data)

    def _page(self, mark: object) -> Deferred[Page]:
        self._stamps = {}
        return succeed(Page([(name.encode(), data) for name, data in self._changed()], None))

    def _changed(self) -> Iterator[tuple[str, bytes]]:
        for name in COPIED:
            path = self._directory / name
            try:
                found = path.stat()
                stamp = (found.st_mtime_ns, found.st_size)
                if stamp != self._stamps.get(name) and found.st_size <= LONGEST:
                    self._stamps[name] = stamp
                    yield name, path.read_bytes()
            except OSError:  # it is not there, and there need not be one
                continue


def restore_files(directory: Path, found: dict[bytes, bytes]) -> None:
    """Put the files of another node in the place of ours; those that it did not have go. Raises OSError."""
    for name in COPIED:
        data = found.get(name.encode())
        if data is not None:
            replace_private(directory / name, data)
        else:
            (directory / name).unlink(missing_ok=True)
