"""The programs under test: each takes SIP over UDP on port 5060 of its address and sends calls on to `next_hop`.

Each runs on one core of its own with all that it starts (media workers, helper processes), so that what it is given is
the same for all. Not here: load (load.py) and what it costs (cost.py).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from bench.calls.load import DOMAIN
from tests.support.calls.hosts import is_bound
from tests.support.calls.processes import Program, find_program

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIPPY = ROOT / ".bench-peers" / "bin" / "b2bua_simple"
"""Its own virtual environment: the gateway's must not get a peer's dependencies."""
CORE = max(os.sched_getaffinity(0))
"""The core of the programs under test; sipp has the others."""
START_SECONDS = 20


@attrs.frozen
class Place:
    """Where a program runs."""

    address: str
    next_hop: str
    """address:port of the answering side."""
    directory: Path


def gateway(place: Place) -> Program:
    """The gateway, by `twist gateway`; calls with SDP go through its media worker."""
    credentials = place.directory / "credentials.toml"
    credentials.write_text('alice = "secret"\n')
    credentials.chmod(0o600)
    twist = Path(sys.executable).with_name("twist")
    return _started([str(twist), "gateway", "--config", str(_written("gateway.toml", place))], place, {})


def sippy(place: Place) -> Program:
    """sippy's b2bua_simple, logging off."""
    argv = [str(SIPPY), "-f", "-l", place.address, "-p", "5060", "-n", place.next_hop]
    return _started(argv, place, {"SIPLOG_BEND": "none"})


def kamailio(place: Place) -> Program:
    """Kamailio as a stateful proxy that records its route."""
    argv = [find_program("kamailio", "kamailio"), "-DD", "-E", "-f", str(_written("kamailio.cfg", place))]
    argv += ["-m", "256", "-M", "16", "-Y", str(place.directory), "-w", str(place.directory)]
    return _started(argv, place, {})


PROGRAMS: Mapping[str, Callable[[Place], Program]] = {"gateway": gateway, "sippy": sippy, "kamailio": kamailio}


def has_sippy() -> bool:
    """Whether `make bench` has installed it."""
    return SIPPY.exists()


def _started(argv: list[str], place: Place, environment: Mapping[str, str]) -> Program:
    pinned = [find_program("taskset", "util-linux"), "-c", str(CORE), *argv]
    program = Program(pinned, place.directory / "log", cwd=ROOT, environment=environment)
    program.wait_until("port 5060 is open", lambda: is_bound(place.address, 5060), START_SECONDS)
    time.sleep(1.5)  # whatever it still does to get ready is not the calls' cost
    return program


def _written(name: str, place: Place) -> Path:
    text = (HERE / name).read_text()
    for key, value in {"ADDRESS": place.address, "NEXT": place.next_hop, "DOMAIN": DOMAIN}.items():
        text = text.replace(f"@{key}@", value)
    path = place.directory / name
    path.write_text(text)
    return path
