"""What TLS costs the gateway beside Kamailio's tls module: `python -m bench.tls [connections]`.

Phones connect over TLS 1.3 (a full handshake each: a client that never resumes, while both servers would let it), send
one REGISTER, which is answered 200 and remembered, and stay. Then they send OPTIONS, answered 200, in turns. CPU is the
user and system time of all processes of the server, on a core of its own, the two in turns; the median of the rounds'
ratios counts. Memory is what all its processes grew by, what they share counted in parts. The gateway forwards REGISTER
to its provider, played here by a few lines; Kamailio answers by itself, so that figure is only for memory.

bench/tls_idle.py measures the transport layer alone, beside bare Twisted.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from threading import Thread

import attrs

from bench.calls.cost import cpu_ms, resident_kib
from bench.calls.load import DOMAIN
from bench.calls.programs import TLS_PROGRAMS, Place, running
from gateway import devcerts
from tests.support.calls.hosts import Hosts

CONNECTIONS = 400
MESSAGES = 6000
ROUNDS = 3
TARGETS = {"handshake": 1.1, "message": 1.0}
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


@attrs.frozen
class Figures:
    """What one server took."""

    handshake: float
    """CPU ms."""
    message: float
    """CPU ms of an OPTIONS and its answer."""
    idle_kib: float


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


def measure(name: str, place: Place, certificates: Path, count: int) -> Figures:
    """Start the server, connect, register, talk."""
    with running(TLS_PROGRAMS[name], place) as program:
        pid = program.process.pid
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        phones = _connected(context, place.address, 50)
        _register(phones, first=0)
        time.sleep(1)
        kib, before = resident_kib(pid), cpu_ms(pid)
        phones += _connected(context, place.address, count)
        time.sleep(0.3)
        handshake = (cpu_ms(pid) - before) / count
        _register(phones[50:], first=50)
        time.sleep(2)
        idle_kib = (resident_kib(pid) - kib) / count
        before = cpu_ms(pid)
        for turn in range(MESSAGES):
            _exchange(phones[turn % len(phones)], "OPTIONS", turn % len(phones), turn + 2)
        message = (cpu_ms(pid) - before) / MESSAGES
        for phone in phones:
            phone.close()
    return Figures(handshake, message, idle_kib)


def _connected(context: ssl.SSLContext, address: str, count: int) -> list[ssl.SSLSocket]:
    streams = [socket.create_connection((address, 5061), timeout=10) for _ in range(count)]
    for stream in streams:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [context.wrap_socket(stream, server_hostname="gateway.example.com") for stream in streams]


def _register(phones: Iterable[ssl.SSLSocket], first: int) -> None:
    for number, phone in enumerate(phones, first):
        _exchange(phone, "REGISTER", number, 1)


def _exchange(phone: ssl.SSLSocket, method: str, number: int, turn: int) -> None:
    text = REQUEST.format(method=method, number=number, turn=turn, domain=DOMAIN)
    phone.sendall(text.replace("\n", "\r\n").encode())
    answer = phone.recv(65536)
    assert answer.startswith(b"SIP/2.0 200 "), answer


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS
    hosts = Hosts.claim()
    Provider(hosts.host(45)).start()
    found: dict[str, list[Figures]] = {name: [] for name in TLS_PROGRAMS}
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as directory:
        certificates = Path(directory) / "certificates"
        devcerts.make(certificates, datetime.now(tz=UTC))
        for number in range(ROUNDS):
            for name, figures in found.items():
                below = Path(directory) / f"{name}-{number}"
                below.mkdir()
                place = Place(hosts.host(44), f"{hosts.host(45)}:5060", below, certificates)
                figures.append(measure(name, place, certificates, count))
    _print(found, count)


def _print(found: dict[str, list[Figures]], count: int) -> None:
    print(f"{count} TLS connections, a REGISTER each; {MESSAGES} OPTIONS; medians of {ROUNDS} rounds")
    for what in ("handshake", "message"):
        ours, theirs = ([getattr(each, what) for each in found[name]] for name in ("gateway", "kamailio"))
        ratio = median(one / other for one, other in zip(ours, theirs, strict=True))
        missed = "" if ratio <= TARGETS[what] else " MISSED"
        print(
            f"CPU ms a {what:10} gateway {median(ours):6.3f}, kamailio {median(theirs):6.3f}; "
            f"ratio {ratio:4.2f}, target {TARGETS[what]:.2f}{missed}"
        )
    ours, theirs = ([each.idle_kib for each in found[name]] for name in ("gateway", "kamailio"))
    missed = "" if median(ours) <= IDLE_KIB else " MISSED"
    print(
        f"KiB an idle phone    gateway {median(ours):6.1f}, kamailio {median(theirs):6.1f}; target {IDLE_KIB}{missed}"
    )


if __name__ == "__main__":
    main()
