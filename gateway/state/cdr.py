"""Call detail records: one JSON line a call, in a file that others rotate.

Here: the fields of a record, writing it, and opening the file anew after it was moved away. Not here: keeping whole
calls with their ladders (history). Nothing in a record is a key or a credential: it is made from a CallRecord.
"""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Mapping
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from gateway.base.json_codec import Json, encode
from gateway.observe.figures import KeptFile

log = Logger()

WAITING: Final = 20_000
"""Records that wait for a disk at most."""
TOGETHER: Final = 64
"""Records in one write at most."""
LATEST_BYTES: Final = 1024 * 1024
"""Of the file, that are looked at for the latest calls: some 2,000."""
_ID: Final = re.compile(rb'^{"id":"([^"\\\n]+)"', re.MULTILINE)
TOLD_EVERY: Final = 100
"""Records between two lines about a disk that takes none."""

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
    "cause",
    "provider",
    "emergency",
    "caller_number",
    "callee_number",
)
"""The fields, in order. Times are seconds since the epoch; ``seconds`` is the answered length: 0 without an answer,
None where the end was not seen."""


_FIELDS_OF: Final = itemgetter(*FIELDS)


def detail_record(call: Mapping[str, Json]) -> dict[str, Json]:
    """The record of an ended call, from its summary (CallRecord.summary)."""
    seconds = call.get("seconds", 0.0)
    if seconds is None:
        return {field: call.get(field) for field in FIELDS}
    if "seconds" not in call or not isinstance(seconds, int | float):  # kept by a version that did not measure it
        answered, ended = call.get("answered_at"), call.get("ended_at")
        is_timed = isinstance(answered, int | float) and isinstance(ended, int | float)
        seconds = ended - answered if is_timed else 0  # type: ignore[operator]
    try:
        record = dict(zip(FIELDS, _FIELDS_OF(call), strict=True))
    except KeyError:  # kept by a version that had fewer
        record = {field: call.get(field) for field in FIELDS}
    record["seconds"] = round(seconds, 3)
    return record


class CdrFile:
    """The file ``path``; only this user may read it. Records that cannot be written wait, up to WAITING of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._waiting: deque[bytes] = deque()
        self._failures = 0

    @property
    def standing(self) -> KeptFile:
        """The state of the file."""
        return KeptFile(self._path.name, self._failures, bool(self._waiting))

    def write(self, *records: Mapping[str, Json]) -> None:
        """Add records, now or when the disk takes them again: calls go on."""
        for record in records:
            if len(self._waiting) >= WAITING:
                lost = self._waiting.popleft()
                log.error("a call detail record is lost: {record}", record=lost.decode().strip())
            self._waiting.append(encode(record) + b"\n")
        self.retry()

    def retry(self) -> None:
        """Write the records that wait, as far as that is possible. To be called now and then."""
        try:
            while self._waiting:
                self._add_some(min(len(self._waiting), TOGETHER))
        except OSError as error:
            if self._failures == 0 or len(self._waiting) % TOLD_EVERY == 1:
                log.error(
                    "{path} cannot be written: {reason}; {count} records wait",
                    path=self._path,
                    reason=error.strerror,
                    count=len(self._waiting),
                )
            self._failures += 1
            self.close()

    def latest_ids(self) -> frozenset[str]:
        """The ids of the calls at the end of the file; none where it cannot be read."""
        try:
            if not self._path.is_file():
                return frozenset()
            with self._path.open("rb") as file:
                file.seek(max(os.fstat(file.fileno()).st_size - LATEST_BYTES, 0))
                found = _ID.findall(file.read(LATEST_BYTES))
        except OSError:
            return frozenset()
        return frozenset(name.decode(errors="replace") for name in found)

    def close(self) -> None:
        """Let go of the file; the next record opens it anew, under its name."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _add_some(self, count: int) -> None:
        """Write the first records: all of these at once, or one where there is no room for all."""
        try:
            self._add(b"".join(islice(self._waiting, count)))
        except OSError:
            if count == 1:
                raise
            self._add_some(1)
            return
        for _ in range(count):
            self._waiting.popleft()

    def _add(self, line: bytes) -> None:
        """Write lines whole, or nothing of them: the piece that fitted on a full disk is taken back."""
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
