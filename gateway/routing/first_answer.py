"""The wait for the first answer to an INVITE, of which a server that fell silent sends none.

    INVITE --answer--> stop(), or the end of the time: how long it took is known from now on
           `-silence-> unheard(seconds)

Where another target could be asked, it takes the time that this one has shown to need (answer_times), and such answers
are those that are remembered. Else it takes HEARD_WITHIN. Not here: the next target, and the word about this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.routing.answer_times import HEARD_WITHIN, AnswerTimes, is_ready
from gateway.transaction.client import ClientTransaction
from gateway.transport.flow import Flow

Unheard = Callable[[float], None]
"""Called after so many seconds of silence."""


class AskedTarget(Protocol):
    """The leg that was sent an INVITE."""

    has_heard: bool
    """Whether any response came."""
    heard_after: float
    """Seconds that the first one took."""

    @property
    def flow(self) -> Flow:
        """The way to its target."""

    @property
    def transaction(self) -> ClientTransaction | None:
        """Of the INVITE, once it was sent. Its flow is another one, to the same target, where the INVITE is long."""


class FirstAnswer:
    """The wait for one target, which begins here. `has_next`: another one could be asked."""

    __slots__ = ("_asked", "_clock", "_is_timed", "_timer", "_times")

    def __init__(
        self, clock: IReactorTime, times: AnswerTimes, asked: AskedTarget, unheard: Unheard, *, has_next: bool
    ) -> None:
        self._clock = clock
        self._times = times
        self._asked = asked
        self._is_timed = has_next and is_ready(asked.flow)
        """Whether the time of the first answer is still to be noted."""
        seconds = times.within(asked.flow) if has_next else HEARD_WITHIN
        self._timer: IDelayedCall | None = clock.callLater(seconds, self._expire, unheard, seconds)

    def stop(self) -> None:
        """Wait no more: it was answered, or nobody needs to know."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_timed:
            self._note()

    def _note(self) -> None:
        asked = self._asked
        if asked.has_heard and self._is_timed:
            self._is_timed = False
            self._times.heard(asked.flow, asked.heard_after)

    def _expire(self, unheard: Unheard, seconds: float) -> None:
        self._timer = None  # it refers to this
        asked = self._asked
        if asked.has_heard:
            self._note()
            return
        flow = asked.flow if asked.transaction is None else asked.transaction.flow
        if flow.is_reliable and not flow.is_connected and flow.is_open:
            # A connection that does not come up fails by itself, and says more than silence.
            rest = HEARD_WITHIN - seconds or HEARD_WITHIN
            self._timer = self._clock.callLater(rest, self._expire, unheard, rest)
            return
        self._times.unheard(asked.flow)
        unheard(seconds)
