"""What each message of a call takes inside the gateway: `python -m bench.calls.budget`.

For each datagram that comes in, with all that follows from it: microseconds (the median, and what one in ten stays
under), calls of Python functions, and what ended calls leave behind: objects for the garbage collector, which should be
none, and objects that live on for the 32 s of the transactions. Profile what is dear with bench/calls/inside.py.
With `--count` only function calls, Python's own instructions, and the function calls that come after a call's end until
nothing of it is left: no other load of the machine changes these. The instructions count, too, since a longer function
in place of several makes fewer calls, and may cost more.
"""

from __future__ import annotations

import cProfile
import gc
import pstats
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import thread_time_ns
from types import FrameType
from typing import Any

from bench.calls.inside import Inside, reactor
from gateway.app.administration.lulls import spare_long_lived
from gateway.transport.udp import Peer

MESSAGES = ("INVITE", "180", "200", "ACK", "BYE", "200 to BYE")
WARM_UP, TIMED, COUNTED, TRACED = 300, 2000, 200, 20
"""Calls."""
LEFT_SECONDS, STEP_SECONDS = 40.0, 0.02
"""Until the timers of a call are over, and between two turns of the reactor meanwhile."""


class Budget(Inside):
    """Takes note of each datagram by its place in the call."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.taken: list[list[float]] = [[] for _ in MESSAGES]
        """Microseconds, by message."""
        self.profiles: list[cProfile.Profile] = []
        self._trace: Callable[..., Any] | None = None
        self._instructions = 0
        self._place = 0

    def receive(self, port: Any, data: bytes, peer: Peer) -> None:
        """Give the gateway one datagram, timed or profiled."""
        place, self._place = self._place, (self._place + 1) % len(MESSAGES)
        if self.profiles:
            self.profiles[place].runcall(port.datagramReceived, data, peer)
            return
        if self._trace is not None:
            sys.settrace(self._trace)
            port.datagramReceived(data, peer)
            sys.settrace(None)
            return
        start = thread_time_ns()
        port.datagramReceived(data, peer)
        self.taken[place].append((thread_time_ns() - start) / 1000)

    def left_behind(self) -> tuple[float, float]:
        """Objects that a call leaves: to the garbage collector, and to live on for a while."""
        gc.collect()
        gc.disable()
        before = len(gc.get_objects())
        self.run(COUNTED)
        collected = gc.collect()
        gc.enable()
        return collected / COUNTED, (len(gc.get_objects()) - before) / COUNTED

    def function_calls(self) -> list[float]:
        """Calls of functions for each message."""
        self.profiles = [cProfile.Profile() for _ in MESSAGES]
        self.run(COUNTED)
        return [vars(pstats.Stats(profile))["total_calls"] / COUNTED for profile in self.profiles]

    def left_over(self) -> float:
        """Calls of functions for each call after its end, by a clock that is put forward."""
        self._turns()
        idle = self._turns()
        for _ in range(COUNTED):
            self.call()
        return (self._turns() - idle) / COUNTED

    def _turns(self) -> int:
        """Calls of functions while the reactor takes its turns until everything is over."""
        ahead, seconds = 0.0, reactor.seconds
        reactor.seconds = lambda: seconds() + ahead
        profile = cProfile.Profile()
        try:
            for _ in range(int(LEFT_SECONDS / STEP_SECONDS)):
                ahead += STEP_SECONDS
                profile.runcall(reactor.runUntilCurrent)
        finally:
            reactor.seconds = seconds
        return int(vars(pstats.Stats(profile))["total_calls"])

    def instructions(self) -> float:
        """Instructions of Python's that a call takes."""

        def step(frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._instructions += event == "opcode"
            return step

        self._trace = step
        self.run(TRACED)
        self._trace = None
        return self._instructions / TRACED


def main() -> None:
    """Print the table, or the three figures."""
    if "--count" in sys.argv:
        print("{:.0f} {:.0f} {:.0f}".format(*counts()))
    else:
        print_table()


def counts() -> tuple[float, float, float]:
    """Calls of functions that one call takes, instructions, and calls of functions after its end."""
    with tempfile.TemporaryDirectory() as directory:
        budget = Budget(Path(directory))
        budget.run(WARM_UP)
        instructions = budget.instructions()
        calls = sum(budget.function_calls())
        budget.profiles = []
        return calls, instructions, budget.left_over()


def print_table() -> None:
    """The table, with times."""
    with tempfile.TemporaryDirectory() as directory:
        budget = Budget(Path(directory))
        budget.run(WARM_UP)
        spare_long_lived()
        budget.taken = [[] for _ in MESSAGES]
        budget.run(TIMED)
        taken = budget.taken
        garbage, alive = budget.left_behind()
        calls = budget.function_calls()
    print(f"{'':12} us (median)  one in ten   function calls")
    for name, times, count in zip(MESSAGES, taken, calls, strict=True):
        print(f"{name:12} {median(times):11.0f} {quantiles(times, n=10)[0]:11.0f} {count:16.0f}")
    print(f"{'a call':12} {sum(map(median, taken)):11.0f} {'':11} {sum(calls):16.0f}")
    print(f"objects that a call leaves: {garbage:.1f} to the garbage collector, {alive:.0f} for 32 s")


if __name__ == "__main__":
    main()
