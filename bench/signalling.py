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
rewritten, ports given back), and Kamailio at an rtpengine that it asks. sippy passes the SDP on as it is. No RTP flows
here; bench/media_relay.py has the packets.

400 calls/s is where it is judged; at 150/s all programs find their caches cold at each message. sippy carries no 400,
and is judged at 150. Most calls a second are found by halving what is left between rates that a program carries and
such that it does not.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import attrs

from bench.calls.cost import cpu_ms, exact_cpu_ms
from bench.calls.load import Load, Outcome, Parties, free_core
from bench.calls.programs import CORE, MEDIA_CORES, PROGRAMS, Place, is_here, running
from bench.judging import at_least, at_most
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import Program

ROUNDS = 3
SECONDS = {400: 4, 150: 6}
"""Of calls in a run, by their rate."""
WARM_UP_RATE, WARM_UP = 150, 300  # calls
LINGER_RATE, LINGER_CALLS = 400, 1_600
LINGER_SECONDS, IDLE_SECONDS = 34, 5
"""Until the last timer of a transaction is over; and to see what a program takes with nothing to do."""
RATES = (100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1000, 1150, 1300, 1500, 1750, 2000, 2500)
PROBE_SECONDS, PROBE_GRACE = 4, 2
"""Of calls at one of them, and for the last to end: one that takes longer had to be sent twice."""
ALMOST = 0.99
"""Of the calls: a run that carried so many is tried again."""
AFTER_MS = 0.1
SET_UP_MS = 10


@attrs.frozen
class Cost:
    """What one run took."""

    cpu_ms: float
    """A call."""
    outcome: Outcome


@attrs.frozen
class Comparison:
    """CPU of a call through the gateway, beside peers in the same rounds."""

    media: bool
    rate: int
    peers: Mapping[str, float | None]
    """Those, and what multiple of theirs the gateway may take; None: that is not judged."""

    @property
    def title(self) -> str:
        """What the table calls it."""
        return f"CPU of a call {_media(self.media)}, {self.rate}/s"


BOTH = "kamailio+rtpengine"
COMPARISONS = (
    Comparison(False, 400, {"kamailio": 1.0}),
    Comparison(False, 150, {"kamailio": 1.0, "sippy": None}),
    Comparison(True, 400, {BOTH: 0.8}),
    Comparison(True, 150, {BOTH: None, "sippy": 0.5}),
)
MOST_CALLS = ((False, 1_500, ("kamailio",)), (True, 1_000, (BOTH, "sippy")))
"""Calls with media or without, how many a second are wanted without loss, and peers."""


class Bench:
    """Runs programs, one at a time."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        (directory / "sipp").mkdir()
        self._directory = directory
        self._parties = Parties(hosts.host(41), hosts.host(42), directory / "sipp", free_core(CORE))
        self._place = Place(hosts.host(43), f"{hosts.host(42)}:5060", directory)
        self._runs = 0

    @contextmanager
    def running(self, name: str, cores: Sequence[int] = (CORE,)) -> Iterator[Program]:
        """The program, fresh, warm and alone."""
        self._runs += 1
        directory = self._directory / f"{name}-{self._runs}"
        directory.mkdir()
        with running(PROGRAMS[name], attrs.evolve(self._place, directory=directory, cores=cores)) as program:
            self.call(Load(WARM_UP_RATE, WARM_UP, media=False))
            yield program

    def call(self, load: Load) -> Outcome:
        """Send calls through the program that is running."""
        return self._parties.run(f"{self._place.address}:5060", load)

    def cost(self, name: str, media: bool, rate: int) -> Cost:
        """What a run costs."""
        with self.running(name) as program:
            before = cpu_ms(program.process.pid)
            outcome = self.call(Load(rate, rate * SECONDS[rate], media))
            spent = cpu_ms(program.process.pid) - before
        return Cost(spent / outcome.asked, outcome)

    def most_calls(self, name: str, media: bool) -> int:
        """Calls a second without loss: the highest of RATES that is carried, 0 where none is."""
        carried, not_carried = -1, len(RATES)
        while not_carried - carried > 1:
            middle = (carried + not_carried) // 2
            if self._carries(name, media, RATES[middle]):
                carried = middle
            else:
                not_carried = middle
        return RATES[carried] if carried >= 0 else 0

    def _carries(self, name: str, media: bool, rate: int) -> bool:
        """Whether all came through at once; what almost did has a second chance. Afresh: calls that failed live on."""
        load = Load(rate, rate * PROBE_SECONDS, media, grace=PROBE_GRACE)
        with self.running(name, MEDIA_CORES if media else (CORE,)):
            first = self.call(load)
            return first.is_loss_free or (first.complete >= ALMOST * first.asked and self.call(load).is_loss_free)

    def set_up(self, name: str, media: bool, rate: int) -> Outcome:
        """The better of two runs at that rate: a neighbour's work must not count as the program's."""
        with self.running(name, MEDIA_CORES if media else (CORE,)):
            runs = [self.call(Load(rate, rate * PROBE_SECONDS, media)) for _ in range(2)]
        return min(runs, key=lambda one: one.percentile(99))

    def lingering(self, name: str) -> float:
        """CPU ms a call after the last BYE, beyond what the idle program takes."""
        with self.running(name) as program:
            pid = program.process.pid
            outcome = self.call(Load(LINGER_RATE, LINGER_CALLS, media=False))
            before = exact_cpu_ms(pid)
            time.sleep(LINGER_SECONDS)
            after = exact_cpu_ms(pid)
            time.sleep(IDLE_SECONDS)
            idle = (exact_cpu_ms(pid) - after) / IDLE_SECONDS * LINGER_SECONDS
            # the calls that warmed it up are not over either when it begins
            return (after - before - idle) / (outcome.asked + WARM_UP)


def compare(bench: Bench, comparison: Comparison, rounds: int) -> Iterator[str]:
    """The lines of a comparison. A round counts for a peer if neither lost a call; if one did, a line says so."""
    found: list[dict[str, Cost]] = []
    peers = [name for name in comparison.peers if is_here(name)]
    for number in range(rounds):
        names = ["gateway", *peers]
        found.append(
            {name: bench.cost(name, *_load(comparison)) for name in (names if number % 2 == 0 else names[::-1])}
        )
    for peer, target in comparison.peers.items():
        if peer not in peers:
            yield f"{comparison.title}: {peer} cannot be had here, see deploy/debian-packages*.txt and bench/peers.in"
            continue
        pairs = [(one["gateway"], one[peer]) for one in found]
        pairs = [pair for pair in pairs if all(cost.outcome.is_complete for cost in pair)]
        yield _line(comparison, peer, pairs, target)
    for name in ("gateway", *peers):
        lost = [one[name].outcome for one in found if not one[name].outcome.is_complete]
        if lost:
            missing = sum(outcome.asked - outcome.complete for outcome in lost)
            yield f"  {name} lost {missing} of {sum(o.asked for o in lost)} calls in {len(lost)} of {rounds} runs"


def _line(comparison: Comparison, peer: str, pairs: list[tuple[Cost, Cost]], target: float | None) -> str:
    if not pairs:
        verdict = f", target {target:g}: MISSED" if target else ""
        return f"{comparison.title}: no round in which gateway and {peer} lost nothing{verdict}"
    ratio = median(ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs)
    gateway, theirs = (median(pair[side].cpu_ms for pair in pairs) for side in (0, 1))
    verdict = f", {at_most(round(ratio, 2), target)}" if target else ""
    figures = f"gateway {gateway:.2f} ms, {peer} {theirs:.2f} ms; {ratio:.2f}x in {len(pairs)} rounds"
    return f"{comparison.title}: {figures}{verdict}"


def most(bench: Bench, media: bool, target: int, peers: tuple[str, ...]) -> Iterator[str]:
    """Calls a second without loss, and the time of set-ups at half of that."""
    found = {name: bench.most_calls(name, media) for name in ("gateway", *peers) if is_here(name)}
    figures = ", ".join(f"{name} {rate}" for name, rate in found.items())
    alone = "; gateway and worker share a core" if media and len(MEDIA_CORES) == 1 else ""
    yield f"calls/s without loss, {_media(media)}: {figures}, {at_least(found['gateway'], target)}{alone}"
    half = max(found["gateway"] // 2, RATES[0])
    ours = bench.set_up("gateway", media, half)
    theirs = {name: bench.set_up(name, media, half) for name in found if found[name] >= half and name != "gateway"}
    beside = "".join(f", {name} {one.percentile(50):.0f}, {one.percentile(99):.0f}" for name, one in theirs.items())
    lost = "" if ours.is_complete else f"; {ours.asked - ours.complete} calls lost"
    p99 = ours.percentile(99)
    yield (
        f"set-up p50, p99 at half of that ({half}/s): gateway {ours.percentile(50):.0f}, {p99:.0f} ms{beside}; "
        f"p99 {at_most(p99 if ours.is_complete else float('inf'), SET_UP_MS)}{lost}"
    )


def lingering(bench: Bench) -> Iterator[str]:
    """The line on CPU of a call after its end."""
    found = {name: bench.lingering(name) for name in ("gateway", "kamailio") if is_here(name)}
    figures = ", ".join(f"{name} {ms:.2f} ms" for name, ms in found.items())
    verdict = at_most(round(found["gateway"], 2), AFTER_MS)
    yield f"CPU of a call after its last BYE, until nothing is left: {figures}, {verdict}"


def _load(comparison: Comparison) -> tuple[bool, int]:
    return comparison.media, comparison.rate


def _media(media: bool) -> str:
    return "with media anchored" if media else "without media"


def main() -> None:
    """Print the table, line by line as it comes."""
    is_quick = "quick" in sys.argv
    rounds = 1 if is_quick else ROUNDS
    hosts = Hosts.claim()
    with tempfile.TemporaryDirectory(prefix="bench-signalling-") as directory:
        bench = Bench(hosts, Path(directory))
        for comparison in COMPARISONS:
            for line in compare(bench, comparison, rounds):
                print(line, flush=True)
        for media, target, peers in MOST_CALLS:
            for line in most(bench, media, target, peers):
                print(line, flush=True)
        for line in lingering(bench):
            print(line, flush=True)


if __name__ == "__main__":
    main()
