"""Calls beside a flood of wrong log-ins: `chrt -f 10 python -m bench.log_ins [quick]`.

A hundred tries a second, each of another name and from an address of its own, so that no limit of one name or source
ends them: only the bound on passwords that are hashed at once does. Rounds with the flood and without take turns, a
minute each; each gives the p99 of the set-up of 100 calls a second.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from bench.calls.load import Outcome, free_core
from bench.calls.programs import CORE
from bench.scrapes import SHORT_RATE, Watched
from tests.support.calls.hosts import Hosts

CALLS_UP = 100
TRIES = 100
"""A second."""
THREADS = 16


def _flood(host: str, is_over: Any, statuses: Any) -> None:
    threads = [threading.Thread(target=_try, args=(host, n, is_over, statuses)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _try(host: str, number: int, is_over: Any, statuses: Any) -> None:
    """One thread's part of the tries."""
    began, found = time.monotonic(), Counter[int]()
    while not is_over.wait(max(began + number / TRIES - time.monotonic(), 0)):
        found[_log_in(host, number)] += 1
        number += THREADS
    statuses.put(found)


def _log_in(host: str, number: int) -> int:
    """The status of one try."""
    source = f"127.77.{number // 250 % 250}.{number % 250 + 1}"
    connection = http.client.HTTPConnection(host, 8080, timeout=20, source_address=(source, 0))
    form = {"content-type": "application/x-www-form-urlencoded", "origin": f"http://{host}:8080"}
    try:
        body = urlencode({"name": f"user{number}", "password": "not the right one"})
        connection.request("POST", "/login", body, form)
        with connection.getresponse() as response:
            response.read()
            return response.status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def flood(host: str) -> Iterator[Counter[int]]:
    """While wrong log-ins come; counts the answers' statuses once it is over."""
    context, found = multiprocessing.get_context("fork"), Counter[int]()
    is_over, statuses = context.Event(), context.Queue()
    process = context.Process(target=_flood, args=(host, is_over, statuses))
    process.start()
    try:
        yield found
    finally:
        is_over.set()
        for _ in range(THREADS):
            found.update(statuses.get())
        process.join()


def _told(rounds: list[Outcome]) -> str:
    p99 = sorted(one.percentile(99) for one in rounds)
    p50 = median(one.percentile(50) for one in rounds)
    return f"p50 {p50:.1f} ms, p99 {median(p99):.1f} ms ({p99[0]:.1f} to {p99[-1]:.1f} in {len(p99)} rounds)"


def main() -> None:
    """Print both lines."""
    rounds, seconds = (2, 10) if "quick" in sys.argv else (4, 60)
    hosts = Hosts.claim()
    os.sched_setaffinity(0, {free_core(CORE)})
    alone, beside, answers = list[Outcome](), list[Outcome](), Counter[int]()
    with tempfile.TemporaryDirectory(prefix="bench-log-ins-") as directory, ExitStack() as stack:
        watched = Watched(hosts, Path(directory), stack, CALLS_UP)
        for _ in range(rounds):
            alone.append(watched.short_calls(seconds))
            with flood(watched.address) as found:
                beside.append(watched.short_calls(seconds))
            answers.update(found)
    print(f"{SHORT_RATE} calls a second alone: {_told(alone)}")
    print(f"beside {TRIES} wrong log-ins a second: {_told(beside)}; answers by status: {dict(answers)}")
    changes = sorted(two.percentile(99) / one.percentile(99) for one, two in zip(alone, beside, strict=True))
    print(f"change of p99 by pairs: {[round(one, 2) for one in changes]}, median {median(changes):.2f}")


if __name__ == "__main__":
    main()
