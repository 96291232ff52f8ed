"""The report of the posture with a million calls: `chrt -f 10 python -m bench.assess [quick]`.

A gateway with a million calls of a month in its file, as the table itself lists and counts them, and 10,000 devices. A
report is asked for over HTTP, whole: gathered, judged, written. First in peace, then once a second beside 150 calls a
second; and the set-up of these calls, with nobody asking and with somebody, in turns.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from bench.calls.load import DOMAIN, Load, Outcome, Parties, free_core
from bench.calls.programs import CORE, PROGRAMS, Place, running
from bench.calls.short import ShortCaller
from gateway.state.devices.device_table import prepare_devices
from gateway.state.listing.call_table import INDEXES, prepare_calls
from tests.support.calls.hosts import Hosts

CALLS = 1_000_000
DEVICES = 10_000
MONTH = 30 * 86_400
RATE = 150
SECONDS = 10
"""Of a round."""
PAUSE = 1.0
PATH = "/api/v1/posture?since=30d"


def fill(state: Path) -> None:
    """Write the calls and the devices."""
    state.mkdir(mode=0o700)
    began = time.time() - MONTH
    with closing(sqlite3.connect(state / "calls.sqlite")) as calls:
        prepare_calls(calls)
        for name in (*INDEXES, "listed_id"):
            calls.execute(f"DROP INDEX {name}")  # which take most of the time to write row by row
        numbers = f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {CALLS - 1})"
        verdict = "CASE n % 4 WHEN 0 THEN 'CLEAR' WHEN 1 THEN 'REFUSED' ELSE 'ENCRYPTED' END"
        fields = f"SELECT 'c' || n, {began} + n * 2.592, '{DOMAIN}', 'main', {verdict}, 'CLEAR_PEER_NO_TLS' FROM n"
        calls.execute(f"INSERT INTO listed (id, started_at, domain, provider, verdict, reason) {numbers} {fields}")
        key = "3600, CAST(started_at AS INTEGER) / 3600 * 3600 AS hour, domain, provider, 'outbound', verdict, reason"
        calls.execute(f"INSERT INTO tally SELECT {key}, COUNT(*) FROM listed GROUP BY hour, domain, verdict")
        calls.commit()
        prepare_calls(calls)
    with closing(sqlite3.connect(state / "devices.sqlite")) as devices:
        prepare_devices(devices)
        rows = ((f"{number:012x}", began + number, f"SIP-T{number % 50}") for number in range(DEVICES))
        for key, at, model in rows:
            value = {"make": "Yealink", "model": model, "firmware": "96.86.0.100"}
            devices.execute("INSERT INTO kept VALUES (?, ?, ?)", (key, at, json.dumps(value)))
            devices.execute("INSERT INTO device VALUES (?, 'Yealink', ?)", (key, model))
        devices.commit()


class Reader:
    """Asks for reports, each over a connection of its own."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.took: list[float] = []
        """Seconds of each report."""

    def ask(self) -> None:
        """One report. Raises RuntimeError."""
        connection, began = http.client.HTTPConnection(self._host, 8080, timeout=30), time.perf_counter()
        with closing(connection):
            connection.request("GET", PATH)
            answer = connection.getresponse()
            body = answer.read()
        self.took.append(time.perf_counter() - began)
        counted = json.loads(body)["calls"]["window"] if answer.status == 200 else {}
        if sum(counted.values()) < 0.99 * CALLS:
            raise RuntimeError(f"{answer.status}: {counted}, {body[:200]!r}")

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While it asks once a second."""
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.wait(PAUSE):
                self.ask()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def line(self, title: str) -> str:
        """A row of the table."""
        took = [1000 * one for one in self.took]
        return f"| {title}, {len(took)} reports | {median(took):.0f} ms ({min(took):.0f} to {max(took):.0f}) |"


def compare(caller: ShortCaller, host: str, rounds: int) -> None:
    """Print reports beside calls, and calls beside reports, in turns."""
    found: dict[bool, list[Outcome]] = {False: [], True: []}
    reader = Reader(host)
    for number in range(rounds):
        for is_asked in (False, True) if number % 2 == 0 else (True, False):
            if is_asked:
                with reader.asking():
                    found[is_asked].append(caller.run(RATE, RATE * SECONDS))
            else:
                found[is_asked].append(caller.run(RATE, RATE * SECONDS))
    print(reader.line(f"beside {RATE} calls/s"))
    for is_asked, title in ((False, "nobody asks"), (True, "a report a second")):
        p99 = [one.percentile(99) for one in found[is_asked]]
        lost = sum(one.asked - one.complete for one in found[is_asked])
        print(f"| set-up p99, {title} | {median(p99):.1f} ms ({min(p99):.1f} to {max(p99):.1f}), {lost} lost |")
    pairs = zip(found[True], found[False], strict=True)
    print(f"| ratio of pairs | {median(mine.percentile(99) / other.percentile(99) for mine, other in pairs):.2f} |")


def main() -> None:
    """Print the table."""
    rounds = 1 if "quick" in sys.argv else 5
    hosts = Hosts.claim()
    os.sched_setaffinity(0, {free_core(CORE)})
    with tempfile.TemporaryDirectory(prefix="bench-assess-") as name:
        directory = Path(name)
        fill(directory / "state")
        address, answerer, calls = hosts.host(43), hosts.host(42), directory / "parties"
        calls.mkdir()
        parties = Parties(hosts.host(41), answerer, calls, free_core(CORE))
        everybody = Load(RATE, 1_000_000, media=False)
        place = Place(address, f"{answerer}:5060", directory)
        with parties._answerer(everybody, 600), running(PROGRAMS["gateway"], place):
            caller, reader = ShortCaller(hosts.host(41), (address, 5060)), Reader(address)
            with closing(caller):
                for _ in range(10):
                    reader.ask()
                print("| a report with a million calls | |\n|---|---|")
                print(reader.line("in peace"), flush=True)
                compare(caller, address, rounds)


if __name__ == "__main__":
    main()
