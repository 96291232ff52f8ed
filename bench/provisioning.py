"""Phones that fetch their files: `chrt -f 10 python -m bench.provisioning`

A gateway gives files over HTTPS, a handshake for each as after a power cut, phones proved by a token and by a
certificate in turns. Requests a second of one core by the CPU of the gateway, and the memory before and after; then the
time of one file, drawn.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection

from bench.calls.cost import cpu_ms
from bench.calls.programs import CORE
from bench.media.relays import resident
from tests.provisioning.support import PHONE, House, device
from tests.support.calls.hosts import Hosts
from tests.support.phone_files import NAME, YEALINK, PhoneFiles

ROUNDS = 4
REQUESTS = 1_000
DRAWN = 2_000


@contextmanager
def _served() -> Iterator[PhoneFiles]:
    hosts = Hosts.claim()
    files = PhoneFiles(hosts, Path(tempfile.mkdtemp(prefix="bench-")))
    try:
        files.begin()
        yield files
    finally:
        files.close()
        hosts.release()


def main() -> None:
    """Print the rows."""
    with _served() as files:
        process = files.rig.process
        assert process is not None
        os.sched_setaffinity(process.pid, {CORE})
        folder = files.url_of(files.get(f"/{YEALINK}.cfg", phone=files.phone(YEALINK)).text)
        plain = ssl.create_default_context(cafile=str(files.authority.file))
        proved = ssl.create_default_context(cafile=str(files.authority.file))
        proved.load_cert_chain(*files.phone(YEALINK))
        ways = (("token", plain, f"{folder}{YEALINK}.cfg"), ("certificate", proved, f"/{YEALINK}.cfg"))
        for way, context, path in ways:
            _fetch(files, context, path)
            for number in range(ROUNDS):
                before, began = cpu_ms(process.pid), time.monotonic()
                for _ in range(REQUESTS):
                    _fetch(files, context, path)
                cpu, took = cpu_ms(process.pid) - before, time.monotonic() - began
                told = f"{1000 * REQUESTS / cpu:.0f} a second of a core ({cpu / REQUESTS:.2f} ms each)"
                kib = resident(process.pid) // 1024
                print(f"{way}, round {number}: {told}, {REQUESTS / took:.0f}/s here, {kib} KiB")
    print(f"a file drawn: {1e6 * _drawn():.0f} us")


def _fetch(files: PhoneFiles, context: ssl.SSLContext, path: str) -> None:
    stream = create_connection((files.rig.hosts.gateway, files.https), 10)
    with context.wrap_socket(stream, server_hostname=NAME) as secure:
        secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := secure.recv(65_536):
            data += piece
    assert data.startswith(b"HTTP/1.1 200 "), data[:100]


def _drawn() -> float:
    house = House({PHONE: device("yealink", 2)})
    known = house.estate.find(PHONE)
    assert known is not None
    began = time.process_time()
    for _ in range(DRAWN):
        house.estate.drawn_own(known)
    return (time.process_time() - began) / DRAWN


if __name__ == "__main__":
    main()
