"""The record of each call that is over: told, kept, and remembered for a while; of a flood of refused ones a sum.

    call over -> takes(record, source) -+-> keep(record): counted; a line in the log, a record in history and CDR
                                        `-> counted; summed: "N more calls ... were not let in", one record a minute

A call that came to nothing costs its caller one packet and us a kilobyte in three files, for as long as the history is
kept. So a call that nobody vouches for has its own record only at a rate: its caller is not registered (and no
proved peer of the provider's), and nobody let it in: no callee rang, answered, or was busy. A record of any other call
is never left out for it, however many of these there are. Metrics count each call.

A call to an emergency number that came to nothing is a warning in the log. Its record has a rate of its own: anybody
can dial 112, and no flood of other calls may hide one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from gateway.base.rate import Rate, RateLimit
from gateway.observe.events import EventName
from gateway.observe.log import LineLogger
from gateway.observe.metrics import Metrics
from gateway.state.call_milestones import CallMilestones, tell_of
from gateway.state.call_record import CallRecord, CallResult

log = LineLogger()

REMEMBERED: Final = 1000
"""Ended calls whose record is kept in memory."""
OF_ONE_SOURCE: Final = Rate(per_second=0.1, burst=20)
OF_ALL: Final = Rate(per_second=1.0, burst=200)
"""Records of calls that nobody vouches for; those beyond are summed."""
PERIOD: Final = 60.0
"""Seconds that a record of a sum stands for."""

REFUSED: Final = "REFUSED"
"""The verdict of a call that the policy refused."""

Finished = Callable[[CallRecord], None]
"""Takes the record of a call that is over, once its media counters are known."""


class EndedCalls:
    """Takes the records of calls that are over; ``seconds`` never go back, ``new_id`` names the records of sums."""

    def __init__(
        self, metrics: Metrics, finished: Finished, seconds: Callable[[], float], new_id: Callable[[], str]
    ) -> None:
        self.metrics = metrics
        self._finished = finished
        self._seconds = seconds
        self._new_id = new_id
        self._records: deque[CallRecord] = deque(maxlen=REMEMBERED)
        self._of_source = RateLimit(OF_ONE_SOURCE, capacity=1000)
        self._of_all = RateLimit(OF_ALL)
        self._of_emergencies = RateLimit(OF_ALL)
        for result in (CallResult.ANSWERED, CallResult.CANCELLED, CallResult.FAILED):
            metrics.emergency_calls.labels(str(result))
        self._left_out = 0
        self._last: CallRecord | None = None
        self._due = 0.0

    def __iter__(self) -> Iterator[CallRecord]:
        """The latest first."""
        return reversed(self._records)

    def milestones_of(self, record: CallRecord, began: float) -> CallMilestones:
        """Those of the call of a record; ``began``: seconds of the clock that times calls."""
        return CallMilestones(self.metrics, record, began)

    def takes(self, record: CallRecord, source: str) -> bool:
        """Whether the record of a call that is over is to be kept; else it is summed. ``source``: the caller's."""
        now = self._seconds()
        if not record.is_vouched and not self._has_room(record, source, now):
            self._leave_out(record, now)
            return False
        self._records.append(record)
        return True

    def keep(self, record: CallRecord) -> None:
        """Count a call and hand on its record, which is to outlive the process. The guard of its receiver: calls go on
        without."""
        self._count(record)
        said = {
            "call_id": record.id,
            "ending": record.ending,
            "status": record.status,
            "verdict": record.verdict,
            "reason": record.reason,
            "cause": record.cause,
        }
        why = "{reason}: {cause}" if record.cause else "{reason}"
        log.info("call {call_id} ended: {ending} ({status}), {verdict} " + why, **said)
        if record.is_emergency and record.result not in (CallResult.ANSWERED, CallResult.CANCELLED):
            told = "emergency call {call_id} to {callee} was not put through: {ending} ({status}) "
            log.warn(told + why, callee=record.callee, **said)
        self._tell(record)
        self._hand_on(record)

    def _tell(self, record: CallRecord) -> None:
        is_refused = record.verdict == REFUSED
        tell_of(
            self.metrics,
            EventName.CALL_REFUSED if is_refused else EventName.CALL_ENDED,
            record,
            verdict=record.verdict,
            reason=record.reason,
            status=record.status,
            seconds=record.seconds,
            ending=record.ending,
            emergency=record.is_emergency,
        )

    def _hand_on(self, record: CallRecord) -> None:
        try:
            self._finished(record)
        except Exception:
            log.failure("call {call_id} is not kept", call_id=record.id)

    def sum_up(self, *, is_last: bool = False) -> None:
        """Keep one record for those left out, if it is time; to be called now and then, and when the process ends."""
        last, count = self._last, self._left_out
        if last is None or (self._seconds() < self._due and not is_last):
            return
        self._last, self._left_out = None, 0
        said = f"{count} more calls of callers that are not registered were not let in, the last with {last.status}"
        record = attrs.evolve(
            last, id=self._new_id(), caller="", callee="", ending=said, steps=[], chain=[], media=None
        )
        self._records.append(record)
        log.info("{domain}: {sum}", domain=record.domain, sum=said)
        tell_of(self.metrics, EventName.CALLS_LEFT_OUT, record, calls=count)
        self._hand_on(record)

    def _has_room(self, record: CallRecord, source: str, now: float) -> bool:
        if record.is_emergency:
            return self._of_emergencies.allows("", now)
        return self._of_source.allows(source, now) and self._of_all.allows("", now)

    def _count(self, record: CallRecord) -> None:
        self.metrics.calls.labels(record.domain, str(record.direction), record.verdict, record.reason).inc()
        result = record.result
        self.metrics.call_results.labels(record.domain, record.provider, str(result)).inc()
        if record.is_emergency:
            result = CallResult.FAILED if result is CallResult.CALLEE else result
            self.metrics.emergency_calls.labels(str(result)).inc()

    def _leave_out(self, record: CallRecord, now: float) -> None:
        if self._last is None:
            self._due = now + PERIOD
        self._last = record
        self._count(record)
        self._left_out += 1
        self.sum_up()
