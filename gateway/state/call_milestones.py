"""The milestones of one call, told as soon as they are there: its times as metrics, its stages as events.

    INVITE --post-dial delay--> the first 18x, or 200      INVITE --set-up--> 200 --duration--> end
    INVITE --------------------> 3xx to 6xx: a failure, by its class

    call.started -> call.answered -> call.ended, call.refused (ended_calls.py, when the verdict is final)
                `-> call.challenged: the caller comes again

A caller that nobody vouches for may send INVITEs as fast as it likes, so such a call has no event before it is
answered: the ring of events must not be emptied by it. Not here: the record (call_record.py), and its keeping.
"""

from __future__ import annotations

from typing import Final

from gateway.observe.events import EventName, Field, GatewayEvent
from gateway.observe.metrics import Metrics
from gateway.state.call_record import CallDirection, CallRecord

CANCELLED: Final = 487
"""The status of a call that its caller gave up (RFC 3261 section 9.2)."""


class CallMilestones:
    """Those of the call of ``record``, which began at ``began``: seconds of a clock that is never set.

    A call that was asked for credentials is no failure: it comes again.
    """

    __slots__ = ("_answered", "_began", "_is_heard", "_labels", "_metrics", "_record")

    def __init__(self, metrics: Metrics, record: CallRecord, began: float) -> None:
        self._metrics = metrics
        self._record = record
        self._labels = record.provider, str(record.direction)
        self._began = began
        self._answered: float | None = None
        self._is_heard = False

    def resume(self, answered: float) -> None:
        """Go on with a call that was answered then, by another process, which has told of it."""
        self._answered, self._is_heard = answered, True

    def begun(self, source: str) -> None:
        """The INVITE is taken; ``source`` is the address that it came from."""
        record = self._record
        if record.is_caller_known:
            self._tell(EventName.CALL_STARTED, source, caller=record.caller, callee=record.callee)

    def heard(self, status: int, now: float) -> None:
        """The callee gave a provisional response: one of ringing or progress ends the post-dial delay."""
        if 180 <= status < 190:
            self._hear(now)

    def answered(self, now: float) -> None:
        """The callee's 200 goes to the caller."""
        self._hear(now)
        self._answered = now
        self._metrics.set_up.labels(*self._labels).observe(now - self._began)
        self._tell(EventName.CALL_ANSWERED, seconds=round(now - self._began, 3))

    def challenged(self) -> None:
        """The caller is asked for a password: the call ends, and another takes its place."""
        if self._record.is_caller_known:
            self._tell(EventName.CALL_CHALLENGED, status=self._record.status)

    def ended(self, status: int | None, now: float) -> None:
        """The call is over; ``status`` is the final one that the caller was given."""
        if self._answered is not None:
            self._metrics.duration.labels(*self._labels).observe(now - self._answered)
        elif status is not None:
            kind = "cancelled" if status == CANCELLED else f"{status // 100}xx"
            self._metrics.failures.labels(*self._labels, kind).inc()

    def _hear(self, now: float) -> None:
        if not self._is_heard:
            self._is_heard = True
            self._metrics.post_dial_delay.labels(*self._labels).observe(now - self._began)

    def _tell(self, name: EventName, source: str = "", **fields: Field) -> None:
        tell_of(self._metrics, name, self._record, source, **fields)


def tell_of(metrics: Metrics, name: EventName, record: CallRecord, source: str = "", **fields: Field) -> None:
    """An event of a call. The texts of a record are clean, and not cleaned again."""
    events = metrics.events
    events.tell(
        GatewayEvent.of(
            name,
            events.now(),
            source=source,
            domain=record.domain,
            who=record.callee if record.direction is CallDirection.INBOUND else record.caller,
            call=record.id,
            fields={"direction": str(record.direction), "provider": record.provider, **fields},
        )
    )
