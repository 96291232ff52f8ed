"""The event loop of a worker process that has its hot path in C (gateway/native/relay.c).

The loop is `Loop`'s, and so are its jobs and ticks; a batch of packets passes without Python, and only descriptors that
no path is watched for come back to be received here. Of a batch, the relay's part goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol, cast

from gateway.media.worker.loop import BUSY_EVENTS, EVENTS_A_JOB, GATHER_SECONDS, TICK_SECONDS, Loop, LoopClock
from gateway.native import relay
from gateway.native.relay import Clock, Path, Relay
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES, PacketBuffer, function_pointer


class _HasDescriptor(Protocol):
    def fileno(self) -> int: ...


class _NativeClock(Clock):
    """The time of the current batch, which the relay sets."""

    def __init__(self) -> None:
        self.now = monotonic()


FORM: Final = 2
"""That of relay.c: changes with the arguments or the meaning of anything in it."""


def _is_passed_on() -> None:
    """Stands for the function of a descriptor that has a path."""


class NativeLoop(Loop):
    """Calls the receivers of ready sockets but those that a path is watched for, and `tick` four times a second."""

    name = "native"

    def __init__(self, tick: Callable[[float], None], buffer: PacketBuffer, gather: float = GATHER_SECONDS) -> None:
        """`gather` in seconds. ValueError for a binding of libsrtp that cannot be called from C, and for an extension
        that was built from another source than this."""
        if getattr(relay, "FORM", 0) != FORM:
            raise ValueError("it was built from another version of relay.c: run make venv")
        clock = _NativeClock()
        super().__init__(cast(LoopClock, clock), tick, gather)
        functions = function_pointer("srtp_protect"), function_pointer("srtp_unprotect")
        self._relay = Relay(self._epoll.fileno(), clock, buffer.memory, MAXIMUM_RECEIVED_BYTES, *functions)

    def watch(self, source: _HasDescriptor, receive: Callable[[], None]) -> None:
        """Call `receive` whenever `source` can be read."""
        super().watch(source, receive)
        self._relay.watch(source.fileno(), None)

    def watch_path(self, source: _HasDescriptor, path: Path) -> None:
        """Pass packets of `source` on by that path."""
        super().watch(source, _is_passed_on)
        self._relay.watch(source.fileno(), path)

    def unwatch(self, source: _HasDescriptor) -> None:
        """Stop watching; call before closing."""
        super().unwatch(source)
        if source.fileno() >= 0:
            self._relay.watch(source.fileno(), None)

    def _serve(self) -> None:
        """Until `running` is false or something raises."""
        relay, receivers, jobs, clock = self._relay, self._receivers, self._jobs, self.clock
        gather = 0.0
        while self.running:
            for descriptor in relay.take(self._due, gather, bool(jobs)):
                receivers[descriptor]()
            if jobs:
                for _ in range(min(1 + relay.batch // EVENTS_A_JOB, len(jobs))):
                    jobs.popleft()()
            if clock.now >= self._due:
                self._due = clock.now + TICK_SECONDS
                gather = self.gather if relay.events > BUSY_EVENTS else 0.0
                relay.events = 0
                self._tick(clock.now)
