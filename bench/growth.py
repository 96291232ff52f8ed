"""A call while 100 and 5,000 calls are up, and with 100 and 50,000 bindings: `python -m bench.growth`. With `--count`
the bytes and the objects alone that each call holds which is up: no other load changes these, nor how far the process
had grown before.

In one process and without the kernel (bench/calls/inside.py), each in a process of its own, in turns. Calls of
functions are counted, which no other load of the machine changes: a search through all that is there would show. CPU is
the median of rounds; it grows by what does not fit into the processor's caches any more.

Memory is what the process grew by between the two, for each. Calls that are up are set up batch by batch, and the clock
is put forward after each, so that transactions are over, as those of most calls are that are up. They have no media:
what a relayed call takes in its worker says bench/media_relay.py.
"""

from __future__ import annotations

import cProfile
import gc
import os
import pstats
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import attrs

from bench.calls import forked, inside
from bench.calls.cost import resident_kib
from bench.calls.fresh import fresh
from bench.calls.load import DOMAIN
from bench.judging import at_most
from gateway.app.administration.lulls import spare_long_lived
from gateway.registrar.binding import Binding
from gateway.transport.flow import Address, FlowKey, Transport

FEW, CALLS, BINDINGS = 100, 5_000, 50_000
FLAT, CALL_KIB = 1.1, 10.0
ROUNDS = 3
BATCH = 500
OVER_SECONDS, STEP_SECONDS = 36.0, 0.05
"""Until all transactions of a batch are over, and between two turns of the reactor meanwhile."""
COUNTED, TIMED, WEIGHED = 100, 400, 400
"""Calls."""


@attrs.frozen
class Found:
    """Of a call beside as many others, or bindings."""

    us: float
    functions: float
    kib: float
    """Of the whole process."""


class Calls(inside.Inside):
    """Calls that stay up."""

    def hold(self, count: int) -> None:
        """So many more."""
        for first in range(0, count, BATCH):
            for _ in range(min(BATCH, count - first)):
                self.set_up()
            self._put_forward()

    def _put_forward(self) -> None:
        """The clock; who asks meanwhile how the provider is gets an answer."""
        reactor: Any = inside.reactor
        seconds, ahead = reactor.seconds, 0.0
        reactor.seconds = lambda: seconds() + ahead
        while ahead < OVER_SECONDS:
            ahead += STEP_SECONDS
            reactor.runUntilCurrent()
            asked = [data for data, peer in self._sent if peer == inside.ANSWERER]
            self._sent.clear()
            for data in asked:
                self._from_answerer(inside._answer(data, "200 OK"))
        reactor.seconds = seconds


def beside_calls(count: int) -> Found:
    """A call while so many are up."""
    return _found(Calls, lambda gateway: gateway.hold(count))


def beside_bindings(count: int) -> Found:
    """A call to a phone that is one of so many."""
    return _found(forked.Forked, lambda gateway: _bind(gateway, count))


def weigh() -> tuple[float, float]:
    """Bytes, and objects that the garbage collector knows, of each of some calls that are up beside as many others."""
    with tempfile.TemporaryDirectory() as directory:
        gateway = Calls(Path(directory))
        gateway.run(inside.WARM_UP)
        tracemalloc.start()
        found = []
        for _ in range(2):
            gateway.hold(WEIGHED)
            gateway.hold(1)  # nobody can come again with an answer to a challenge: the names of most are forgotten
            gc.collect()
            found.append((tracemalloc.get_traced_memory()[0], len(gc.get_objects())))
        tracemalloc.stop()
        (few, objects), (many, more_objects) = found
        return (many - few) / (WEIGHED + 1), (more_objects - objects) / (WEIGHED + 1)


def _bind(gateway: inside.Inside, count: int) -> None:
    store = gateway._gateway._state.store
    for number in range(count):
        address = Address(f"127.1.{number // 250 % 250}.{number % 250 + 1}", 5060)
        aor, contact = f"sip:phone{number}@{DOMAIN}", f"sip:phone{number}@{address.host}:{address.port}"
        flow = FlowKey("phones", Transport.UDP, address)
        token = f"token{number}"
        store.save(Binding(aor, contact, flow, 1e12, "r", 1, 1.0, None, "Phone", token, provider_expires_at=1e12))


def _found(kind: Callable[[Path], Any], grow: Callable[[Any], None]) -> Found:
    with tempfile.TemporaryDirectory() as directory:
        gateway = kind(Path(directory))
        gateway.run(inside.WARM_UP)
        spare_long_lived()
        grow(gateway)
        gc.collect()
        kib = resident_kib(os.getpid())
        us = median(gateway.run(10) for _ in range(TIMED // 10))
        gateway.profile = cProfile.Profile()
        gateway.run(COUNTED)
        return Found(us, vars(pstats.Stats(gateway.profile))["total_calls"] / COUNTED, kib)


def compare(what: str, measured: Callable[[int], Found], many: int, kib_target: float | None) -> None:
    """Print what many cost beside few."""
    rounds = []
    for number in range(ROUNDS):
        found = {count: fresh(measured, count) for count in ((FEW, many) if number % 2 == 0 else (many, FEW))}
        rounds.append((found[FEW], found[many]))
    ratio = median(large.us / small.us for small, large in rounds)
    few, lots = (median(pair[side].us for pair in rounds) for side in (0, 1))
    print(
        f"CPU of a call beside {FEW:,} and {many:,} {what}: {few:.0f}, {lots:.0f} us; "
        f"{ratio:.2f}x, {at_most(round(ratio, 2), FLAT)}"
    )
    small, large = rounds[0]
    ratio = large.functions / small.functions
    print(
        f"  its calls of functions: {small.functions:.0f}, {large.functions:.0f}; {ratio:.2f}x, {at_most(ratio, FLAT)}"
    )
    kib = median((large.kib - small.kib) / (many - FEW) for small, large in rounds)
    verdict = f", {at_most(kib, kib_target)}" if kib_target else ""
    print(f"  memory of each: {kib:.1f} KiB{verdict}", flush=True)


def main() -> None:
    """Print the table, or the two figures."""
    if "--count" in sys.argv:
        print("{:.0f} {:.0f}".format(*weigh()))
        return
    compare("calls that are up", beside_calls, CALLS, CALL_KIB)
    compare("bindings", beside_bindings, BINDINGS, None)


if __name__ == "__main__":
    main()
