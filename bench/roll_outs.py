"""Calls beside a roll-out to 5,000 phones: `chrt -f 10 python -m bench.roll_outs [quick]`.

A gateway with 5,000 phones that are registered over UDP; each answers an order with 200, from a process of its own. A
roll-out goes through them at the fastest pace, in waves of a thousand, and is paused and resumed in turns beside 150
calls a second: p99 of their set-up. Before, without calls: the CPU of the gateway for each phone that is asked.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Process
from pathlib import Path
from statistics import median
from typing import Any

from twisted.internet.task import Clock

from bench.calls.cost import cpu_ms
from bench.calls.load import DOMAIN, Load, Outcome, Parties, free_core
from bench.calls.programs import CORE, Place, gateway, running
from bench.calls.short import ShortCaller
from gateway.registrar.binding import Binding
from gateway.registrar.sqlite_store import SqliteStore, prepare_bindings
from gateway.transport.flow import Address, FlowKey, Transport
from tests.support.calls.hosts import Hosts
from tests.support.direct_database import DirectDatabase
from tests.support.faults.desk_phones import AGENTS

PHONES = 5_000
RATE = 150
SECONDS = 10
"""Of a round."""
DESKS, DESK_PORT = 200, 5062
"""Addresses that the phones share, 25 at each."""
MORE = """
[resync]
canary = 1000
wave = 1000
per_second = 50
idle_seconds = 0
attempts = 1
"""
_COPIED = re.compile(rb"^(?:Via|From|To|Call-ID|CSeq): .*\r\n", re.M)


def fill(state: Path, desks: list[str]) -> None:
    """Write the registrations, shared among the desks."""
    state.mkdir(mode=0o700)
    clock = Clock()
    database = DirectDatabase(state / "bindings.sqlite", prepare_bindings)
    store = SqliteStore(state / "bindings.sqlite", database, clock, time.time)
    until = time.time() + 86_400
    for number in range(PHONES):
        desk = desks[number % len(desks)]
        flow = FlowKey("phones", Transport.UDP, Address(desk, DESK_PORT), 0)
        user, agent = f"p{number:05}", AGENTS[number % len(AGENTS)]
        contact, instance = f"sip:{user}@{desk}:{DESK_PORT}", f"<urn:uuid:{number:08x}-0000-4000-8000-000000000000>"
        aor = f"sip:{user}@{DOMAIN}"
        store.save(Binding(aor, contact, flow, until, user, 1, 1.0, instance, agent, user, provider_expires_at=until))
    clock.advance(60)
    store.stop()


def serve(desks: list[str]) -> None:
    """Answer each order with 200, as all phones."""
    ears = select.epoll()
    by_number: dict[int, socket.socket] = {}
    for desk in desks:
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind((desk, DESK_PORT))
        by_number[ear.fileno()] = ear
        ears.register(ear, select.EPOLLIN)
    while True:
        for number, _ in ears.poll():
            data, source = by_number[number].recvfrom(65_535)
            if data.startswith(b"NOTIFY "):
                kept = b"".join(_COPIED.findall(data))
                answer = b"SIP/2.0 200 OK\r\n" + kept + b"Content-Length: 0\r\n\r\n"
                by_number[number].sendto(answer, source)


class Operator:
    """Orders of an operator."""

    def __init__(self, host: str) -> None:
        self._base = f"http://{host}:8080/api/v1/"

    def post(self, path: str, **change: object) -> Any:
        """The answer to an order."""
        data, kind = json.dumps(change).encode(), {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self._base + path, data, kind), timeout=60) as answer:
            return json.loads(answer.read())

    def asked(self) -> int:
        """How many phones have taken the order."""
        with urllib.request.urlopen(f"{self._base}rollouts/1?limit=0", timeout=60) as answer:
            return int(json.loads(answer.read())["states"].get("confirmed", 0))


def quiet(operator: Operator, pid: int) -> None:
    """Print the CPU of the gateway for a phone, without calls: beside the same time while the roll-out is paused."""
    spent: dict[bool, float] = {}
    before = operator.asked()
    for is_on in (False, True):
        if is_on:
            operator.post("rollouts/1/resume")
        began = cpu_ms(pid)
        time.sleep(SECONDS)
        spent[is_on] = cpu_ms(pid) - began
    operator.post("rollouts/1/pause")
    asked = operator.asked() - before
    print(f"| CPU for a phone, {asked} of them | {(spent[True] - spent[False]) / max(1, asked):.2f} ms |")


def compare(caller: ShortCaller, operator: Operator, rounds: int) -> None:
    """Print calls beside the roll-out, and calls while it is paused, in turns."""
    found: dict[bool, list[Outcome]] = {False: [], True: []}
    for number in range(rounds):
        for is_on in (False, True) if number % 2 == 0 else (True, False):
            if is_on:
                operator.post("rollouts/1/resume")
            found[is_on].append(caller.run(RATE, RATE * SECONDS))
            if is_on:
                operator.post("rollouts/1/pause")
    asked = operator.asked()
    for is_on, title in ((False, "it is paused"), (True, f"it asks 50 a second, {asked} in all")):
        p99 = [one.percentile(99) for one in found[is_on]]
        lost = sum(one.asked - one.complete for one in found[is_on])
        print(f"| set-up p99, {title} | {median(p99):.1f} ms ({min(p99):.1f} to {max(p99):.1f}), {lost} lost |")
    pairs = [mine.percentile(99) - other.percentile(99) for mine, other in zip(found[True], found[False], strict=True)]
    print(f"| added to p99, of pairs | {median(pairs):.1f} ms ({min(pairs):.1f} to {max(pairs):.1f}) |")


@contextmanager
def answering(desks: list[str]) -> Iterator[None]:
    """The phones while they answer."""
    process = Process(target=serve, args=(desks,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def main() -> None:
    """Print the table."""
    rounds = 1 if "quick" in sys.argv else 5
    hosts = Hosts.claim()
    os.sched_setaffinity(0, {free_core(CORE)})
    with tempfile.TemporaryDirectory(prefix="bench-roll-outs-") as name:
        directory = Path(name)
        address, answerer = hosts.host(43), hosts.host(42)
        desks = [hosts.host(50 + number) for number in range(DESKS)]
        fill(directory / "state", desks)
        (directory / "parties").mkdir()
        parties = Parties(hosts.host(41), answerer, directory / "parties", free_core(CORE))
        everybody = Load(RATE, 1_000_000, media=False)
        place = Place(address, f"{answerer}:5060", directory)
        with (
            answering(desks),
            parties._answerer(everybody, 3_600),
            running(lambda at: gateway(at, MORE), place) as program,
        ):
            caller, operator = ShortCaller(hosts.host(41), (address, 5060)), Operator(address)
            try:
                began = time.perf_counter()
                operator.post("resync", domain=DOMAIN)
                print(f"begun for {PHONES:,} phones in {time.perf_counter() - began:.1f} s")
                operator.post("rollouts/1/pause")
                caller.run(RATE, RATE * 3)
                quiet(operator, program.process.pid)
                compare(caller, operator, rounds)
            finally:
                caller.close()
    hosts.release()


if __name__ == "__main__":
    main()
