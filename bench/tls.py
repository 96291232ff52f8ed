"""What TLS costs the gateway beside Kamailio's tls module: `python -m bench.tls [connections]`.

Phones connect over TLS 1.3 (a full handshake each: a client that never resumes, while both servers would let it), send
one REGISTER, which is answered 200 and remembered, and stay. Then they send, in turns,
- OPTIONS for the server itself, answered 200 by both without a transaction,
- the REGISTER again. Kamailio answers without a transaction too and keeps it in memory; the gateway makes one, and also
  writes to its file.

CPU is the user and system time of all processes of the server, on a core of its own, the two in turns; the median of
the rounds' ratios counts. The gateway forwards the first REGISTER to its provider, played here by a few lines, which is
in none of these figures.

Memory is what all processes of the server grew by, without mapped files. Phones come in batches of the same size, and
what one leaves behind for a while is there for the next; so the last batch shows what one phone more costs. All
together also filled the gateway's caches, which are bounded.

bench/tls_idle.py measures the transport layer alone, beside bare Twisted.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from threading import Thread

import attrs

from bench.calls.cost import cpu_ms, resident_kib
from bench.calls.load import DOMAIN
from bench.calls.programs import TLS_PROGRAMS, Place, is_here, running
from bench.judging import at_most
from gateway.demo import devcerts
from gateway.transport.sockets import raise_open_files
from tests.support.calls.hosts import Hosts

CONNECTIONS = 400
MESSAGES = 3000
ROUNDS = 3
BATCHES = 4
"""Of connections, to measure memory."""
TRANSIENT = 5.5
"""Seconds until a transaction with the provider is forgotten (timer K), and half a second."""
TARGETS = {"handshake": 1.1, "OPTIONS": 1.5, "REGISTER": 1.2}
IDLE_KIB = 30
REQUEST = """{method} sip:{domain} SIP/2.0
Via: SIP/2.0/TLS 127.0.0.1:49152;branch=z9hG4bK-{number}-{turn};rport;alias
Max-Forwards: 70
From: "Phone {number}" <sip:{number}@{domain}>;tag=a1b2c3
To: <sip:{number}@{domain}>
Call-ID: {number}-{method}-0123456789abcdef@127.0.0.1
CSeq: {turn} {method}
Contact: <sip:{number}@127.0.0.1:49152;transport=tls>;expires=3600
User-Agent: Phone/1.0
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, REFER, UPDATE
Content-Length: 0

"""
_COPIED = re.compile(rb"\r\n((?:Via|From|To|Call-ID|CSeq|Contact):[^\r]*)")

Costs = dict[str, float]
"""CPU ms of one handshake, and of one message of each method with its answer."""


@attrs.frozen
class Memory:
    """KiB a connection with its phone registered."""

    all: float
    last: float
    """Of the last batch alone."""


class Provider(Thread):
    """Answers every request 200."""

    def __init__(self, host: str) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 5060))

    def run(self) -> None:
        """Until the process ends."""
        while True:
            data, peer = self._socket.recvfrom(65535)
            lines = [line + b";tag=p" if line.startswith(b"To:") else line for line in _COPIED.findall(data)]
            answer = b"\r\n".join([b"SIP/2.0 200 OK", *lines, b"Expires: 3600", b"Content-Length: 0", b"", b""])
            self._socket.sendto(answer, peer)


@attrs.define
class Phones:
    """Phones that stay connected to a server."""

    place: Place
    pid: int
    streams: list[ssl.SSLSocket] = attrs.field(factory=list)
    _turn: int = 1

    def connect(self, count: int) -> float:
        """The CPU ms that a handshake takes the server."""
        context = ssl.create_default_context(cafile=str(self.place.certificates / "ca.pem"))
        before = cpu_ms(self.pid)
        streams = [socket.create_connection((self.place.address, 5061), timeout=10) for _ in range(count)]
        for stream in streams:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.streams += [context.wrap_socket(stream, server_hostname="gateway.example.com") for stream in streams]
        time.sleep(0.3)
        return (cpu_ms(self.pid) - before) / count

    def register(self, first: int) -> None:
        """All from that one on, for the first time."""
        for number in range(first, len(self.streams)):
            self._exchange("REGISTER", number, 1)

    def talk(self, method: str) -> float:
        """The CPU ms that a message takes the server; all phones in turns."""
        before = cpu_ms(self.pid)
        for _ in range(MESSAGES):
            self._turn += 1
            self._exchange(method, self._turn % len(self.streams), self._turn)
        return (cpu_ms(self.pid) - before) / MESSAGES

    def close(self) -> None:
        """Hang up."""
        for stream in self.streams:
            stream.close()

    def _exchange(self, method: str, number: int, turn: int) -> None:
        text = REQUEST.format(method=method, number=number, turn=turn, domain=DOMAIN)
        stream = self.streams[number]
        stream.sendall(text.replace("\n", "\r\n").encode())
        answer = stream.recv(65536)
        assert answer.startswith(b"SIP/2.0 200 "), answer


def costs(phones: Phones, count: int) -> Costs:
    """CPU time."""
    _warm_up(phones)
    handshake = phones.connect(count)
    phones.register(50)
    time.sleep(TRANSIENT)
    return {"handshake": handshake, "OPTIONS": phones.talk("OPTIONS"), "REGISTER": phones.talk("REGISTER")}


def memory(phones: Phones, count: int) -> Memory:
    """KiB of memory."""
    _warm_up(phones)
    time.sleep(TRANSIENT)
    sizes = [resident_kib(phones.pid)]
    for _ in range(BATCHES):
        known = len(phones.streams)
        phones.connect(count)
        phones.register(known)
        time.sleep(TRANSIENT)
        sizes.append(resident_kib(phones.pid))
    return Memory((sizes[-1] - sizes[0]) / (BATCHES * count), (sizes[-1] - sizes[-2]) / count)


def _warm_up(phones: Phones) -> None:
    """What is done once, and what a server does the first time it does anything, is no phone's cost."""
    phones.connect(50)
    phones.register(0)
    time.sleep(1)


@attrs.define
class Servers:
    """Starts a server anew for each measurement."""

    hosts: Hosts
    directory: Path
    started: int = 0

    @contextmanager
    def phones_of(self, name: str) -> Iterator[Phones]:
        """Phones, none of them connected yet, of a server that runs meanwhile."""
        self.started += 1
        below = self.directory / f"{name}-{self.started}"
        below.mkdir()
        place = Place(self.hosts.host(44), f"{self.hosts.host(45)}:5060", below, self.directory)
        with running(TLS_PROGRAMS[name], place) as program:
            phones = Phones(place, program.process.pid)
            yield phones
            phones.close()


def main() -> None:
    """Print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS
    raise_open_files()
    hosts = Hosts.claim()
    Provider(hosts.host(45)).start()
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as directory:
        devcerts.make(Path(directory), datetime.now(tz=UTC))
        servers = Servers(hosts, Path(directory))
        names = [name for name in TLS_PROGRAMS if is_here(name)]
        if len(names) < len(TLS_PROGRAMS):
            print("Kamailio is not installed (Debian: kamailio, kamailio-tls-modules): without it")
        _print_costs([_round(servers, names, count) for _ in range(ROUNDS)], count)
        _print_memory(servers, names, count)


def _round(servers: Servers, names: list[str], count: int) -> dict[str, Costs]:
    """Of each server."""
    found = {}
    for name in names:
        with servers.phones_of(name) as phones:
            found[name] = costs(phones, count)
    return found


def _print_costs(rounds: list[dict[str, Costs]], count: int) -> None:
    print(
        f"{count} TLS connections, a REGISTER each; {MESSAGES} messages of each kind; medians of {len(rounds)} rounds"
    )
    for what, target in TARGETS.items():
        figures = ", ".join(f"{name} {median(one[name][what] for one in rounds):6.3f}" for name in rounds[0])
        verdict = ""
        if "kamailio" in rounds[0]:
            ratio = median(one["gateway"][what] / one["kamailio"][what] for one in rounds)
            verdict = f"; {ratio:4.2f}x, {at_most(round(ratio, 2), target)}"
        print(f"CPU ms, {what:9}  {figures}{verdict}", flush=True)


def _print_memory(servers: Servers, names: list[str], count: int) -> None:
    print(f"{BATCHES * count} TLS connections with their phones registered")
    found = {}
    for name in names:
        with servers.phones_of(name) as phones:
            found[name] = memory(phones, count)
    for words, key in ((f"all {BATCHES * count}", "all"), (f"the last {count}", "last")):
        figures = ", ".join(f"{name} {getattr(one, key):5.1f}" for name, one in found.items())
        print(f"KiB each, {words:13}  {figures}; {at_most(round(getattr(found['gateway'], key), 1), IDLE_KIB)}")


if __name__ == "__main__":
    main()
