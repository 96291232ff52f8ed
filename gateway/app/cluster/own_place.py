"""A node's own place: its state directory is this process's alone, and remembers the copy that its files are.

cluster.lock   locked while this process lives: so a token that an earlier process left is of one that is over
cluster.json   the latest token of this node, and the generation that its files come from or went into
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import attrs

from gateway.base.json_codec import decode, encode
from gateway.base.private_files import replace_private
from gateway.state.sqlite import InUse


@attrs.frozen
class Remembered:
    """The contents of cluster.json."""

    token: str = ""
    generation: str = ""


class OwnPlace:
    """The place of a node in its state directory."""

    def __init__(self, directory: Path) -> None:
        """Raises InUse where another process has it, OSError."""
        self._path = directory / "cluster.json"
        lock = directory / "cluster.lock"
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUse(f"{lock}: is in use by another gateway") from None
        self.remembered = self._read()

    def remember(self, token: str, generation: str) -> None:
        """Keep these. Raises OSError."""
        self.remembered = Remembered(token, generation)
        replace_private(self._path, encode({"token": token, "generation": generation}))

    def _read(self) -> Remembered:
        """The kept ones; nothing where that cannot be read: then the other node's copy counts."""
        try:
            found = decode(self._path.read_bytes())
        except (OSError, ValueError):
            return Remembered()
        if not isinstance(found, dict):
            return Remembered()
        return Remembered(str(found.get("token") or ""), str(found.get("generation") or ""))
