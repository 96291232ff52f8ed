"""How many calls a core carries with either of our loops, beside rtpengine, and latency at half of those.

    python -m bench.media_scale [--seconds 2] [--suite ...]

The same calls and load as in media_relay.py. A core carries so many calls as have a median of added latency under 2 ms
and less than 0.1 % of their packets lost; found by halving what is left, and what fails is tried again.
"""

from __future__ import annotations

import argparse

from bench.judging import at_least, not_above
from bench.media.drive import Run, prepare
from bench.media_relay import OURS, SUITES, here, measure

STEP, FEWEST, MOST = 100, 200, 3_400
CARRIES_TARGET = 1.3
LATENCY_US, LOSS = 2_000, 0.001


def main() -> None:
    """Print each run, and the verdicts."""
    options = _options()
    prepare()
    print(f"{options.suite}, {options.seconds} s each\nrelay        calls  us/packet   p50 us   p99 us     lost")
    names = here(["rtpengine", *OURS])
    carried = {name: _carried(name, options) for name in names}
    print("calls a core: " + ", ".join(f"{name} {calls}" for name, calls in carried.items()))
    if "rtpengine" not in carried:
        return
    for name in [name for name in OURS if name in carried]:
        ratio = carried[name] / max(carried["rtpengine"], 1)
        print(
            f"  {name}: {ratio:.2f}x rtpengine's" + (f", {at_least(ratio, CARRIES_TARGET)}" if name == "native" else "")
        )
    half = max(max(carried.values()) // 2, FEWEST)
    print(f"at half of the most, {half} calls:")
    p99 = {name: _shown(name, options, half).p99 for name in names}
    if "native" in p99:
        print(f"  native: p99 {p99['native']} us, {not_above(p99['native'], p99['rtpengine'], 'rtpengine')}")


def _carried(name: str, options: argparse.Namespace) -> int:
    """Calls; 0 if it cannot even carry the fewest that are tried."""
    carried, not_carried = FEWEST - STEP, MOST
    while not_carried - carried > STEP:
        middle = (carried + not_carried) // 2 // STEP * STEP
        if any(is_carried(_shown(name, options, middle)) for _ in range(2)):
            carried = middle
        else:
            not_carried = middle
    return carried if carried >= FEWEST else 0


def is_carried(run: Run) -> bool:
    """Whether that load was not too much."""
    return run.p50 < LATENCY_US and run.loss < LOSS


def _shown(name: str, options: argparse.Namespace, calls: int) -> Run:
    run = measure(name, options.suite, calls, options.seconds).run
    print(f"{name:12} {calls:5} {run.cpu:10.2f} {run.p50:8} {run.p99:8} {run.loss:8.3%}", flush=True)
    return run


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--suite", default=SUITES[0])
    return parser.parse_args()


if __name__ == "__main__":
    main()
