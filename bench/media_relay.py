"""CPU of a relayed packet: our worker, rtpengine in userspace, and a C loop that only moves packets, in one run.

    python -m bench.media_relay [--calls 400] [--seconds 4] [--rounds 3] [--suites ...] [--scale]

Every relay gets the same calls: G.711, 20 ms, RTP on one side and SRTP on the other, both directions.
bench/media/load sends them at their times from one core and compares every packet that comes back with what libsrtp
says it must be; the relay has the other core. Compared are medians over the rounds of the ratios within a round, so
that a busy machine slows all of them alike. Wants two cores, gcc, and rtpengine (Debian: rtpengine-daemon).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from gateway.config import Side
from gateway.media import fields
from gateway.media.relay import Encryption, Terms
from gateway.rtp.srtp import PacketBuffer, Sender
from gateway.sdp.crypto import SUITES, generate
from gateway.sdp.description import Description
from gateway.sdp.negotiation import crypto_lines

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RELAY, PHONE, PROVIDER = "127.0.77.1", ("127.0.77.2", 4000), ("127.0.77.3", 4000)
LOAD_CORE, RELAY_CORE = 0, 1
INTERVAL = 0.02
PAYLOAD = 160
FIRST_SEQUENCE = 1_000
PORTS = (20_000, 39_999)
PLAIN = "RTP only"
FLOOR_TARGET, ENGINE_TARGET = 1.65, 0.85


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


@attrs.frozen
class Run:
    """What one relay made of one load."""

    cpu: float
    """Microseconds a packet."""
    sent: int
    received: int
    wrong: int
    p50: int
    p99: int
    memory: int
    """Resident bytes."""

    @property
    def loss(self) -> float:
        return 1 - self.received / self.sent


class Relay:
    """A relay process that is asked over NG."""

    def __init__(self, process: subprocess.Popen[bytes], own: socket.socket, target: object) -> None:
        self.process = process
        self._own = own
        self._target = target
        self._number = 0
        own.settimeout(0.1)
        for _ in range(100):
            try:
                self.ask({"command": "ping"})
                break
            except OSError:
                time.sleep(0.05)
        own.settimeout(5)

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
        terms = Terms(Side.PROVIDER, encryption, (suite,))
        offer = self._sdp(dict(fields.offer(name, "caller", None, _sdp(PHONE, "RTP/AVP"), terms)))
        media = offer.media[0]
        theirs = generate(suite, 1, os.urandom) if suite != PLAIN else None
        crypto = f"a=crypto:{theirs}\r\n" if theirs else ""
        answer = _sdp(PROVIDER, media.protocol, crypto)
        back = self._sdp(dict(fields.answer(name, "caller", "callee", answer)))
        ours = crypto_lines(media)[0] if theirs else None
        sealed = (suite, theirs.key) if theirs else None
        opened = (suite, ours.key) if ours else None
        return [
            Way(0, back.media[0].port, media.port, None, opened),
            Way(1, media.port, back.media[0].port, sealed, None),
        ]

    def _sdp(self, command: dict[str, object]) -> Description:
        return Description.parse(str(self.ask(command)["sdp"]).encode())


def main() -> None:
    options = _options()
    subprocess.run(["make", "-s", "-C", str(HERE / "media")], check=True)
    os.sched_setaffinity(0, {LOAD_CORE})
    if options.scale:
        _scale(options)
        return
    for suite in options.suites:
        _compare(suite, options)


def _compare(suite: str, options: argparse.Namespace) -> None:
    rounds = [
        {name: measure(name, suite, options.calls, options.seconds) for name in ("floor", "worker", "rtpengine")}
        for _ in range(options.rounds)
    ]
    print(f"\n{suite}, {options.calls} calls, {options.rounds} rounds of {options.seconds} s")
    print("                 us/packet  of floor  of rtpengine   p50 us   p99 us     lost  wrong   KiB a call")
    empty = {name: memory(name) for name in ("worker", "rtpengine")}
    for name in ("floor", "rtpengine", "worker"):
        runs = [one[name] for one in rounds]
        ratios = [
            statistics.median(one[name].cpu / one[other].cpu for one in rounds) for other in ("floor", "rtpengine")
        ]
        kib = (max(run.memory for run in runs) - empty[name]) / options.calls / 1024 if name in empty else 0
        print(
            f"{name:14} {_middle(run.cpu for run in runs):11.2f} {ratios[0]:8.2f}x {ratios[1]:11.2f}x"
            f" {_middle(run.p50 for run in runs):10.0f} {_middle(run.p99 for run in runs):8.0f}"
            f" {_middle(run.loss for run in runs):8.3%} {sum(run.wrong for run in runs):6} {kib:10.1f}"
        )
    of_floor = statistics.median(one["worker"].cpu / one["floor"].cpu for one in rounds)
    of_engine = statistics.median(one["worker"].cpu / one["rtpengine"].cpu for one in rounds)
    for label, found, target in (("floor", of_floor, FLOOR_TARGET), ("rtpengine", of_engine, ENGINE_TARGET)):
        print(f"  target {target}x of {label}: {'met' if found <= target else 'MISSED'} ({found:.2f}x)")


def _scale(options: argparse.Namespace) -> None:
    """Calls a core: the most with a median latency under 2 ms and less than 0.1 % lost."""
    print("relay        calls  us/packet   p50 us   p99 us     lost")
    for name in ("rtpengine", "worker"):
        for calls in range(400, 3_001, 200):
            run = measure(name, options.suites[0], calls, options.seconds)
            print(f"{name:12} {calls:5} {run.cpu:10.2f} {run.p50:8} {run.p99:8} {run.loss:8.3%}", flush=True)
            if run.loss > 0.001 or run.p50 > 2_000:
                break


def measure(name: str, suite: str, calls: int, seconds: float) -> Run:
    """One load through one relay."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        if name == "floor":
            process = stack.enter_context(_floor(calls))
            paths = [path for index in range(calls) for path in _floor_paths(index)]
        else:
            relay = stack.enter_context((_worker if name == "worker" else _rtpengine)(Path(directory)))
            process = relay.process
            paths = [path for index in range(calls) for path in relay.call(f"call-{index}", suite)]
        _write_plan(Path(directory, "plan"), paths, int(seconds / INTERVAL))
        before = _cpu(process.pid)
        command = ["taskset", "-c", str(LOAD_CORE), str(HERE / "media" / "load"), f"{directory}/plan"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        used = _cpu(process.pid) - before
        if not found["received"]:
            raise SystemExit(f"{name}: nothing came back; is another benchmark running?")
        cpu = used / 1_000 / max(found["received"], 1)
        return Run(
            cpu, found["sent"], found["received"], found["wrong"], found["p50"], found["p99"], _resident(process.pid)
        )


def memory(name: str) -> int:
    """Resident bytes without calls."""
    start = _worker if name == "worker" else _rtpengine
    with tempfile.TemporaryDirectory() as directory, start(Path(directory)) as relay:
        return _resident(relay.process.pid)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _worker(directory: Path) -> Iterator[Relay]:
    path = directory / "w.sock"
    command = [sys.executable, "-m", "gateway.media.worker", f"--socket={path}", f"--address={RELAY}"]
    command += [f"--ports={PORTS[0]}-{PORTS[1]}", "--idle=0", "--quarantine=0"]
    with _ended(_pinned(command)) as process, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(directory / "c.sock"))
        yield Relay(process, own, str(path))


@contextmanager
def _rtpengine(directory: Path) -> Iterator[Relay]:
    command = ["rtpengine", "--table=-1", "--config-file=none", f"--interface={RELAY}", f"--listen-ng={RELAY}:22222"]
    command += ["--foreground", "--log-stderr", "--log-level=3", "--num-threads=1", "--media-num-threads=0"]
    command += ["-m", str(PORTS[0]), "-M", str(PORTS[1]), f"--pidfile={directory}/pid"]
    with _ended(_pinned(command)) as process, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((RELAY, 0))
        yield Relay(process, own, (RELAY, 22222))


@contextmanager
def _floor(calls: int) -> Iterator[subprocess.Popen[bytes]]:
    words = [str(HERE / "media" / "floor"), RELAY, str(PORTS[0]), str(calls)]
    words += [PHONE[0], str(PHONE[1]), PROVIDER[0], str(PROVIDER[1])]
    with _ended(_pinned(words, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def _floor_paths(index: int) -> list[Way]:
    phone = PORTS[0] + 4 * index
    return [Way(0, phone, phone + 2, None, None), Way(1, phone + 2, phone, None, None)]


def _pinned(command: list[str], stdout: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["taskset", "-c", str(RELAY_CORE), *command], cwd=ROOT, stdout=stdout, stderr=subprocess.DEVNULL
    )


def _write_plan(path: Path, paths: list[Way], packets: int) -> None:
    plain = [
        b"\x80\x00"
        + struct.pack("!HII", (FIRST_SEQUENCE + n) & 0xFFFF, n * PAYLOAD, 0x5EED)
        + bytes([n & 255]) * PAYLOAD
        for n in range(packets)
    ]
    buffer = PacketBuffer()
    addresses = (PHONE, PROVIDER)
    relay = struct.unpack("=I", socket.inet_aton(RELAY))[0]
    with path.open("wb") as file:
        file.write(struct.pack("=4I", len(paths), packets, int(INTERVAL * 1e6), FIRST_SEQUENCE))
        file.write(struct.pack("=2I", *(struct.unpack("=I", socket.inet_aton(host))[0] for host, _ in addresses)))
        file.write(struct.pack("=2H", *(port for _, port in addresses)))
        for one in paths:
            sizes = [len(plain[0]) + _overhead(key) for key in (one.seal, one.expect)]
            file.write(struct.pack("=IHHIHHHH", relay, one.to, one.side, relay, one.back, *sizes, 0))
        for attribute in ("seal", "expect"):
            for one in paths:
                file.write(b"".join(_protected(plain, getattr(one, attribute), buffer)))


def _protected(packets: list[bytes], key: tuple[str, bytes] | None, buffer: PacketBuffer) -> Iterator[bytes]:
    if key is None:
        yield from packets
        return
    sender = Sender(*key, buffer)
    for packet in packets:
        buffer.memory[: len(packet)] = packet
        yield bytes(buffer.slices[sender.protect(len(packet))])


def _overhead(key: tuple[str, bytes] | None) -> int:
    return next(suite.tag_bytes for suite in SUITES if suite.name == key[0]) if key else 0


def _sdp(party: tuple[str, int], protocol: str, more: str = "") -> bytes:
    head = f"v=0\r\no=- 1 1 IN IP4 {party[0]}\r\ns=-\r\nc=IN IP4 {party[0]}\r\nt=0 0\r\n"
    return f"{head}m=audio {party[1]} {protocol} 0\r\n{more}".encode()


def _cpu(pid: int) -> int:
    """Nanoseconds that all threads of the process have run."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _middle(values: Iterator[float]) -> float:
    return statistics.median(values)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--suites", nargs="+", default=["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"])
    parser.add_argument("--scale", action="store_true", help="how many calls a core carries")
    return parser.parse_args()


if __name__ == "__main__":
    main()
