"""The relays under test as processes, each on one core, and the calls that they are asked for over NG.

Every relay gets the same calls: G.711, 20 ms, RTP from a phone and SRTP from a provider. The load generator
(drive.py) has the first core, a relay the last. On a busy machine, BENCH_REALTIME=1 in root's environment lets both go
before all other programs; a gathering worker then sleeps 0.1 ms and not the usual 0.15. Not here: packets.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import attrs

from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.relay import Encryption, SdpWish
from gateway.sdp.crypto import generate
from gateway.sdp.description import Description
from gateway.sdp.negotiation import crypto_lines

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RELAY, PHONE, PROVIDER = "127.0.77.1", ("127.0.77.2", 4000), ("127.0.77.3", 4000)
CORES = sorted(os.sched_getaffinity(0))
LOAD_CORE, RELAY_CORE = CORES[0], CORES[-1]
PORTS = (20_000, 39_999)
PLAIN = "RTP only"
START_SECONDS = 20.0
IS_REALTIME = "BENCH_REALTIME" in os.environ
PRIORITY = ["chrt", "--fifo", "5"] if IS_REALTIME else []


@attrs.frozen
class Way:
    """One direction of a call: where it is sent, where it comes back from, and the keys that change it between."""

    side: int
    to: int
    back: int
    seal: tuple[str, bytes] | None
    """Protects what is sent."""
    expect: tuple[str, bytes] | None
    """Protects what must come back."""
    address: str = RELAY


class Relay:
    """A relay process with that id, asked over NG from the socket `own`."""

    def __init__(self, pid: int, own: socket.socket, target: object) -> None:
        self.pid = pid
        self._own = own
        self._target = target
        self._number = 0
        self._await_answer()
        own.settimeout(5)

    def _await_answer(self) -> None:
        self._own.settimeout(0.1)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask({"command": "ping"})
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("the relay does not answer") from None
                time.sleep(0.05)
            else:
                return

    def ask(self, command: dict[str, object]) -> dict[str, object]:
        self._number += 1
        cookie = f"b{self._number}".encode()
        self._own.sendto(cookie + b" " + json.dumps(command).encode(), self._target)  # type: ignore[call-overload]
        while True:
            echoed, _, body = self._own.recv(262_144).partition(b" ")
            if echoed == cookie:
                reply: dict[str, object] = json.loads(body)
                if reply["result"] == "error":
                    raise SystemExit(f"the relay refused: {reply}")
                return reply

    def call(self, name: str, suite: str) -> list[Way]:
        """Set one up; its two directions."""
        encryption = Encryption.NONE if suite == PLAIN else Encryption.SAVP
        wish = SdpWish(Side.PROVIDER, encryption, (suite,))
        offer = self._sdp(dict(ng_commands.offer(name, "caller", None, _sdp(PHONE, "RTP/AVP"), wish)))
        media = offer.media[0]
        theirs = generate(suite, 1, os.urandom) if suite != PLAIN else None
        crypto = f"a=crypto:{theirs}\r\n" if theirs else ""
        answer = _sdp(PROVIDER, media.protocol, crypto)
        back = self._sdp(dict(ng_commands.answer(name, "caller", "callee", answer)))
        ours = crypto_lines(media)[0] if theirs else None
        address = offer.connection_of(media) or RELAY
        sealed = (suite, theirs.key) if theirs else None
        opened = (suite, ours.key) if ours else None
        return [
            Way(0, back.media[0].port, media.port, None, opened, address),
            Way(1, media.port, back.media[0].port, sealed, None, address),
        ]

    def delete(self, name: str) -> None:
        """End one."""
        self.ask(dict(ng_commands.delete(name)))

    def _sdp(self, command: dict[str, object]) -> Description:
        return Description.parse(str(self.ask(command)["sdp"]).encode())


Running: TypeAlias = AbstractContextManager[Relay]


@contextmanager
def worker(directory: Path, *options: str, core: int = RELAY_CORE, ports: tuple[int, int] = PORTS) -> Iterator[Relay]:
    """Ours; several want names and ports of their own."""
    path = directory / f"w{ports[0]}.sock"
    command = [sys.executable, "-m", "gateway.media.worker", f"--socket={path}", f"--address={RELAY}"]
    command += [f"--ports={ports[0]}-{ports[1]}", "--idle=0", "--quarantine=0", *options]
    with pinned(command, core) as process, asking(path, directory / f"c{ports[0]}.sock", process.pid) as relay:
        yield relay


@contextmanager
def asking(path: Path, own: Path, pid: int) -> Iterator[Relay]:
    """The worker that answers at `path`, or will."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.bind(str(own))
        yield Relay(pid, sender, str(path))


@contextmanager
def rtpengine(directory: Path) -> Iterator[Relay]:
    """Debian's, in userspace, with one thread for media."""
    command = ["rtpengine", "--table=-1", "--config-file=none", f"--interface={RELAY}", f"--listen-ng={RELAY}:22222"]
    command += ["--foreground", "--log-stderr", "--log-level=3", "--num-threads=1", "--media-num-threads=0"]
    command += ["--delete-delay=0"]
    command += ["-m", str(PORTS[0]), "-M", str(PORTS[1]), f"--pidfile={directory}/pid"]
    with pinned(command) as process, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((RELAY, 0))
        yield Relay(process.pid, own, (RELAY, 22222))


@contextmanager
def floor(calls: int) -> Iterator[int]:
    """The C loop that only moves packets; its process id."""
    words = [str(HERE / "floor"), RELAY, str(PORTS[0]), str(calls)]
    words += [PHONE[0], str(PHONE[1]), PROVIDER[0], str(PROVIDER[1])]
    with pinned(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


def floor_ways(calls: int) -> list[Way]:
    phones = range(PORTS[0], PORTS[0] + 4 * calls, 4)
    return [
        way for phone in phones for way in (Way(0, phone, phone + 2, None, None), Way(1, phone + 2, phone, None, None))
    ]


def cpu_ns(pid: int) -> int:
    """Nanoseconds that all threads of the process have run."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def pinned(command: list[str], core: int = RELAY_CORE, stdout: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The program, with all that it starts, on that core; killed at the end."""
    words = [*PRIORITY, "taskset", "-c", str(core), *command]
    with subprocess.Popen(words, cwd=ROOT, stdout=stdout, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _sdp(party: tuple[str, int], protocol: str, more: str = "") -> bytes:
    head = f"v=0\r\no=- 1 1 IN IP4 {party[0]}\r\ns=-\r\nc=IN IP4 {party[0]}\r\nt=0 0\r\n"
    return f"{head}m=audio {party[1]} {protocol} 0\r\n{more}".encode()
