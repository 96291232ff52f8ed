"""Calls that have ended: kept with their ladders and reasons, written to the CDR, listed after a restart.

    CallRecord -> ended(record) -> CDR line, CallTable -> (restart) -> latest(), find(id)

The latest are in memory; an older one is read from the file when it is asked for, and lists of all of them are, too
(listing/call_list.py). Every hour, those older
than the retention are dropped.

A call that lasts is noted while it is up (``goes_on``). Where the process or the machine dies under it, it has a record
all the same: made at the next start, with an ending that says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Set
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.clock import Clock
from gateway.base.json_codec import Json
from gateway.state.cdr import CdrFile, detail_record
from gateway.state.listing.call_table import STILL_UP, TOP, CallTable, Mark

log = Logger()

REMEMBERED: Final = 1000
"""Calls of before the start, in lists."""
KEPT: Final = 1_000_000
"""Calls in the file at most, for any retention: some 4 GB."""
UNSEEN: Final = "not known: the gateway ended without ending its calls"
LISTING_SECONDS: Final = 0.05
"""Between two looks for calls of another version that are not listed yet."""
ROUND_SECONDS: Final = 3600.0
DAY_SECONDS: Final = 86_400.0

Row = dict[str, Json]


class CallHistory:
    """The calls that have ended, over restarts. ``days`` is the retention."""

    def __init__(self, table: CallTable, cdr: CdrFile, clock: Clock, days: int) -> None:
        self._table = table
        self._cdr = cdr
        self._clock = clock
        self._days = days
        self._before: deque[Row] = deque(maxlen=REMEMBERED)
        self._up: set[str] = set()
        self._left: list[Row] = []
        """Those that were up when the process before died, as long as nobody has said how they go on."""
        self._round = LoopingCall(self._drop_old)
        self._round.clock = clock.timers
        self._listing: IDelayedCall | None = None
        self._followers: list[Callable[[Row], None]] = []

    def follow(self, follower: Callable[[Row], None]) -> None:
        """Tell of each call that ends from now on: its record. One that raises is logged, and told of the next."""
        self._followers.append(follower)

    def start(self) -> Deferred[None]:
        """Read the latest, and the calls that were up when the process before died: see `end_unseen`.

        Fails with StoreUnusable, and may be gone on with all the same.
        """
        self._round.start(ROUND_SECONDS, now=False)
        return self._table.since(STILL_UP).addCallback(self._read_latest)

    def stop(self) -> Deferred[None]:
        """Write everything noted so far."""
        if self._round.running:
            self._round.stop()
        if self._listing is not None:
            self._listing.cancel()
            self._listing = None
        self._cdr.close()
        return self._table.stop()

    @property
    def noted(self) -> Set[str]:
        """The ids of the calls that are up and were noted."""
        return self._up

    def end_unseen(
        self, known: Set[str] = frozenset(), recorded: Set[str] = frozenset(), more: Iterable[Row] = ()
    ) -> list[Row]:
        """End the calls that were up when the process before died, and `more` that were up for too short a time to be
        noted; gives those that end. Not those of which is `known` how they go on; of these, `recorded` ones are over,
        and have their line in the CDR file."""
        left, self._left = self._left, []
        by_id = {str(call["id"]): call for call in (*more, *left)}
        for call_id in by_id.keys() & recorded:
            self._table.put(call_id, self._clock.now(), self._unseen(by_id[call_id]))
        unseen = [self._unseen(call) for call_id, call in by_id.items() if call_id not in known]
        self._up |= (by_id.keys() & known) - recorded
        self.ended(*unseen)
        self._before.extend(unseen)
        return unseen

    def goes_on(self, call: Row) -> None:
        """Note a call that is up, all that is known of it so far: its record, should this process die under it."""
        self._up.add(str(call["id"]))
        self._table.put(str(call["id"]), STILL_UP, call)

    def ended(self, *calls: Row) -> list[str]:
        """Keep calls that are over, all that is known of each; the ids of those that are kept. One that cannot be is
        logged."""
        kept, ids = [], []
        for call in calls:
            call_id, ended_at = str(call["id"]), call.get("ended_at")
            self._up.discard(call_id)
            try:
                self._table.put(call_id, ended_at if isinstance(ended_at, float) else self._clock.now(), call)
                kept.append(detail_record(call))
                ids.append(call_id)
            except Exception:
                log.failure("call {call_id} is not kept", call_id=call_id)
        self._cdr.write(*kept)
        for call in calls:
            self._show(call)
        return ids

    def _show(self, call: Row) -> None:
        for follower in self._followers:
            try:
                follower(call)
            except Exception:
                log.failure("call {call_id} was not looked at", call_id=call.get("id"))

    def recorded(self) -> Set[str]:
        """The ids of the calls that the CDR file has, as far as its end tells."""
        return self._cdr.latest_ids()

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

    def _read_latest(self, up: list[tuple[str, Row]]) -> Deferred[None]:
        return self._table.latest(REMEMBERED).addCallback(self._started, [call for _, call in up])

    def _started(self, latest: list[tuple[str, Row]], up: list[Row]) -> None:
        self._left = up
        known = {call["id"] for call in up}
        self._before.extend(call for key, call in latest if key not in known)
        self._drop_old()
        self._table.count_unlisted().addCallbacks(self._begin_listing, self._not_listed)

    def _begin_listing(self, count: int) -> None:
        if count:
            log.info("{count} calls that another version kept are put into the list", count=count)
            self._list_more(TOP)

    def _list_more(self, mark: Mark) -> None:
        """List calls of another version, a few at a time: the thread of the file has other work, too."""
        self._listing = None
        self._table.list_more(mark).addCallbacks(self._listed, self._not_listed)

    def _listed(self, mark: Mark | None) -> None:
        if mark is None:
            log.info("all calls that another version kept are in the list")
        elif self._round.running:
            self._listing = self._clock.timers.callLater(LISTING_SECONDS, self._list_more, mark)

    def _not_listed(self, failure: Failure) -> None:
        log.error("calls that another version kept are not in the list: {reason}", reason=failure.value)

    def _unseen(self, call: Row) -> Row:
        return {
            **call,
            "state": "ended",
            "ended_at": self._clock.now(),
            "seconds": None,
            "ending": UNSEEN,
            "verdict": call.get("verdict") or "UNANSWERED",
        }

    def _drop_old(self) -> None:
        self._table.drop_before(self._clock.now() - self._days * DAY_SECONDS)
        self._table.drop_beyond(KEPT)
        self._table.drop_old_tallies(self._clock.now())
