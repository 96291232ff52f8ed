"""What being watched costs while 5,000 calls are up: `python -m bench.scrapes [quick]`.

sipp holds the calls (set up in the real way, over UDP, without media), and a caller beside it makes 100 short ones a
second, whose answers it times to a tenth of a millisecond.
Meanwhile nobody asks, or Prometheus does once a second, or people ask for 50 pages a second: they take turns, round by
round, and each round gives the p99 of the short calls' set-up with and without. The medians count, and so does the
spread of rounds in which nobody asks: the machine may be busy with other things. Those who ask are a process of their
own, behind the caller in line for its core: the time that they take to read is not the gateway's.

The price of a scrape, and of a page, is the CPU time of the gateway's process for many of them in a row, less what the
process takes meanwhile with nobody asking. The calls that are up send nothing.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import attrs

from bench.calls.cost import cpu_ms
from bench.calls.load import Load, Outcome, Parties, free_core
from bench.calls.programs import CORE, PROGRAMS, Place, running
from bench.calls.short import ShortCaller
from tests.support.calls.hosts import Hosts

CALLS = 5_000
SPARE = 100
"""More that are asked for, should a busy machine let some be refused."""
SET_UP_RATE = 100
SHORT_RATE = 100
"""Calls a second, of those that are measured."""
SECONDS = 10
"""Of a round."""
HOLD_SECONDS = 1_500
READERS_AT_ONCE = 5
"""Connections of those who ask; an odd number, so that each reader sees every page."""
IN_A_ROW = 200
PAGES = ("/", "/calls", "/providers", "/domains/bench.example")


@attrs.frozen
class Asking:
    """Somebody who asks for pages, so many times a second in all."""

    title: str
    paths: tuple[str, ...]
    a_second: float


NOBODY = Asking("nobody", (), 0)
SCRAPES = Asking("a scrape a second", ("/metrics",), 1)
READERS = Asking("50 pages a second", PAGES, 50)


class Watched:
    """A gateway with calls up, and its administration interface."""

    def __init__(self, hosts: Hosts, directory: Path, stack: ExitStack, calls: int = CALLS) -> None:
        self._admin = hosts.host(43)
        self._hosts, self._directory = hosts, directory
        place = Place(self._admin, f"{hosts.host(42)}:5060", directory)
        self.program = stack.enter_context(running(PROGRAMS["gateway"], place))
        holders = self._parties(44)
        load = Load(SET_UP_RATE, calls + SPARE, media=False, talk_ms=HOLD_SECONDS * 1000)
        stack.enter_context(holders._answerer(load, HOLD_SECONDS))
        stack.enter_context(holders._caller(f"{self._admin}:5060", load, HOLD_SECONDS))
        self.program.wait_until("the calls are up", lambda: self.calls >= calls, calls / SET_UP_RATE + 60)
        self._caller = ShortCaller(hosts.host(41), (self._admin, 5060))
        stack.callback(self._caller.close)
        time.sleep(35)  # the last transactions of their INVITEs are over by then

    @property
    def address(self) -> str:
        """Of the gateway, and of its administration interface."""
        return self._admin

    @property
    def calls(self) -> int:
        """Those that are up."""
        return int(json.loads(self.get("/api/counts"))["calls"])

    def get(self, path: str) -> bytes:
        """The body of a page."""
        connection = http.client.HTTPConnection(self._admin, 8080, timeout=10)
        try:
            return _fetch(connection, path)
        finally:
            connection.close()

    def short_calls(self, seconds: int = SECONDS) -> Outcome:
        """A round of calls that are measured."""
        return self._caller.run(SHORT_RATE, SHORT_RATE * seconds)

    @contextmanager
    def asked_by(self, asking: Asking) -> Iterator[None]:
        """While somebody asks. Raises RuntimeError where too few requests were answered for the pace."""
        if not asking.paths:
            yield
            return
        context = multiprocessing.get_context("fork")
        is_over, answered = context.Event(), context.Value("i", 0)
        process = context.Process(target=_ask, args=(self._admin, asking, is_over, answered))
        process.start()
        began = time.monotonic()
        try:
            yield
        finally:
            is_over.set()
            process.join()
        wanted = asking.a_second * (time.monotonic() - began)
        if answered.value < 0.95 * wanted - 1:
            raise RuntimeError(f"{asking.title}: {answered.value} answers of {wanted:.0f}")

    def price(self, path: str) -> tuple[float, float]:
        """CPU ms of one request in a row of them, and bytes of its answer."""
        pid, connection = self.program.process.pid, http.client.HTTPConnection(self._admin, 8080, timeout=10)
        before, began = cpu_ms(pid), time.monotonic()
        time.sleep(5)
        idle = (cpu_ms(pid) - before) / (time.monotonic() - began)
        before, began, size = cpu_ms(pid), time.monotonic(), 0
        for _ in range(IN_A_ROW):
            size = len(_fetch(connection, path))
        spent = cpu_ms(pid) - before - idle * (time.monotonic() - began)
        connection.close()
        return spent / IN_A_ROW, size

    def _parties(self, caller: int) -> Parties:
        directory = Path(tempfile.mkdtemp(dir=self._directory))
        return Parties(self._hosts.host(caller), self._hosts.host(42), directory, free_core(CORE))


def _ask(host: str, asking: Asking, is_over: Any, answered: Any) -> None:
    """Ask until it is over, on connections that stay open as those of Prometheus and browsers do."""
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.nice(1)
    else:
        os.sched_setparam(0, os.sched_param(os.sched_getparam(0).sched_priority - 1))
    readers = min(READERS_AT_ONCE, round(asking.a_second))
    threads = [
        threading.Thread(target=_read, args=(host, asking, n, readers, is_over, answered)) for n in range(readers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _read(host: str, asking: Asking, number: int, readers: int, is_over: Any, answered: Any) -> None:
    """One reader's part of it."""
    connection = http.client.HTTPConnection(host, 8080, timeout=10)
    began = time.monotonic()
    while not is_over.wait(max(began + number / asking.a_second - time.monotonic(), 0)):
        _fetch(connection, asking.paths[number % len(asking.paths)])
        number += readers
        with answered.get_lock():
            answered.value += 1
    connection.close()


def _fetch(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    with connection.getresponse() as response:
        body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status}")
    return body


def compare(watched: Watched, asking: Asking, rounds: int) -> str:
    """One line of the table: p50 and p99 with nobody asking, and with somebody."""
    found: dict[Asking, list[Outcome]] = {NOBODY: [], asking: []}
    for number in range(rounds):
        for one in (NOBODY, asking) if number % 2 == 0 else (asking, NOBODY):
            with watched.asked_by(one):
                outcome = watched.short_calls()
            if outcome.is_complete:
                found[one].append(outcome)
    pairs = [*zip(found[NOBODY], found[asking], strict=False)]
    if not pairs:
        return f"{asking.title:24} no round in which every call came through"
    changes = sorted(other.percentile(99) / alone.percentile(99) - 1 for alone, other in pairs)
    alone = sorted(outcome.percentile(99) for outcome in found[NOBODY])
    return (
        f"{asking.title:24} p50 {_median(found[NOBODY], 50):.1f} ms alone, {_median(found[asking], 50):.1f} ms; "
        f"p99 {_median(found[NOBODY], 99):.1f} ms alone ({alone[0]:.1f} to {alone[-1]:.1f} in {len(alone)} rounds), "
        f"{_median(found[asking], 99):.1f} ms: median change {100 * median(changes):+.0f} %"
    )


def _median(outcomes: list[Outcome], percent: float) -> float:
    return median(outcome.percentile(percent) for outcome in outcomes)


def main() -> None:
    """Print the table, line by line as it comes."""
    rounds = 2 if "quick" in sys.argv else 6
    hosts = Hosts.claim()
    os.sched_setaffinity(0, {free_core(CORE)})  # the gateway's core is the gateway's alone
    with tempfile.TemporaryDirectory(prefix="bench-scrapes-") as directory, ExitStack() as stack:
        watched = Watched(hosts, Path(directory), stack)
        print(f"{watched.calls} calls are up", flush=True)
        for path in ("/metrics", *PAGES):
            cost, size = watched.price(path)
            print(f"{path:24} {cost:.2f} ms of the process' CPU, {size / 1000:.0f} kB", flush=True)
        for asking in (SCRAPES, READERS):
            print(compare(watched, asking, rounds), flush=True)
        print(f"{watched.calls} calls are up still", flush=True)


if __name__ == "__main__":
    main()
