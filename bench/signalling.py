"""What a call costs the gateway beside sippy's B2BUA and Kamailio as a proxy: `python -m bench.signalling [quick]`.

sipp calls and answers over UDP on loopback, INVITE-180-200-ACK-BYE-200, through one program at a time on a core of its
own; sipp has another. The programs take turns within one run and each round gives ratios, of which the median counts:
the machine may be busy with other things, but then it is so for all of them. CPU is user and system time of the program
and all its processes, media workers included. A run in which the answering side misses one INVITE, ACK or BYE does
not count. Cost after the last BYE (timers of 32 s that run out) is not in it; it is given apart.

The gateway runs as an operator runs it: sources checked, calls recorded, counted and logged at info. sippy logs
nothing, Kamailio next to nothing.

Media "off" and "on": the gateway has no switch that lets SDP pass beside its relay, since SRTP needs the relay. Calls
without media are calls without SDP (INVITE and 200 without a body, which RFC 3261 allows), for all programs alike.
Calls with media have an offer and an answer, which the gateway anchors at its media worker (ports taken, SDP
rewritten, ports given back). sippy and Kamailio pass the SDP on as it is: for the price of anchoring look at the ratio.
No RTP flows here; bench/media_relay.py has the packets.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import attrs

from bench.calls.cost import cpu_ms
from bench.calls.load import Load, Outcome, Parties, free_core
from bench.calls.programs import CORE, PROGRAMS, Place, has_sippy, running
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import Program

ROUNDS = 3
SECONDS = 6  # of calls in a run
WARM_UP = 300  # calls
COMMON_RATE = 150  # calls a second: the slowest of the programs carries them
BUSY_RATE = 400  # what one busy core carries of the gateway's calls
LINGER_SECONDS = 34  # until the last timer of a transaction is over
RATES = (100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 1000, 1300, 1600)


@attrs.frozen
class Cost:
    """What one run took."""

    cpu_ms: float
    """A call."""
    outcome: Outcome


@attrs.frozen
class Comparison:
    """A target: CPU of a call through the gateway as a multiple of a peer's."""

    media: bool
    rate: int
    peer: str
    at_most: float

    @property
    def title(self) -> str:
        """What the table calls it."""
        return f"{'with' if self.media else 'without'} media, {self.rate}/s, beside {self.peer}"


COMPARISONS = (
    Comparison(False, COMMON_RATE, "sippy", 0.25),
    Comparison(True, COMMON_RATE, "sippy", 0.4),
    Comparison(False, COMMON_RATE, "kamailio", 1.0),
    Comparison(False, BUSY_RATE, "kamailio", 1.0),
)
MOST_CALLS = ((False, 800), (True, 300))
"""Calls with media or without, and how many a second are wanted without loss."""


class Bench:
    """Runs programs, one at a time."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        (directory / "sipp").mkdir()
        self._directory = directory
        self._parties = Parties(hosts.host(41), hosts.host(42), directory / "sipp", free_core(CORE))
        self._place = Place(hosts.host(43), f"{hosts.host(42)}:5060", directory)
        self._runs = 0

    @contextmanager
    def running(self, name: str) -> Iterator[Program]:
        """The program, fresh, warm and alone."""
        self._runs += 1
        directory = self._directory / f"{name}-{self._runs}"
        directory.mkdir()
        with running(PROGRAMS[name], attrs.evolve(self._place, directory=directory)) as program:
            self.call(Load(100, WARM_UP, media=False))
            yield program

    def call(self, load: Load) -> Outcome:
        """Send calls through the program that is running."""
        return self._parties.run(f"{self._place.address}:5060", load)

    def cost(self, name: str, media: bool, rate: int) -> Cost | None:
        """What a run costs; None when not every call was complete, twice."""
        for _ in range(2):
            with self.running(name) as program:
                before = cpu_ms(program.process.pid)
                outcome = self.call(Load(rate, rate * SECONDS, media))
                spent = cpu_ms(program.process.pid) - before
            if outcome.is_complete:
                return Cost(spent / outcome.asked, outcome)
        return None

    def most_calls(self, name: str, media: bool, seconds: int = 4) -> int:
        """Calls a second without loss: the highest of RATES before one that has failed twice."""
        best = 0
        with self.running(name):
            for rate in RATES:
                if not any(self.call(Load(rate, rate * seconds, media)).is_loss_free for _ in range(2)):
                    break
                best = rate
        return best

    def lingering(self, name: str, rate: int = COMMON_RATE) -> float:
        """CPU ms a call after the last BYE, beyond what the idle program takes."""
        with self.running(name) as program:
            outcome = self.call(Load(rate, rate * SECONDS, media=False))
            before = cpu_ms(program.process.pid)
            time.sleep(LINGER_SECONDS)
            idle_from = cpu_ms(program.process.pid)
            time.sleep(5)
            idle = (cpu_ms(program.process.pid) - idle_from) / 5 * LINGER_SECONDS
        return max(0.0, idle_from - before - idle) / outcome.asked


def compare(bench: Bench, comparison: Comparison, rounds: int) -> str:
    """One line of the table."""
    pairs = []
    for number in range(rounds):
        names = ["gateway", comparison.peer]
        costs = {}
        for name in names if number % 2 == 0 else reversed(names):
            costs[name] = bench.cost(name, comparison.media, comparison.rate)
        ours, theirs = costs["gateway"], costs[comparison.peer]
        if ours is not None and theirs is not None:
            pairs.append((ours, theirs))
    if not pairs:
        return f"{comparison.title:46} no round in which both were complete   target {comparison.at_most:.2f}"
    ratio = median(ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs)
    gateway, peer = (median(pair[side].cpu_ms for pair in pairs) for side in (0, 1))
    return (
        f"{comparison.title:46} gateway {gateway:5.2f} ms, {comparison.peer} {peer:5.2f} ms a call; "
        f"ratio {ratio:4.2f} of {len(pairs)} rounds, target {comparison.at_most:.2f}{_met(ratio <= comparison.at_most)}"
    )


def set_up(bench: Bench, media: bool, rate: int) -> str:
    """Set-up time at that rate, in the best of three runs: a neighbour's work must not count as ours."""
    with bench.running("gateway"):
        outcomes = [bench.call(Load(rate, rate * SECONDS, media)) for _ in range(3)]
    best = min(outcomes, key=lambda outcome: outcome.percentile(99))
    what = f"{'with' if media else 'without'} media, set-up at {rate}/s"
    met = _met(best.is_complete and best.percentile(99) < 20)
    return f"{what:46} p50 {best.percentile(50):.0f} ms, p99 {best.percentile(99):.0f} ms, target p99 under 20 {met}"


def most(bench: Bench, media: bool, target: int) -> str:
    """Calls a second without loss."""
    names = [name for name in PROGRAMS if name != "sippy" or has_sippy()]
    found = {name: bench.most_calls(name, media) for name in names}
    what = f"{'with' if media else 'without'} media, calls/s without loss"
    figures = ", ".join(f"{name} {rate}" for name, rate in found.items())
    return f"{what:46} {figures}; target {target} {_met(found['gateway'] >= target)}"


def _met(is_met: bool) -> str:
    return "" if is_met else " MISSED"


def main() -> None:
    """Print the table, line by line as it comes."""
    rounds = 1 if "quick" in sys.argv else ROUNDS
    hosts = Hosts.claim()
    with tempfile.TemporaryDirectory(prefix="bench-signalling-") as directory:
        bench = Bench(hosts, Path(directory))
        for comparison in COMPARISONS:
            if comparison.peer == "sippy" and not has_sippy():
                print(f"{comparison.title:46} sippy is not installed: make bench installs it", flush=True)
                continue
            print(compare(bench, comparison, rounds), flush=True)
        for media, target in MOST_CALLS:
            print(most(bench, media, target), flush=True)
        for media, target in MOST_CALLS:
            print(set_up(bench, media, target // 2), flush=True)
        for name in ("gateway", "kamailio"):
            print(f"{name + ', CPU after the last BYE':46} {bench.lingering(name):.2f} ms a call", flush=True)


if __name__ == "__main__":
    main()
