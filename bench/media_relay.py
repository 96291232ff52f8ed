"""CPU, latency and memory of relayed packets: our worker, rtpengine in userspace, and a C loop, in one run.

    python -m bench.media_relay [--calls 400] [--seconds 3] [--rounds 3] [--suites ...]

Every relay gets the same calls: G.711, 20 ms, RTP on one side and SRTP on the other, both directions.
bench/media/load sends them at their times from one core and compares every packet that comes back with what libsrtp
says it must be; the relay has the other core. The C loop only moves packets: the share of the kernel's UDP. Compared
are medians over the rounds of the ratios within a round, so that a busy machine slows all of them alike. Wants two
cores, gcc, and rtpengine (Debian: rtpengine-daemon). How it grows with the calls: media_scale.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import attrs

from bench.media import relays
from bench.media.drive import Run, drive, prepare

FLOOR_TARGET, ENGINE_TARGET, LATENCY_TARGET_US, MEMORY_TARGET_KIB = 1.65, 0.85, 300, 64
PEERS = ("floor", "rtpengine")
NAMES = (*PEERS, "worker", "ungathered", "python")
"""The last three are ours: with the loop that was built, the same that never lets packets gather, and its twin in
Python."""


@attrs.frozen
class Found:
    """One load through one relay."""

    run: Run
    memory: int
    """Bytes that the relay grew by for a call."""


def measure(name: str, suite: str, calls: int, seconds: float) -> Found:
    if name == "floor":
        with relays.floor(calls) as pid:
            return Found(drive([pid], relays.floor_ways(calls), seconds), 0)
    with tempfile.TemporaryDirectory() as directory, _start(name, Path(directory)) as relay:
        before = relays.resident(relay.pid)
        ways = [way for index in range(calls) for way in relay.call(f"call-{index}", suite)]
        run = drive([relay.pid], ways, seconds)
        return Found(run, (relays.resident(relay.pid) - before) // calls)


def main() -> None:
    options = _options()
    prepare()
    for suite in options.suites:
        rounds = [
            {name: measure(name, suite, options.calls, options.seconds) for name in NAMES}
            for _ in range(options.rounds)
        ]
        print(f"\n{suite}, {options.calls} calls, {options.rounds} rounds of {options.seconds} s")
        _print(rounds)


def _print(rounds: list[dict[str, Found]]) -> None:
    print("                 us/packet  of floor  of rtpengine   p50 us   p99 us     lost  wrong   KiB a call")
    for name in NAMES:
        found = [one[name] for one in rounds]
        runs = [one.run for one in found]
        print(
            f"{name:14} {median(run.cpu for run in runs):11.2f} {_ratio(rounds, name, 'floor'):8.2f}x"
            f" {_ratio(rounds, name, 'rtpengine'):11.2f}x {median(run.p50 for run in runs):10.0f}"
            f" {median(run.p99 for run in runs):8.0f} {median(run.loss for run in runs):8.3%}"
            f" {sum(run.wrong for run in runs):6} {median(one.memory for one in found) / 1024:10.1f}"
        )
    ours = [one["worker"] for one in rounds]
    _judge("CPU of floor's", _ratio(rounds, "worker", "floor"), FLOOR_TARGET)
    _judge("CPU of rtpengine's", _ratio(rounds, "worker", "rtpengine"), ENGINE_TARGET)
    _judge("p50 us", median(one.run.p50 for one in ours), LATENCY_TARGET_US)
    _judge("KiB a call", median(one.memory for one in ours) / 1024, MEMORY_TARGET_KIB)


def _ratio(rounds: Iterable[dict[str, Found]], name: str, other: str) -> float:
    return median(one[name].run.cpu / one[other].run.cpu for one in rounds)


def _judge(label: str, found: float, target: float) -> None:
    print(f"  target {label} at most {target:g}: {found:.2f}, {'met' if found <= target else 'MISSED'}")


def _start(name: str, directory: Path) -> relays.Running:
    starts: dict[str, Callable[[], relays.Running]] = {
        "worker": lambda: relays.worker(directory),
        "ungathered": lambda: relays.worker(directory, "--gather=0"),
        "python": lambda: relays.worker(directory, "--loop=python"),
        "rtpengine": lambda: relays.rtpengine(directory),
    }
    return starts[name]()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--suites", nargs="+", default=["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
