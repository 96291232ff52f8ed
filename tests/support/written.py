"""The files that a running program has written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def written_in(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Each file in a directory and below it, with its bytes. One that is deleted meanwhile, as SQLite's journals are,
    holds nothing."""
    for path in directory.rglob("*"):
        try:
            if path.is_file():
                yield path, path.read_bytes()
        except FileNotFoundError:
            continue
