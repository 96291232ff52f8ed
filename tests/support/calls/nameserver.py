"""A DNS server of the test's own: twisted.names over a zone that the test writes (`twist dns`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.support.calls.hosts import is_bound
from tests.support.calls.processes import Program

SECONDS = 1
"""How long its answers are good for: nothing here waits for an old one."""


@attrs.frozen
class Server:
    """One server of a service: SRV records name it in order."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class Nameserver:
    """Knows one domain, whose one service is at these servers, the first of them before the next."""

    def __init__(self, at: Server, domain: str, service: str, servers: Sequence[Server], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.at = at
        zone = directory / "zone.py"
        zone.write_text(_zone(domain, service, servers))
        argv = [str(Path(sys.executable).with_name("twist")), "dns", "--pyzone", str(zone)]
        argv += ["--interface", at.address, "--port", str(at.port)]
        self.program = Program(argv, directory / "dns.log", cwd=directory)
        self.program.wait_until("answering", lambda: is_bound(at.address, at.port), 15)

    def stop(self) -> None:
        self.program.stop()


def _zone(domain: str, service: str, servers: Sequence[Server]) -> str:
    times = f"refresh=60, retry=60, expire=60, minimum={SECONDS}, ttl={SECONDS}"
    records = [f"SOA({domain!r}, mname='ns.{domain}', rname='nobody.{domain}', serial=1, {times})"]
    for number, server in enumerate(servers, 1):
        records.append(f"SRV('{service}.{domain}', {number}, 1, {server.port}, 's{number}.{domain}', ttl={SECONDS})")
        records.append(f"A('s{number}.{domain}', {server.address!r}, ttl={SECONDS})")
    return "zone = [\n" + ",\n".join(records) + "\n]\n"
