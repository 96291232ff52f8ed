"""Whether two workers carry twice the calls of one: `python -m bench.media_workers [--calls 300]`.

With three cores or more, one worker is given as many calls as a core carries, by steps, and two workers on a core each
1.8 times as many. With two cores the load needs one of them, so that this cannot be seen; what can be seen is whether a
worker pays for the other: CPU a packet of one worker, and of two with as many calls each, on the same core and on both
cores, one of them beside the load. Equal costs mean that they wait for nothing in each other.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.media import relays
from bench.media.drive import Run, drive, prepare
from bench.media_scale import STEP, is_carried

TARGET = 1.8


def measure(cores: Sequence[int], options: argparse.Namespace, calls: int) -> Run:
    """`calls` for each of as many workers as there are cores named."""
    first, last = relays.PORTS
    share = (last + 1 - first) // len(cores)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        workers = []
        for index, core in enumerate(cores):
            ports = (first + index * share, first + (index + 1) * share - 1)
            workers.append(stack.enter_context(relays.worker(Path(directory), core=core, ports=ports)))
        ways = []
        for index in range(calls):
            for worker in workers:
                ways += worker.call(f"call-{index}", options.suite)
        pids = [worker.pid for worker in workers]
        return drive(pids, ways, options.seconds, shares=relays.LOAD_CORE in cores)


def main() -> None:
    options = _options()
    prepare()
    if len(relays.CORES) > 2:
        _carry(options)
        return
    core, other = relays.RELAY_CORE, relays.LOAD_CORE
    layouts = {"one worker": [core], "two on its core": [core, core], "two on two cores": [other, core]}
    rounds = [
        {name: measure(cores, options, options.calls) for name, cores in layouts.items()} for _ in range(options.rounds)
    ]
    print(f"\n{options.calls} calls a worker, {options.suite}, {options.rounds} rounds of {options.seconds} s")
    print("                    us/packet  of one's   p50 us   p99 us     lost")
    for name in layouts:
        runs = [one[name] for one in rounds]
        ratio = median(one[name].cpu / one["one worker"].cpu for one in rounds)
        print(
            f"{name:18} {median(run.cpu for run in runs):10.2f} {ratio:8.2f}x {median(run.p50 for run in runs):8.0f}"
            f" {median(run.p99 for run in runs):8.0f} {median(run.loss for run in runs):8.3%}"
        )
    ratio = median(one["two on its core"].cpu / one["one worker"].cpu for one in rounds)
    print(f"  by what the second costs, two carry {2 / ratio:.2f}x one; whether they do, two cores cannot show")


def _carry(options: argparse.Namespace) -> None:
    one, two = relays.CORES[-1:], relays.CORES[-2:]
    carried = 0
    while is_carried(measure(one, options, carried + STEP)):
        carried += STEP
    run = measure(two, options, int(TARGET * carried / 2))
    met = "met" if is_carried(run) else "MISSED"
    print(f"\none worker carries {carried} calls; two, {TARGET}x as many: {met}, p50 {run.p50} us, {run.loss:.3%} lost")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--suite", default="AES_CM_128_HMAC_SHA1_80")
    return parser.parse_args()


if __name__ == "__main__":
    main()
