"""A node's own place: its state directory is this process's alone, and remembers the copy that its files are.

cluster.lock   locked while this process lives: so a token that an earlier process left is of one that is over
cluster.json   the latest token of this node, and the generation that its files come from or went into
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import attrs
from twisted.logger import Logger

from gateway.base.json_codec import decode, encode
from gateway.base.private_files import replace_private
from gateway.state.cluster.cluster_store import LeaseStanding
from gateway.state.sqlite import InUse

log = Logger()


@attrs.frozen
class Remembered:
    """The contents of cluster.json."""

    token: str = ""
    generation: str = ""

    @property
    def epoch(self) -> int:
        """The number of the lease of that token."""
        return LeaseStanding(self.token).epoch


class OwnPlace:
    """The place of `node` in its state directory."""

    def __init__(self, directory: Path, node: str) -> None:
        """Raises InUse where another process has it, OSError."""
        self._node = node
        self._path = directory / "cluster.json"
        lock = directory / "cluster.lock"
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUse(f"{lock}: is in use by another gateway") from None
        self.remembered = self._read()

    def remember(self, token: str, generation: str) -> None:
        """Keep these. A disk that takes nothing costs the next start a restore, no more."""
        self.remembered = Remembered(token, generation)
        try:
            replace_private(self._path, encode({"token": token, "generation": generation}))
        except OSError as error:
            log.error(
                "{path} cannot be written: {reason}; this node's next start reads its state from the store",
                path=self._path,
                reason=error.strerror,
            )

    def _read(self) -> Remembered:
        """The kept ones; nothing where that cannot be read, or another node has written it, as in a state directory
        that was copied to here: then the copy in the store counts."""
        try:
            found = decode(self._path.read_bytes())
        except (OSError, ValueError):
            return Remembered()
        if not isinstance(found, dict):
            return Remembered()
        kept = Remembered(str(found.get("token") or ""), str(found.get("generation") or ""))
        holder = LeaseStanding(kept.token).holder
        if holder not in ("", self._node):
            log.warn("{path} is of node {node}, and counts nothing here", path=self._path, node=holder)
            return Remembered()
        return kept
