"""Packets of calls while others are set up: `python -m bench.media_set_ups [--calls 400] [--rate 100] [--rounds 3]`.

The calls and the load of media_relay.py; meanwhile the relay is asked for so many calls more a second (offer, answer,
and a second later delete), from the load's core while the load leaves it. CPU a packet is all that the relay takes, its
part in those set-ups included, by the packets of the calls that are measured: what a relay on a core of its own needs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import attrs

from bench.judging import at_most, not_above
from bench.media import relays
from bench.media.drive import Run, drive, prepare
from bench.media_relay import OURS, SUITES, here, start

CPU_TARGET = 0.85
ENOUGH = 0.9
"""Of the set-ups that were meant."""


@attrs.frozen
class Found:
    """One load, and set-ups a second beside it."""

    run: Run
    set_ups: float


@attrs.define
class SetUps:
    """Asks a relay for calls, at a rate, in a thread that runs when nothing else wants its core."""

    relay: relays.Relay
    suite: str
    rate: float
    done: int = 0
    _is_over: threading.Event = attrs.field(factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Meanwhile; nobody else may ask the relay."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _run(self) -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        began, up = time.monotonic(), deque[str]()
        while not self._is_over.wait(max(began + self.done / self.rate - time.monotonic(), 0)):
            name = f"more-{self.done}"
            self.relay.call(name, self.suite)
            up.append(name)
            if len(up) > self.rate:
                self.relay.delete(up.popleft())
            self.done += 1


def measure(name: str, options: argparse.Namespace) -> Found:
    """One load through a relay that is started for it."""
    with tempfile.TemporaryDirectory() as directory, start(name, Path(directory)) as relay:
        ways = [way for index in range(options.calls) for way in relay.call(f"call-{index}", options.suite)]
        set_ups = SetUps(relay, options.suite, options.rate)
        began: list[float] = []

        @contextmanager
        def meanwhile() -> Iterator[None]:
            began.append(time.monotonic())
            with set_ups.going_on():
                yield

        run = drive([relay.pid], ways, options.seconds, shares=True, meanwhile=meanwhile())
        return Found(run, set_ups.done / (time.monotonic() - began[0]))


def main() -> None:
    """Print the table."""
    options = _options()
    prepare()
    names = here(["rtpengine", *OURS])
    rounds = [{name: measure(name, options) for name in names} for _ in range(options.rounds)]
    print(f"{options.calls} calls, {options.suite}, {options.rounds} rounds of {options.seconds} s, beside set-ups")
    print("             set-ups/s  us/packet  of rtpengine   p50 us   p99 us     lost")
    for name in names:
        runs = [one[name].run for one in rounds]
        engine = f"{_ratio(rounds, name):11.2f}x" if "rtpengine" in names else ""
        print(
            f"{name:12} {median(one[name].set_ups for one in rounds):9.0f} {median(run.cpu for run in runs):10.2f} "
            f"{engine:>13} {median(run.p50 for run in runs):8.0f} {median(run.p99 for run in runs):8.0f}"
            f" {median(run.loss for run in runs):8.3%}"
        )
        if median(one[name].set_ups for one in rounds) < ENOUGH * options.rate:
            print(f"  fewer set-ups than {options.rate:g}/s: the machine was too busy to ask for them")
    if {"native", "rtpengine"} <= set(names):
        ratio = _ratio(rounds, "native")
        ours, theirs = (median(one[name].run.p99 for one in rounds) for name in ("native", "rtpengine"))
        print(f"  native: CPU a packet of rtpengine's {ratio:.2f}x, {at_most(round(ratio, 2), CPU_TARGET)}")
        print(f"  native: p99 {ours:.0f} us, {not_above(ours, theirs, 'rtpengine')}")


def _ratio(rounds: list[dict[str, Found]], name: str) -> float:
    return median(one[name].run.cpu / one["rtpengine"].run.cpu for one in rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--suite", default=SUITES[0])
    return parser.parse_args()


if __name__ == "__main__":
    main()
