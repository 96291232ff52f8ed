"""The cost of a call's commands in a media worker: `python -m bench.calls.commands`.

    requests of a gateway --UNIX datagrams--> the worker's listener, its commands and ports --> replies

For each command of a call, offer, answer and delete, each in its own datagram, toward a provider in clear and with
SRTP: calls of functions and Python's own instructions, which no other load of the machine changes, and microseconds of
CPU (the median). With `--count` only both sums of both calls. The worker is anchoring.py's.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import monotonic, thread_time_ns
from types import FrameType
from typing import Any

import attrs

from bench.calls.anchoring import BODY, QUARANTINE_SECONDS, Worker
from gateway.base.json_codec import decode, encode
from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.relay import Encryption, SdpSource, SdpWish
from gateway.sdp.crypto import SUITE_NAMES, generate

WARM_UP, COUNTED, TIMED = 100, 40, 1_000
"""Calls."""
PORTS = 200
"""So that all have had a turn, and are bound, once the bench is warm."""
COMMANDS = ("offer", "answer", "delete")
KEY = f"a=crypto:{generate(SUITE_NAMES[0], 1, secrets.token_bytes)}\r\n".encode()
CLEAR = SdpWish(Side.PROVIDER, Encryption.NONE)
SECURE = SdpWish(Side.PROVIDER, Encryption.SAVP, SUITE_NAMES)


@attrs.define
class Cost:
    """Of one command, a call."""

    functions: float = 0.0
    instructions: float = 0.0
    microseconds: float = 0.0


class Asking:
    """Asks a worker in this process for the media of calls."""

    def __init__(self, directory: Path) -> None:
        self.worker = Worker(directory, PORTS, _own_address())
        self._target = str(directory / "worker")
        self._here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._here.bind(str(directory / "client"))
        self._number = 0

    def call(self, wish: SdpWish, do: Callable[[str, Callable[[], None]], None]) -> None:
        """Have `do` carry out each command of one call, by its name."""
        self._number += 1
        name, source = f"call-{self._number}@gateway", SdpSource("127.0.0.1")
        self._ask(ng_commands.offer(name, "a", None, BODY, wish, source), do)
        body = BODY
        if wish is SECURE:
            body = BODY.replace(b"RTP/AVP", b"RTP/SAVP") + KEY
        self._ask(ng_commands.answer(name, "a", "b", body, source), do)
        self._ask(ng_commands.delete(name), do)
        self.worker.tick(monotonic() + QUARANTINE_SECONDS)

    def _ask(self, fields: dict[str, Any], do: Callable[[str, Callable[[], None]], None]) -> None:
        self._here.sendto(b"%d-%s %s" % (self._number, fields["command"].encode(), encode(fields)), self._target)
        do(fields["command"], self.worker.receive)
        reply: Any = decode(self._here.recv(65_536).partition(b" ")[2])
        assert reply["result"] == "ok", reply


def _own_address() -> str:
    """A loopback address that no other run uses at the same time: ports are counted on."""
    pid = os.getpid()
    return f"127.{64 + pid // 250 % 128}.{pid % 250 + 1}.254"


def costs(wish: SdpWish) -> dict[str, Cost]:
    """Of each command."""
    with tempfile.TemporaryDirectory() as directory:
        asking = Asking(Path(directory))
        for _ in range(WARM_UP):
            asking.call(wish, _done)
        found = {name: Cost() for name in COMMANDS}
        for name, count in _functions(asking, wish):
            found[name].functions = count
        for name, count in _instructions(asking, wish):
            found[name].instructions = count
        for name, spent in _times(asking, wish):
            found[name].microseconds = spent
        asking.worker.close()
        return found


def _done(_name: str, receive: Callable[[], None]) -> None:
    receive()


def _functions(asking: Asking, wish: SdpWish) -> Iterator[tuple[str, float]]:
    profiles = {name: cProfile.Profile() for name in COMMANDS}
    for _ in range(COUNTED):
        asking.call(wish, lambda name, receive: profiles[name].runcall(receive))
    for name, profile in profiles.items():
        yield name, vars(pstats.Stats(profile))["total_calls"] / COUNTED
    if "--profile" in sys.argv:
        total = pstats.Stats(*profiles.values())
        total.sort_stats(os.environ.get("SORT", "ncalls")).print_stats(80)


def _instructions(asking: Asking, wish: SdpWish) -> Iterator[tuple[str, float]]:
    counted = dict.fromkeys(COMMANDS, 0)
    command = ""

    def step(frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted[command] += event == "opcode"
        return step

    def traced(name: str, receive: Callable[[], None]) -> None:
        nonlocal command
        command = name
        sys.settrace(step)
        receive()
        sys.settrace(None)

    for _ in range(COUNTED):
        asking.call(wish, traced)
    for name, count in counted.items():
        yield name, count / COUNTED


def _times(asking: Asking, wish: SdpWish) -> Iterator[tuple[str, float]]:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}

    def timed(name: str, receive: Callable[[], None]) -> None:
        start = thread_time_ns()
        receive()
        taken[name].append((thread_time_ns() - start) / 1000)

    for _ in range(0 if "--count" in sys.argv else TIMED):
        asking.call(wish, timed)
    for name, times in taken.items():
        yield name, median(times) if times else 0.0


def main() -> None:
    """Print the table, or the sums."""
    both = {"in clear": costs(CLEAR), "with SRTP": costs(SECURE)}
    if "--count" in sys.argv:
        for found in both.values():
            sums = [sum(getattr(one, name) for one in found.values()) for name in ("functions", "instructions")]
            print("{:.0f} {:.0f}".format(*sums))
        return
    print(f"{'':20} {'functions':>10} {'instructions':>12} {'us':>6}")
    for form, found in both.items():
        for name, one in found.items():
            print(f"{name + ' ' + form:20} {one.functions:10.0f} {one.instructions:12.0f} {one.microseconds:6.0f}")


if __name__ == "__main__":
    main()
