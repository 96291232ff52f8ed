"""What anchoring media costs a call: the gateway and a media worker in one process, without a network.

    caller, answerer <--datagrams, SDP in them--> gateway --NG over UNIX datagrams--> the worker's commands, its ports

As bench/calls/inside.py, and the relay is real: its sockets are opened, bound, watched, kept silent and used again, and
each command is written, sent, read and answered. `python -m bench.calls.anchoring [calls]` prints microseconds of CPU a
call in the gateway, in each command of the worker and in its ticks; with --profile where they go. Against
bench/signalling.py's figure two processes' loops, their wake-ups and the kernel's UDP for SIP are missing.
"""

from __future__ import annotations

import cProfile
import gc
import os
import pstats
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import monotonic, thread_time_ns
from typing import Any, cast

from twisted.internet import reactor as installed_reactor

from bench.calls import inside
from bench.calls.load import DOMAIN, SDP
from gateway.app.administration.lulls import spare_long_lived
from gateway.base.json_codec import decode
from gateway.media.ng import BETWEEN
from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.loop import TICK_SECONDS, Loop, LoopClock
from gateway.media.worker.ng.commands import CallTimeouts, Commands
from gateway.media.worker.ng.listener import NgListener, bound
from gateway.media.worker.port_pool import PoolOptions
from gateway.media.worker.streams.endpoint import StreamServices
from gateway.media.worker.streams.fastpath import listen
from gateway.rtp.srtp import PacketBuffer

reactor: Any = installed_reactor

PORTS, QUARANTINE_SECONDS = 2_000, 0.5
"""So that all have their turn, and come back, while a run of seconds lasts."""
CALLS = 2_000
CHUNK = 50
"""Calls that one figure is of; the median counts: a neighbour's work must not count as ours."""
_TYPE, _, _BODY = SDP.replace("[len]", "0").replace("[local_ip]", "127.0.0.1").partition("\n\n")
BODY = _BODY.strip().replace("\n", "\r\n").encode() + b"\r\n"
HEAD = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Worker:
    """A media worker's commands and ports; packets are not relayed, since nobody sends any."""

    def __init__(self, directory: Path, ports: int = PORTS, address: str = "127.0.0.1") -> None:
        self._clock = LoopClock()
        self._loop = loop = Loop(self._clock, self.tick)
        options = PoolOptions("", 20_000, 20_000 + ports - 1, QUARANTINE_SECONDS)
        self._interfaces = Interfaces([f"phones/{address}", f"provider/{address}"], options, loop)
        self.commands = Commands(
            StreamServices(loop, self._clock, self._interfaces, PacketBuffer(), listen), CallTimeouts()
        )
        self.control = NgListener(bound(directory / "worker"), self.commands, loop)
        self.due = 0.0

    def receive(self) -> None:
        self._clock.now = monotonic()
        self.control.receive()
        self._work()

    def tick(self, now: float) -> None:
        self._interfaces.expire(now)
        self.commands.expire()
        self._work()

    def close(self) -> None:
        """Let go of the ports that no call has."""
        for one in self._interfaces:
            one.ports.close()

    def _work(self) -> None:
        while not self._loop.is_free:
            self._loop._jobs.popleft()()


class Anchoring(inside.Inside):
    """A gateway whose relay's node is a worker in here. `parts`: nanoseconds of CPU by what took them."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.parts: Counter[str] = Counter()
        self.worker_profile: cProfile.Profile | None = None
        self._worker = Worker(directory)
        self._here = bound(directory / "client")
        self._here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        self._waiting: list[str] = []
        pool = self._gateway.media.relay
        self._node = pool.nodes[0]
        self._node.is_up = True
        self._client = cast(Any, self._node.client)
        self._client.target = str(directory / "worker")
        self._client._port = self._client.transport = self
        self._client.gathers = True

    def write(self, datagram: bytes, target: str) -> None:
        """What the NG client sends, as if this were its transport."""
        self._here.sendto(datagram, target)
        self._waiting.append(" and ".join(map(_command, datagram.split(BETWEEN))))

    def call(self) -> None:
        """As without media, with an offer in the INVITE and an answer in the 200."""
        self.number += 1
        values = {"n": self.number, "domain": DOMAIN}
        invite = inside.INVITE.format(**values).replace("\n", "\r\n").encode()
        self.receive(self._phones, _with_body(invite), inside.CALLER)
        sent = self._take(inside.ANSWERER)
        assert b"\r\nm=audio 2" in sent, sent
        self._take(inside.CALLER)  # 100
        self._from_answerer(inside._answer(sent, "180 Ringing"))
        self._take(inside.CALLER)
        self._from_answerer(_with_body(inside._answer(sent, "200 OK")))
        answer = self._take(inside.CALLER)
        target, tag = inside._found(inside._CONTACT, answer), inside._found(inside._TAG, answer)
        within = {**values, "target": target.decode(), "tag": tag.decode()}
        self._from_caller(inside.WITHIN.format(method="ACK", cseq=1, **within))
        assert self._take(inside.ANSWERER).startswith(b"ACK ")
        self._from_caller(inside.WITHIN.format(method="BYE", cseq=2, **within))
        self._take(inside.CALLER)
        self._from_answerer(inside._answer(self._take(inside.ANSWERER), "200 OK"))

    def run(self, calls: int) -> float:
        """Microseconds a call in the gateway; `parts` has the rest."""
        self.parts.clear()
        cost = super().run(calls)
        assert len(self._worker.commands.calls) < 2, "every call but the last was deleted"
        return cost

    def figures(self, calls: int) -> dict[str, float]:
        """Microseconds a call, by what took them."""
        gateway = self.run(calls)
        parts = {f"{name} at the worker": spent / calls / 1000 for name, spent in self.parts.items()}
        return {"gateway": gateway, "worker": sum(parts.values()), **parts}

    def medians(self, calls: int) -> dict[str, float]:
        """As `figures`, of so many calls."""
        figures = [self.figures(CHUNK) for _ in range(calls // CHUNK)]
        names = sorted({name for figure in figures for name in figure})
        return {name: median(one.get(name, 0) for one in figures) for name in names}

    def receive(self, port: Any, data: bytes, peer: Any) -> None:
        """As without media; then the worker answers what it was asked."""
        super().receive(port, data, peer)
        for reply, source in self.answers():
            self._measured(lambda reply=reply, source=source: self._client.datagramReceived(reply, source))
        now = monotonic()
        if now > self._worker.due:
            self._worker.due = now + TICK_SECONDS
            self._work("ticks", lambda: self._worker.tick(now))

    def answers(self) -> Iterator[tuple[bytes, Any]]:
        """Have the worker answer all that it is asked: each answer, with its address."""
        while self._waiting:
            command = self._waiting.pop(0)
            self._work(command, self._worker.receive)
            yield self._here.recvfrom(2**18)

    def _measured(self, do: Any) -> None:
        if self.profile is not None:
            self.profile.enable()
        start = thread_time_ns()
        do()
        self.spent += thread_time_ns() - start
        if self.profile is not None:
            self.profile.disable()

    def _work(self, what: str, do: Any) -> None:
        gc.disable()  # a worker has no collector running
        if self.worker_profile is not None:
            self.worker_profile.enable()
        start = thread_time_ns()
        do()
        self.parts[what] += thread_time_ns() - start
        if self.worker_profile is not None:
            self.worker_profile.disable()
        gc.enable()


def _command(request: bytes) -> str:
    return str(decode(request.partition(b" ")[2]).get("command"))  # type: ignore[attr-defined]


def _with_body(message: bytes) -> bytes:
    return message.replace(b"Content-Length: 0\r\n\r\n", HEAD + BODY)


def costs(calls: int = CALLS) -> dict[str, float]:
    """Microseconds a call, by what took them: medians."""
    with tempfile.TemporaryDirectory() as directory:
        anchoring = Anchoring(Path(directory))
        anchoring.run(inside.WARM_UP)
        spare_long_lived()
        return anchoring.medians(calls)


def main() -> None:
    """Print the figures, and the profiles when asked."""
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    count = numbers[0] if numbers else CALLS
    with tempfile.TemporaryDirectory() as directory:
        anchoring = Anchoring(Path(directory))
        anchoring.run(inside.WARM_UP)
        spare_long_lived()
        print("us a call:", ", ".join(f"{name} {cost:.0f}" for name, cost in anchoring.medians(count).items()))
        if "--profile" in sys.argv:
            anchoring.profile, anchoring.worker_profile = cProfile.Profile(), cProfile.Profile()
            anchoring.run(count)
            for profile in (anchoring.profile, anchoring.worker_profile):
                pstats.Stats(profile).sort_stats(os.environ.get("SORT", "tottime")).print_stats(60)


if __name__ == "__main__":
    main()
