"""The price of the defence, in peace and under attack: `python -m bench.defence [quick] [checks|peace|banned|attack]`.

- the question that each datagram is asked, with nothing banned and with 100,000 bans, in this process;
- calls at 150/s with the defence and without it, in turns: CPU, and p99 of the set-up;
- banned packets at 100,000 a second: the share of a core, with a filter at the socket, without it, and with nftables;
- a flood of 20,000 packets a second of svmap, and of a scanner in disguise, while calls at 50/s go on: p99 of their
  set-up and how many came through, beside Kamailio with pike, in turns.

Gateway and Kamailio have one core, all others the rest. Everything happens in networks of the bench's own, since
loopback is never banned; the caller is on `never_ban`, and no exempt rule of pike's is needed for it. Wants root.
"""

from __future__ import annotations

import functools
import socket
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.calls.cost import cpu_ms
from bench.calls.load import Load, Outcome, Parties, free_core
from bench.calls.programs import CORE, ROOT, Place, Start, gateway, kamailio_pike, running
from bench.calls.short import ShortCaller
from gateway.transport.banned import Banned
from tests.support.attacks.networks import Networks
from tests.support.calls.processes import Program, find_program

GATEWAY, CALLER, ANSWERER, ATTACKER = "10.67.0.1", "10.67.0.41", "10.67.0.42", "10.67.0.66"
CALLS_RATE = 150
BESIDE_RATE = 50
"""Calls a second beside a flood."""
FLOOD_RATE = 20_000
BANNED_RATE = 100_000
BANS = 100_000
NONSENSE = 60
FILTER_ROOM = Path("/proc/sys/net/core/optmem_max")
"""Bytes for the filter of a socket, of this network alone since Linux 6.8: with few of them there is none."""
TCP = f'\n[[listener]]\nname = "tcp"\nside = "phones"\ntransport = "tcp"\naddress = "{GATEWAY}"\nport = 5060\n'
DEFENCE = TCP + '\n[defence]\nmode = "{mode}"\nnever_ban = ["{caller}"]\nban_by = "{by}"\n'


def check_ns(banned: Banned, host: str) -> float:
    """Nanoseconds of the question that a UDP socket asks for each datagram."""

    def ask() -> bool:
        return banned.is_on and banned.drops(host, "udp")

    def nothing() -> bool:
        return False

    count = 200_000
    empty = min(timeit.repeat(nothing, number=count, repeat=7))
    return 1e9 * (min(timeit.repeat(ask, number=count, repeat=7)) - empty) / count


def checks() -> None:
    """Print the price of the question."""
    peace, many = Banned(), Banned()
    for number in range(BANS):
        many.keep_out(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    for number in range(100):
        many.keep_out(f"2001:db8:{number:x}::/64")
    print("| the question of a datagram | ns |\n|---|---|")
    print(f"| nothing is banned | {check_ns(peace, '192.0.2.1'):.0f} |")
    print(f"| {BANS:,} bans, another address | {check_ns(many, '192.0.2.1'):.0f} |")
    print(f"| {BANS:,} bans, a banned one | {check_ns(many, '10.0.1.2'):.0f} |")
    print(f"| the same over IPv6, a banned one | {check_ns(many, '2001:db8:5::7'):.0f} |\n")


class Field:
    """The networks, and the parties in them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.networks = Networks(("gateway", "street"))
        self.networks.join("field0", {"gateway": [GATEWAY], "street": [CALLER, ANSWERER, ATTACKER]})
        self._runs = 0

    def fresh(self) -> Path:
        """A new directory."""
        self._runs += 1
        here = self._directory / str(self._runs)
        here.mkdir()
        return here

    @contextmanager
    def under_test(self, start: Start) -> Iterator[Program]:
        """A program, and the answering side."""
        place = Place(GATEWAY, f"{ANSWERER}:5060", self.fresh())
        parties = Parties(CALLER, ANSWERER, self.fresh(), free_core(CORE))
        everybody = Load(CALLS_RATE, 100_000, media=False)
        with (
            self.networks.inside("street"),
            parties._answerer(everybody, 300),
            self.networks.inside("gateway"),
            running(start, place) as program,
        ):
            yield program

    def calls(self, rate: int, seconds: int) -> Outcome:
        """Calls at a rate, timed."""
        with self.networks.inside("street"):
            caller = ShortCaller(CALLER, (GATEWAY, 5060))
        try:
            return caller.run(rate, rate * seconds)
        finally:
            caller.close()

    @contextmanager
    def flood(self, rate: int, seconds: float, kind: str) -> Iterator[Program]:
        """A flood, by a process on the other core."""
        argv = [find_program("taskset", "util-linux"), "-c", str(free_core(CORE)), sys.executable]
        words = ["-m", "bench.calls.flood", ATTACKER, GATEWAY, "5060", str(rate), str(seconds), kind]
        with self.networks.inside("street"):
            program = Program([*argv, *words], self.fresh() / "log", cwd=ROOT)
        with program:
            yield program


def defended(mode: str, by: str = "process") -> Start:
    """The gateway with its defence in a mode, which bans by the process or by nftables."""
    return functools.partial(gateway, more=DEFENCE.format(mode=mode, caller=CALLER, by=by))


def in_peace(field: Field, rounds: int, seconds: int) -> None:
    """Print calls with the defence and without, in turns."""
    found: dict[str, list[tuple[float, float, int]]] = {"off": [], "defend": []}
    for _ in range(rounds):
        for mode, rows in found.items():
            with field.under_test(defended(mode)) as program:
                field.calls(CALLS_RATE, 2)
                before = cpu_ms(program.process.pid)
                outcome = field.calls(CALLS_RATE, seconds)
                spent = cpu_ms(program.process.pid) - before
                rows.append((spent / outcome.asked, outcome.percentile(99), outcome.asked - outcome.complete))
    print(f"| calls at {CALLS_RATE}/s | CPU a call, ms | set-up p99, ms | lost |\n|---|---|---|---|")
    for mode, rows in found.items():
        cpu, p99, lost = zip(*rows, strict=True)
        print(f"| {mode} | {spread(cpu)} | {spread(p99)} | {sum(lost)} |")
    pairs = list(zip(found["defend"], found["off"], strict=True))
    ratios = [spread([mine[place] / theirs[place] for mine, theirs in pairs]) for place in (0, 1)]
    print(f"| ratio of pairs | {' | '.join(ratios)} | |\n")


def banned_packets(field: Field, seconds: int) -> None:
    """Print the share of a core that packets of a banned source take, dropped by the process and by the kernel."""
    with field.networks.inside("gateway"):
        subprocess.run(
            [find_program("nft", "nftables"), "-f", str(ROOT / "deploy" / "gateway.nft")], check=True, timeout=10
        )
    print("| banned packets | share of a core |\n|---|---|")
    ways = {"the process alone": "process", "a filter at the socket": "process", "nftables": "nftables"}
    for way, by in ways.items():
        with field.networks.inside("gateway"):
            FILTER_ROOM.write_text("100" if way == "the process alone" else "131072")
        with field.under_test(defended("defend", by)) as program:
            with field.networks.inside("street"):
                provoke()
            time.sleep(3)
            before, began = cpu_ms(program.process.pid), time.monotonic()
            with field.flood(BANNED_RATE, seconds, "scan") as flood:
                flood.wait_ended(seconds + 10)
            spent = (cpu_ms(program.process.pid) - before) / 10 / (time.monotonic() - began)
            print(f"| {flood.text().strip()}/s, dropped by {way} | {spent:.1f} % |", flush=True)
    print()


def under_attack(field: Field, rounds: int, seconds: int) -> None:
    """Print calls beside floods, in turns."""
    programs: dict[str, Start] = {"gateway": defended("defend"), "Kamailio with pike": kamailio_pike}
    kinds = {"": "none", "scan": "svmap", "phone": "in disguise"}
    found: dict[tuple[str, str], list[Outcome]] = {(name, kind): [] for kind in kinds for name in programs}
    paces: list[float] = []
    for _ in range(rounds):
        for name, kind in found:
            with field.under_test(programs[name]):
                field.calls(BESIDE_RATE, 1)
                found[name, kind].append(beside(field, kind, seconds, paces))
    print(f"| set-up p99 of {BESIDE_RATE} calls/s, ms (lost) | " + " | ".join(programs) + " |\n|---|---|---|")
    for kind, title in kinds.items():
        print(f"| flood: {title} | " + " | ".join(_cell(found[name, kind]) for name in programs) + " |")
    print(f"\nThe floods had {spread(paces, '.0f')} packets a second.")


def _cell(outcomes: list[Outcome]) -> str:
    lost = sum(one.asked - one.complete for one in outcomes)
    return f"{spread([one.percentile(99) for one in outcomes])} ({lost})"


def beside(field: Field, kind: str, seconds: int, paces: list[float]) -> Outcome:
    """Calls beside a flood of a kind; empty for none."""
    if not kind:
        return field.calls(BESIDE_RATE, seconds)
    with field.flood(FLOOD_RATE, seconds + 4, kind) as flood:
        time.sleep(1)
        outcome = field.calls(BESIDE_RATE, seconds)
        flood.wait_ended(15)
    paces.append(float(flood.text()))
    return outcome


def provoke() -> None:
    """Have the attacker banned: nonsense over TCP, whose handshake proves its address."""
    for _ in range(NONSENSE):
        with socket.create_connection((GATEWAY, 5060), timeout=2, source_address=(ATTACKER, 0)) as nonsense:
            nonsense.sendall(b"INVITE nonsense\r\nVia: x\r\n\r\n")
            try:
                nonsense.recv(1024)
            except OSError:
                return  # it is banned


def spread(figures: Sequence[float], form: str = ".2f") -> str:
    """The median, and the least and the most."""
    return f"{median(figures):{form}} ({min(figures):{form}} to {max(figures):{form}})"


def main(words: Sequence[str]) -> None:
    """Print everything, or the parts that are named."""
    rounds, seconds = (1, 3) if "quick" in words else (3, 10)
    named = [word for word in words if word != "quick"]
    if not named or "checks" in named:
        checks()
    with tempfile.TemporaryDirectory() as directory:
        field = Field(Path(directory))
        try:
            parts: dict[str, Callable[[], None]] = {
                "peace": lambda: in_peace(field, rounds, seconds),
                "banned": lambda: banned_packets(field, seconds),
                "attack": lambda: under_attack(field, rounds, seconds),
            }
            for name, part in parts.items():
                if not named or name in named:
                    part()
        finally:
            field.networks.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
