"""Sends the packets of calls through relays, with bench/media/load, which checks each one that comes back.

calls (relays.py) -> plan file: every packet to send, and what libsrtp says must come back -> load -> Run
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import attrs

from bench.media.relays import HERE, IS_REALTIME, LOAD_CORE, PHONE, PRIORITY, PROVIDER, Way, cpu_ns
from gateway.rtp.srtp import PacketBuffer, Sender
from gateway.sdp.crypto import SUITES

INTERVAL = 0.02
PAYLOAD = 160
FIRST_SEQUENCE = 1_000


@attrs.frozen
class Run:
    """What relays made of one load."""

    cpu: float
    """Microseconds a packet, of all processes that were watched."""
    sent: int
    received: int
    wrong: int
    p50: int
    p99: int
    """Added latency, microseconds."""

    @property
    def loss(self) -> float:
        return 1 - self.received / self.sent


def prepare() -> None:
    """Build the programs in C, and leave the relays' core alone."""
    subprocess.run(["make", "-s", "-C", str(HERE)], check=True)
    os.sched_setaffinity(0, {LOAD_CORE})


def drive(
    pids: Sequence[int],
    ways: Sequence[Way],
    seconds: float,
    shares: bool = False,
    meanwhile: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it has no state
) -> Run:
    """One load; `pids` are the relays' processes. If the load `shares` its core, it sleeps between packets.
    `meanwhile` is entered while packets are sent."""
    with tempfile.TemporaryDirectory() as directory:
        plan = Path(directory, "plan")
        _write(plan, ways, int(seconds / INTERVAL))
        before = sum(map(cpu_ns, pids))
        command = [*PRIORITY, "taskset", "-c", str(LOAD_CORE), str(HERE / "load"), str(plan)]
        command += ["share"] if shares or IS_REALTIME else []
        with meanwhile:
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        used = sum(map(cpu_ns, pids)) - before
    if not found["received"]:
        raise SystemExit("nothing came back; is another benchmark running?")
    cpu = used / 1_000 / found["received"]
    return Run(cpu, found["sent"], found["received"], found["wrong"], found["p50"], found["p99"])


def _write(path: Path, ways: Sequence[Way], packets: int) -> None:
    plain = [
        b"\x80\x00"
        + struct.pack("!HII", (FIRST_SEQUENCE + n) & 0xFFFF, n * PAYLOAD, 0x5EED)
        + bytes([n & 255]) * PAYLOAD
        for n in range(packets)
    ]
    buffer = PacketBuffer()
    addresses = (PHONE, PROVIDER)
    with path.open("wb") as file:
        file.write(struct.pack("=4I", len(ways), packets, int(INTERVAL * 1e6), FIRST_SEQUENCE))
        file.write(struct.pack("=2I", *(_number(host) for host, _ in addresses)))
        file.write(struct.pack("=2H", *(port for _, port in addresses)))
        for one in ways:
            sizes = [len(plain[0]) + _overhead(key) for key in (one.seal, one.expect)]
            relay = _number(one.address)
            file.write(struct.pack("=IHHIHHHH", relay, one.to, one.side, relay, one.back, *sizes, 0))
        for attribute in ("seal", "expect"):
            for one in ways:
                file.write(b"".join(_protected(plain, getattr(one, attribute), buffer)))


def _number(address: str) -> int:
    """As the C program has it."""
    number: int = struct.unpack("=I", socket.inet_aton(address))[0]
    return number


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
