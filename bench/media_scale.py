"""How relays grow: CPU a packet, calls a core, and latency at half of those: `python -m bench.media_scale`.

The same calls and load as in media_relay.py, our worker beside rtpengine. A core carries so many calls as have a median
of added latency under 2 ms and less than 0.1 % of their packets lost.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from bench.media.drive import Run, prepare
from bench.media_relay import measure

SIZES = (50, 100, 200, 400, 800)
FLAT_TARGET, CARRIES_TARGET = 1.1, 1.2
FIRST, STEP, MOST = 800, 100, 3_000
LATENCY_US, LOSS = 2_000, 0.001
NAMES = ("worker", "rtpengine")


def main() -> None:
    options = _options()
    prepare()
    print(f"\n{options.suite}, {options.seconds} s each\nrelay        calls  us/packet   p50 us   p99 us     lost")
    for name in NAMES:
        runs = {calls: _shown(name, options, calls) for calls in SIZES}
        growth = max(runs[calls].cpu for calls in SIZES[1:]) / runs[SIZES[0]].cpu
        print(f"  {name}: CPU a packet, dearest of the others beside {SIZES[0]} calls: {growth:.2f}x", end="")
        print(f", target {FLAT_TARGET}x: {'met' if growth <= FLAT_TARGET else 'MISSED'}" if name == "worker" else "")
    carried = {name: _carried(name, options) for name in NAMES}
    ratio = carried["worker"] / max(carried["rtpengine"], 1)
    print(f"calls a core: {carried['worker']} beside rtpengine's {carried['rtpengine']}: {ratio:.2f}x", end="")
    print(f", target {CARRIES_TARGET}x: {'met' if ratio >= CARRIES_TARGET else 'MISSED'}")
    half = max(carried["worker"] // 2, SIZES[0])
    print(f"at half of that, {half} calls:")
    p99 = {name: _shown(name, options, half).p99 for name in (*NAMES, "ungathered")}
    for name in ("worker", "ungathered"):
        met = "met" if p99[name] <= p99["rtpengine"] else "MISSED"
        print(f"  target p99 of rtpengine's {p99['rtpengine']} us: {name} {p99[name]} us, {met}")


def _carried(name: str, options: argparse.Namespace) -> int:
    """Calls; 0 if it cannot even carry the fewest that are tried."""
    best = _last_carried(name, options, range(FIRST, MOST, STEP))
    return best or next((n for n in range(FIRST - STEP, 0, -STEP) if is_carried(_shown(name, options, n))), 0)


def _last_carried(name: str, options: argparse.Namespace, sizes: Iterable[int]) -> int:
    best = 0
    for calls in sizes:
        if not is_carried(_shown(name, options, calls)):
            break
        best = calls
    return best


def is_carried(run: Run) -> bool:
    return run.p50 < LATENCY_US and run.loss < LOSS


def _shown(name: str, options: argparse.Namespace, calls: int) -> Run:
    run = measure(name, options.suite, calls, options.seconds).run
    print(f"{name:12} {calls:5} {run.cpu:10.2f} {run.p50:8} {run.p99:8} {run.loss:8.3%}", flush=True)
    return run


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--suite", default="AES_CM_128_HMAC_SHA1_80")
    return parser.parse_args()


if __name__ == "__main__":
    main()
