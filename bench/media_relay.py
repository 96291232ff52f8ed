"""CPU, latency and memory of relayed packets, with both loops of our worker beside rtpengine in userspace and a C loop.

    python -m bench.media_relay [--sizes 100 200 400 800] [--seconds 1.5] [--rounds 3] [--suites ...]

Every relay gets the same calls: G.711, 20 ms, RTP on one side and SRTP on the other, both directions.
bench/media/load sends them at their times from one core and compares every packet that comes back with what libsrtp
says it must be; the relay has the other core. The C loop (bench/media/floor.c) only moves packets: the share of the
kernel's UDP. Compared are medians over the rounds of the ratios within a round, so that a busy machine slows all
alike. Wants two cores, gcc, and rtpengine (Debian: rtpengine-daemon). Calls a core: media_scale.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import attrs

from bench.judging import at_most, not_above
from bench.media import relays
from bench.media.drive import Run, drive, prepare

SUITES = ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM")
SIZES = (100, 200, 400, 800)
UNGATHERED_SIZE = 400
CPU_TARGET, FLAT_TARGET, MEMORY_TARGET_KIB = 0.75, 1.1, 64
PEERS = ("floor", "rtpengine")
OURS = ("native", "python")
"""By their loop; "ungathered" is the native one that never lets packets gather."""

Round = dict[str, "Found"]


@attrs.frozen
class Found:
    """One load through one relay."""

    run: Run
    memory: int
    """Bytes that the relay grew by for a call."""


def measure(name: str, suite: str, calls: int, seconds: float) -> Found:
    """One load through a relay that is started for it."""
    if name == "floor":
        with relays.floor(calls) as pid:
            return Found(drive([pid], relays.floor_ways(calls), seconds), 0)
    with tempfile.TemporaryDirectory() as directory, start(name, Path(directory)) as relay:
        before = relays.resident(relay.pid)
        ways = [way for index in range(calls) for way in relay.call(f"call-{index}", suite)]
        run = drive([relay.pid], ways, seconds)
        return Found(run, (relays.resident(relay.pid) - before) // calls)


def start(name: str, directory: Path) -> relays.Running:
    """The relay of that name."""
    starts: dict[str, Callable[[], relays.Running]] = {
        "native": lambda: relays.worker(directory, "--loop=native"),
        "ungathered": lambda: relays.worker(directory, "--loop=native", "--gather=0"),
        "python": lambda: relays.worker(directory, "--loop=python"),
        "rtpengine": lambda: relays.rtpengine(directory),
    }
    return starts[name]()


def here(names: Iterable[str]) -> list[str]:
    """Those relays that can be had; the others are named on a line of their own."""
    reasons = {}
    if shutil.which("rtpengine") is None:
        reasons["rtpengine"] = "is not installed (Debian: rtpengine-daemon)"
    if importlib.util.find_spec("gateway.native.relay") is None:
        reasons |= dict.fromkeys(("native", "ungathered"), "was not built: no C compiler, or no Python.h")
    for name in names:
        if name in reasons:
            print(f"{name} {reasons[name]}: without it")
    return [name for name in names if name not in reasons]


def main() -> None:
    """Print a table for each size and suite, and how CPU grows with the calls."""
    options = _options()
    prepare()
    names = here([*PEERS, *OURS, "ungathered"])
    tables = {}
    for calls in options.sizes:
        for suite, rounds in _measured(names, calls, options).items():
            tables[suite, calls] = rounds
            print(f"\n{suite}, {calls} calls, {options.rounds} rounds of {options.seconds} s")
            _print(rounds)
    if len(options.sizes) > 1:
        _print_growth(tables, names, options)


def _print_growth(tables: dict[tuple[str, int], list[Round]], names: list[str], options: argparse.Namespace) -> None:
    print(f"\nCPU a packet, dearest of {_listed(options.sizes[1:])} calls beside {options.sizes[0]}")
    for suite in options.suites:
        for name in names[1:]:
            costs = [
                median(one[name].run.cpu for one in tables[suite, n])
                for n in options.sizes
                if name in tables[suite, n][0]
            ]
            if len(costs) > 1:
                growth = max(costs[1:]) / costs[0]
                print(
                    f"  {suite}, {name}: {growth:.2f}x"
                    + (f", {at_most(growth, FLAT_TARGET)}" if name == "native" else "")
                )


def _measured(names: list[str], calls: int, options: argparse.Namespace) -> dict[str, list[Round]]:
    """The rounds, by suite. The C loop knows no suite: one run of it is in the rounds of all."""
    found: dict[str, list[Round]] = {suite: [] for suite in options.suites}
    for _ in range(options.rounds):
        floor = measure("floor", "", calls, options.seconds)
        for suite in options.suites:
            one = {"floor": floor}
            for name in names[1:]:
                if name != "ungathered" or calls == UNGATHERED_SIZE:
                    one[name] = measure(name, suite, calls, options.seconds)
            found[suite].append(one)
    return found


def _print(rounds: list[Round]) -> None:
    print("                 us/packet  of floor  of rtpengine   p50 us   p99 us     lost  wrong   KiB a call")
    for name in rounds[0]:
        found = [one[name] for one in rounds]
        runs = [one.run for one in found]
        engine = f"{_ratio(rounds, name, 'rtpengine'):11.2f}x" if "rtpengine" in rounds[0] else f"{'':12}"
        print(
            f"{name:14} {median(run.cpu for run in runs):11.2f} {_ratio(rounds, name, 'floor'):8.2f}x {engine}"
            f" {median(run.p50 for run in runs):10.0f} {median(run.p99 for run in runs):8.0f}"
            f" {median(run.loss for run in runs):8.3%} {sum(run.wrong for run in runs):6}"
            f" {median(one.memory for one in found) / 1024:10.1f}"
        )
    if {"native", "rtpengine"} <= rounds[0].keys():
        _judge(rounds)


def _judge(rounds: list[Round]) -> None:
    ratio = _ratio(rounds, "native", "rtpengine")
    print(f"  native: CPU a packet of rtpengine's {ratio:.2f}x, {at_most(round(ratio, 2), CPU_TARGET)}")
    for name in ("native", "ungathered"):
        for key in ("p50", "p99"):
            if name in rounds[0]:
                ours, theirs = (median(getattr(one[which].run, key) for one in rounds) for which in (name, "rtpengine"))
                print(f"  {name}: {key} {ours:.0f} us, {not_above(ours, theirs, 'rtpengine')}")
    kib = median(one["native"].memory for one in rounds) / 1024
    print(f"  native: KiB a call {kib:.1f}, {at_most(kib, MEMORY_TARGET_KIB)}", flush=True)


def _ratio(rounds: Iterable[Round], name: str, other: str) -> float:
    return median(one[name].run.cpu / one[other].run.cpu for one in rounds)


def _listed(sizes: Iterable[int]) -> str:
    return ", ".join(map(str, sizes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--suites", nargs="+", default=SUITES)
    return parser.parse_args()


if __name__ == "__main__":
    main()
