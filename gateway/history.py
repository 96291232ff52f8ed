"""Calls that have ended: kept with their ladders and reasons, written to the CDR, told of after a restart.

    CallRecord -> ended(record) -> CDR line, KeptTable -> (restart) -> latest(), find(id)

The latest are in memory for lists; an older one is read from the file when it is asked for. What is older than the
retention is dropped, every hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from gateway.cdr import CdrFile, Json, detail_record
from gateway.kept import KeptTable

REMEMBERED: Final = 1000
"""Calls of before the start that lists show."""
KEPT: Final = 1_000_000
"""Calls in the file, whatever the retention: some 4 GB."""
ROUND_SECONDS: Final = 3600.0
DAY_SECONDS: Final = 86_400.0

Row = dict[str, Json]


class CallHistory:
    """The calls that have ended, over restarts. ``now`` gives seconds since the epoch, ``days`` is the retention."""

    def __init__(
        self, table: KeptTable, cdr: CdrFile, clock: IReactorTime, now: Callable[[], float], days: int
    ) -> None:
        self._table = table
        self._cdr = cdr
        self._now = now
        self._days = days
        self._before: deque[Row] = deque(maxlen=REMEMBERED)
        self._round = LoopingCall(self._drop_old)
        self._round.clock = clock

    def start(self) -> Deferred[None]:
        """Read the latest; fails with StoreUnusable, and may be gone on with all the same."""
        self._round.start(ROUND_SECONDS, now=False)
        return self._table.latest(REMEMBERED).addCallback(self._started)

    def stop(self) -> Deferred[None]:
        """Write what waits."""
        if self._round.running:
            self._round.stop()
        self._cdr.close()
        return self._table.stop()

    def ended(self, call: Row) -> None:
        """Keep a call that is over, all that is known of it."""
        ended_at = call.get("ended_at")
        self._table.put(str(call["id"]), ended_at if isinstance(ended_at, float) else self._now(), call)
        self._cdr.write(detail_record(call))

    def before(self) -> list[Row]:
        """The latest calls of before the start, the last one first."""
        return [*reversed(self._before)]

    def find(self, call_id: str) -> Deferred[Row | None]:
        """All that is known of a call that has ended."""
        for call in self._before:
            if call.get("id") == call_id:
                return succeed(call)
        return self._table.find(call_id)

    def reopen(self) -> None:
        """Go on in a new CDR file if the old one was moved away."""
        self._cdr.close()

    def _started(self, calls: list[tuple[str, Row]]) -> None:
        self._before.extend(call for _, call in calls)
        self._drop_old()

    def _drop_old(self) -> None:
        self._table.drop_before(self._now() - self._days * DAY_SECONDS)
        self._table.drop_beyond(KEPT)
