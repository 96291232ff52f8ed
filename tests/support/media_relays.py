"""Relays as processes of their own, for tests: our worker, and Debian's rtpengine, asked over the same NG protocol."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.browser_flags import BrowserOffers
from gateway.media.relay import JSON, UNKNOWN_SOURCE, Encryption, SdpSource, SdpWish
from gateway.sdp.crypto import SUITE_NAMES

ROOT = Path(__file__).resolve().parents[2]
STARTING_SECONDS = 10.0

_hosts = count(1)


def own_address() -> str:
    """A loopback address that no other test run uses at the same time."""
    pid, number = os.getpid(), next(_hosts)
    return f"127.{64 + pid // 250 % 128}.{pid % 250 + 1}.{number % 250 + 1}"


class NgError(Exception):
    """The relay's reply was an error."""


@attrs.define
class Ng:
    """Asks a relay and waits. `address` is where its media ports are."""

    name: str
    address: str
    own: socket.socket
    target: Any
    process: subprocess.Popen[bytes]
    _number: int = 0
    _browsers: BrowserOffers = attrs.field(factory=BrowserOffers)

    def send(self, datagram: bytes) -> None:
        self.own.sendto(datagram, self.target)

    def receive(self) -> bytes:
        data: bytes = self.own.recv(262_144)
        return data

    def request(self, command: Mapping[str, JSON], cookie: str | None = None) -> dict[str, JSON]:
        """The reply; raises NgError."""
        self._number += 1
        name = (cookie or f"t{self._number}").encode()
        self.send(name + b" " + json.dumps(command).encode())
        while True:
            echoed, _, body = self.receive().partition(b" ")
            if echoed == name:
                break
        reply: dict[str, JSON] = json.loads(body)
        if reply["result"] == "error":
            raise NgError(str(reply["error-reason"]))
        return reply

    def offer(
        self,
        call: str,
        sdp: bytes,
        encryption: Encryption,
        *,
        suites: tuple[str, ...] = SUITE_NAMES,
        side: Side = Side.PROVIDER,
        from_tag: str = "caller",
        to_tag: str | None = None,
        takes_clear: bool = False,
        is_repeated: bool = False,
        fork: int = 0,
        source: SdpSource = UNKNOWN_SOURCE,
        kind: type[SdpWish] = SdpWish,
    ) -> bytes:
        wish = kind(side, encryption, suites, takes_clear, is_repeated=is_repeated, fork=fork)
        return self._rewritten(call, ng_commands.offer(call, from_tag, to_tag, sdp, wish, source))

    def answer(
        self,
        call: str,
        sdp: bytes,
        from_tag: str = "caller",
        to_tag: str = "callee",
        source: SdpSource = UNKNOWN_SOURCE,
    ) -> bytes:
        return self._rewritten(call, ng_commands.answer(call, from_tag, to_tag, sdp, source))

    def _rewritten(self, call: str, asked: dict[str, JSON]) -> bytes:
        """The SDP in the reply; an rtpengine is asked with the flags that a node gives it for browsers."""
        shaped = self._browsers.shaped(call, asked, is_held=False) if self.name == "rtpengine" else asked
        return _sdp(self.request(shaped))

    def delete(self, call: str) -> dict[str, JSON]:
        return self.request(ng_commands.delete(call))

    def query(self, call: str) -> dict[str, JSON]:
        return self.request({"command": "query", "call-id": call})

    def stream(self, call: str, tag: str, index: int = 0) -> dict[str, JSON]:
        """What `query` says of the RTP (0) or RTCP (1) of a party's first media."""
        found: Any = self.query(call)["tags"]
        for key in (tag, "medias", 0, "streams", index):
            found = found[key]
        assert isinstance(found, dict)
        return found

    def ports_used(self) -> int:
        found: Any = self.request({"command": "statistics"})["statistics"]
        for key in ("interfaces", 0, "ports", "used"):
            found = found[key]
        assert isinstance(found, int)
        return found


@contextmanager
def worker(
    directory: Path, *options: str, ports: str = "31000-31999", interfaces: tuple[str, ...] = ()
) -> Iterator[Ng]:
    """Our worker process; ports are used again at once unless `options` say otherwise."""
    address, path = own_address(), directory / "w.sock"
    command = [sys.executable, "-m", "gateway.media.worker", f"--socket={path}"]
    command += [f"--interface={interface}" for interface in interfaces or (address,)]
    process = subprocess.Popen([*command, f"--ports={ports}", "--quarantine=0", "--idle=0", *options], cwd=ROOT)
    own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    own.bind(str(directory / "c.sock"))
    with _running(Ng("worker", address, own, str(path), process)) as ng:
        yield ng


@contextmanager
def others(worker: Ng, target: tuple[str, int]) -> Iterator[Ng]:
    """Asks the worker where it answers others than the gateway."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((target[0], 0))
        own.settimeout(3.0)
        yield attrs.evolve(worker, name="others", own=own, target=target)


@contextmanager
def rtpengine(directory: Path, interfaces: tuple[str, ...] = ()) -> Iterator[Ng]:
    """Debian's rtpengine in userspace."""
    if shutil.which("rtpengine") is None:
        pytest.fail("rtpengine is not installed: apt-get install rtpengine-daemon")
    address = own_address()
    options = [f"--interface={interface}" for interface in interfaces or (address,)]
    options += ["--table=-1", "--config-file=none", f"--listen-ng={address}:22222"]
    options += ["--foreground", "--log-stderr", "--log-level=4", "-m", "31000", "-M", "31999", "--num-threads=1"]
    process = subprocess.Popen(
        ["rtpengine", *options, f"--pidfile={directory}/pid"], stderr=(directory / "log").open("wb")
    )
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind((address, 0))
    with _running(Ng("rtpengine", address, own, (address, 22222), process)) as ng:
        yield ng


@contextmanager
def _running(ng: Ng) -> Iterator[Ng]:
    try:
        _await_answer(ng)
        ng.own.settimeout(3.0)
        yield ng
    finally:
        ng.own.close()
        ng.process.kill()
        ng.process.wait()


def _await_answer(ng: Ng) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    ng.own.settimeout(0.05)
    while time.monotonic() < deadline:
        try:
            ng.request({"command": "ping"})
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"{ng.name} did not start")


def _sdp(reply: dict[str, JSON]) -> bytes:
    return str(reply["sdp"]).encode()
