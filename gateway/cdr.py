"""Call detail records: one JSON line a call, in a file that others rotate.

Here: the fields of a record, writing it, and opening the file anew after it was moved away. Not here: keeping whole
calls with their ladders (history). Nothing in a record is a key or a credential: it is made from a CallRecord.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from twisted.logger import Logger

log = Logger()

FIELDS: Final = (
    "id",
    "direction",
    "domain",
    "caller",
    "callee",
    "started_at",
    "answered_at",
    "ended_at",
    "seconds",
    "status",
    "ending",
    "verdict",
    "reason",
)
"""The fields, in order. Times are seconds since the epoch; ``seconds`` is the answered length, 0 where it was not."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def detail_record(call: Mapping[str, Json]) -> dict[str, Json]:
    """The record of an ended call, from what is told of it (CallRecord.summary)."""
    seconds = call.get("seconds")
    if not isinstance(seconds, int | float):  # kept by a version that did not measure it
        answered, ended = call.get("answered_at"), call.get("ended_at")
        is_timed = isinstance(answered, int | float) and isinstance(ended, int | float)
        seconds = ended - answered if is_timed else 0  # type: ignore[operator]
    return {field: round(seconds, 3) if field == "seconds" else call.get(field) for field in FIELDS}


class CdrFile:
    """The file ``path``; only this user may read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def write(self, record: Mapping[str, Json]) -> None:
        """Add a record. One that cannot be written is logged and lost: calls go on."""
        try:
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
            os.write(self._descriptor, json.dumps(record).encode() + b"\n")
        except OSError as error:
            log.error("{path} cannot be written: {reason}", path=self._path, reason=error.strerror)
            self.close()

    def close(self) -> None:
        """Let go of the file; the next record opens it anew, under its name."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
