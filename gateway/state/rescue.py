"""Starting in spite of a bad file: it is put aside, so that telephones work and an operator can look at it later.

A power cut may leave a database that is none any more, and after a return to yesterday's version its database is
tomorrow's. Neither is a reason to be without telephones on Monday morning: the file gets another name, the gateway goes
on with an empty one, and says so. A file that another gateway has open is left alone: two never share a directory.

    put_aside_unless_readable(FILE) -> None, or the new name of the bad file
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.state.sqlite import InUse, Preparation, is_in_use

PATIENCE: Final = 1.0
"""Seconds to wait for another's lock."""
BESIDE: Final = ("", "-wal", "-shm")
"""Suffixes of the files that sqlite keeps for one database."""


def put_aside_unless_readable(
    path: Path, prepare: Preparation, look: str, wall: Callable[[], float] = time.time
) -> Path | None:
    """Give a file that is no database of ours another name; ``look`` is a query that reads all that will be read.

    None where it can be read, and where it cannot be for a reason of the disk's: that may pass. Raises InUse.
    """
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            prepare(connection)
            for _ in connection.execute(look):
                pass
    except sqlite3.OperationalError as error:
        if is_in_use(error):
            raise InUse(f"{path}: is in use by another gateway") from None
        if not _is_wrong(error):
            return None
    except (sqlite3.DatabaseError, ValueError):
        pass
    else:
        return None
    return _renamed(path, f"{path.name}.unusable-{int(wall())}")


def _is_wrong(error: sqlite3.OperationalError) -> bool:
    """Whether the error is in the file's contents, such as a table without the columns, and not of the disk."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR"


def _renamed(path: Path, name: str) -> Path | None:
    """None where not even that can be done."""
    try:
        for suffix in BESIDE:
            found = path.with_name(path.name + suffix)
            if found.exists():
                found.rename(path.with_name(name + suffix))
    except OSError:
        return None
    return path.with_name(name)
