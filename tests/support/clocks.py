"""The gateway's clock for tests: time passes as a `task.Clock` is advanced."""

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock


def clock_at(epoch: float, timers: IReactorTime | None = None) -> Clock:
    """A clock that stands at ``epoch`` (seconds since the epoch) until its timers are advanced."""
    timers = timers or Timers()
    base = epoch - timers.seconds()
    return Clock(timers, lambda: base + timers.seconds(), timers.seconds)
