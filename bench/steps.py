"""The steps of a message and of a call inside the gateway: `python -m bench.steps`.

The gateway's parts are joined as in production, in one process and without the kernel (bench/calls/inside.py, with
media anchoring.py). First counts, which no other load of the machine changes; then microseconds, medians: hot, when
messages follow one another, and cold, with a millisecond of sleep before each.
"""

from __future__ import annotations

from bench.calls import anchoring, budget, inside, pings, rooms
from bench.calls.fresh import fresh
from bench.judging import at_most

FILES, MOVES, DEPTH, CALLS = 40, 150, 15, 450
WORKER_US = 120


def main() -> None:
    """Print the table, line by line as it comes."""
    walks = fresh(rooms.walks)
    invite, call = walks["INVITE"], rooms.whole(walks)
    _print("an INVITE with media: files of ours", len(invite.files), at_most(len(invite.files), FILES))
    _print("its moves between files", invite.moves, at_most(invite.moves, MOVES))
    _print("its depth, in functions of ours", invite.depth, at_most(invite.depth, DEPTH))
    _print("a call with media: calls of our functions", call.calls, at_most(call.calls, CALLS))
    calls, instructions, after = fresh(budget.counts)
    _print("a call without media: calls of all functions", calls)
    _print("its instructions of Python's", instructions)
    _print("calls of functions after it, until nothing is left", after)
    for method, count in fresh(pings.counts).items():
        _print(f"{method} over TLS: calls of all functions", count)
    hot, cold = fresh(inside.hot_and_cold)
    _print("a call without media, hot, us of CPU", hot)
    _print("the same cold", cold, f"{cold / hot:.1f}x hot")
    costs = fresh(anchoring.costs)
    _print("a call with media, hot, us of CPU", costs["gateway"])
    _print("its commands in the media worker, us of CPU", costs["worker"], at_most(round(costs["worker"]), WORKER_US))


def _print(what: str, figure: float, verdict: str = "") -> None:
    print(f"{what:52} {figure:9,.0f}   {verdict}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
