"""The programs under test: each takes SIP over UDP on port 5060 of its address and sends calls on to `next_hop`.

Each runs on one core of its own with all that it starts (media workers, helper processes), so that what it is given is
the same for all. Not here: load (load.py) and what it costs (cost.py).
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from bench.calls.cost import family
from bench.calls.load import DOMAIN
from tests.support.calls.hosts import is_bound, is_listening
from tests.support.calls.processes import MissingProgram, Program, find_program

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIPPY = ROOT / ".bench-peers" / "bin" / "b2bua_simple"
"""Its own virtual environment: the gateway's must not get a peer's dependencies."""
CORE = max(os.sched_getaffinity(0))
"""The core of the programs under test; sipp has the others."""
MEDIA_CORES = sorted(os.sched_getaffinity(0))[-2:] if len(os.sched_getaffinity(0)) > 2 else [CORE]
"""With media: a relay has a core of its own, where there are three."""
START_SECONDS = 20


@attrs.frozen
class Place:
    """Where a program runs."""

    address: str
    next_hop: str
    """address:port of the answering side."""
    directory: Path
    certificates: Path = Path()
    """Where gateway.pem and gateway.key are, for the programs with TLS."""
    cores: Sequence[int] = (CORE,)


Start = Callable[[Place], Program]


def gateway(place: Place, more: str = "") -> Program:
    """The gateway, by `twist gateway`; calls with SDP go through its media worker. `more`: tables of its file."""
    credentials = place.directory / "credentials.toml"
    credentials.write_text('alice = "secret"\n')
    credentials.chmod(0o600)
    twist = Path(sys.executable).with_name("twist")
    return _started([str(twist), "gateway", "--config", str(_written("gateway.toml", place, more))], place, {})


def sippy(place: Place) -> Program:
    """sippy's b2bua_simple, logging off."""
    argv = [str(SIPPY), "-f", "-l", place.address, "-p", "5060", "-n", place.next_hop]
    return _started(argv, place, {"SIPLOG_BEND": "none"})


def kamailio(place: Place) -> Program:
    """Kamailio as a stateful proxy that records its route."""
    argv = [find_program("kamailio", "kamailio"), "-DD", "-E", "-f", str(_written("kamailio.cfg", place))]
    argv += ["-m", "256", "-M", "16", "-Y", str(place.directory), "-w", str(place.directory)]
    return _started(argv, place, {})


def kamailio_rtpengine(place: Place) -> Program:
    """The same proxy, which has the media of each call anchored at an rtpengine that runs beside it."""
    engine = [find_program("rtpengine", "rtpengine-daemon"), "--table=-1", "--config-file=none", "--foreground"]
    engine += [f"--interface={place.address}", f"--listen-ng={place.address}:22222", "--log-stderr", "--log-level=3"]
    engine += ["--num-threads=1", "--media-num-threads=0", "--delete-delay=0", "-m", "20000", "-M", "32000"]
    engine += [f"--pidfile={place.directory}/rtpengine.pid"]
    proxy = [find_program("kamailio", "kamailio"), "-DD", "-E", "-f", str(_written("kamailio-rtpengine.cfg", place))]
    proxy += ["-m", "256", "-M", "16", "-Y", str(place.directory), "-w", str(place.directory)]
    # rtpengine becomes a child of Kamailio, so that what one family of processes takes is what both take
    both = f"{shlex.join(engine)} & sleep 1; exec {shlex.join(proxy)}"
    return _started([find_program("sh", "dash"), "-c", both], place, {})


def kamailio_pike(place: Place) -> Program:
    """The same proxy, which drops addresses that send too much (pike)."""
    argv = [find_program("kamailio", "kamailio"), "-DD", "-E", "-f", str(_written("kamailio-pike.cfg", place))]
    argv += ["-m", "256", "-M", "16", "-Y", str(place.directory), "-w", str(place.directory)]
    return _started(argv, place, {})


def gateway_tls(place: Place) -> Program:
    """The gateway with phones on TLS."""
    twist = Path(sys.executable).with_name("twist")
    argv = [str(twist), "gateway", "--config", str(_written("gateway-tls.toml", place))]
    return _started(argv, place, {}, lambda: is_listening(place.address, 5061))


def kamailio_tls(place: Place) -> Program:
    """Kamailio as a registrar on TLS."""
    argv = [find_program("kamailio", "kamailio kamailio-tls-modules"), "-DD", "-E"]
    argv += ["-f", str(_written("kamailio-tls.cfg", place)), "-m", "512", "-M", "16"]
    argv += ["-Y", str(place.directory), "-w", str(place.directory)]
    return _started(argv, place, {}, lambda: is_listening(place.address, 5061))


PROGRAMS: Mapping[str, Start] = {
    "gateway": gateway,
    "sippy": sippy,
    "kamailio": kamailio,
    "kamailio+rtpengine": kamailio_rtpengine,
}
TLS_PROGRAMS: Mapping[str, Start] = {"gateway": gateway_tls, "kamailio": kamailio_tls}


@contextmanager
def running(start: Start, place: Place) -> Iterator[Program]:
    """The program while it runs; then it and all that it started end (media workers outlive a gateway on purpose)."""
    with start(place) as program:
        yield program
        started = family(program.process.pid)
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def has_sippy() -> bool:
    """Whether `make bench` has installed it."""
    return SIPPY.exists()


def is_here(name: str) -> bool:
    """Whether that one of PROGRAMS can be started."""
    if name in ("gateway", "sippy"):
        return name == "gateway" or has_sippy()
    try:
        for program in name.split("+"):
            find_program(program, program)
    except MissingProgram:
        return False
    return True


def _started(
    argv: list[str], place: Place, environment: Mapping[str, str], is_up: Callable[[], bool] | None = None
) -> Program:
    pinned = [find_program("taskset", "util-linux"), "-c", ",".join(map(str, place.cores)), *argv]
    program = Program(pinned, place.directory / "log", cwd=ROOT, environment=environment)
    program.wait_until("its port is open", is_up or (lambda: is_bound(place.address, 5060)), START_SECONDS)
    time.sleep(1.5)  # whatever it still does to get ready is not the calls' cost
    return program


def _written(name: str, place: Place, more: str = "") -> Path:
    text = (HERE / name).read_text() + more
    for key, value in _values(place).items():
        text = text.replace(f"@{key}@", value)
    path = place.directory / name
    path.write_text(text)
    return path


def _values(place: Place) -> dict[str, str]:
    certificates = str(place.certificates)
    return {"ADDRESS": place.address, "NEXT": place.next_hop, "DOMAIN": DOMAIN, "CERTIFICATES": certificates}
