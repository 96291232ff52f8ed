"""Calls at a rate, by sipp over UDP: their caller, and the servers of a provider that take them."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

from tests.support.calls.hosts import is_bound
from tests.support.calls.nameserver import Server as Place
from tests.support.calls.processes import Program, find_program
from tests.support.calls.sipp import SCENARIOS


class Server:
    """Answers every call, and OPTIONS."""

    def __init__(self, address: str, port: int, control: str, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.place = Place(address, port)
        self._control = control
        self._directory = directory
        self.program: Program
        self.start()

    def start(self) -> None:
        """Start it; after `kill` too. Its calls are counted anew."""
        place, control = self.place, self._control
        argv = [find_program("sipp", "sip-tester"), "-sf", str(SCENARIOS / "load_callee.xml"), "-i", place.address]
        argv += ["-p", str(place.port), "-ci", control, "-cp", str(place.port + 1), "-nostdin", "-nd", "-trace_msg"]
        self.program = Program(argv, self._directory / "sipp.log", cwd=self._directory)
        self.program.wait_until("its port is open", lambda: is_bound(place.address, place.port))

    def calls(self) -> int:
        """How many calls it took since it was started."""
        trace = self._directory / f"load_callee_{self.program.process.pid}_messages.log"
        lines = trace.read_text(errors="replace").splitlines() if trace.exists() else []
        return sum(line.startswith("ACK sip:") for line in lines)

    def kill(self) -> None:
        """As a crash does."""
        self.program.stop(first=signal.SIGKILL)

    def stop(self) -> None:
        self.program.stop()


class Caller:
    """A phone that calls and calls: each call lasts a second."""

    def __init__(self, address: str, port: int, proxy: str, uri: str, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._address, self._port, self._proxy = address, port, proxy
        self._directory = directory
        self._script = directory / "load_caller.xml"
        self._script.write_text((SCENARIOS / "load_caller.xml").read_text().replace("@TARGET@", uri))
        self.program: Program

    def start(self, rate: int, calls: int) -> None:
        """Begin so many calls, so many a second."""
        argv = [find_program("sipp", "sip-tester"), "-sf", str(self._script), "-i", self._address]
        argv += ["-p", str(self._port), "-ci", self._address, "-cp", str(self._port + 1), "-nostdin", "-nd"]
        argv += ["-r", str(rate), "-m", str(calls), "-trace_stat", "-fd", "1", "-trace_err", self._proxy]
        self.program = Program(argv, self._directory / "sipp.log", cwd=self._directory)

    def wait_ended(self, seconds: float) -> tuple[int, int]:
        """Wait for the last call's end; how many calls were whole, and how many were not."""
        self.program.wait_ended(seconds)
        statistics = self._directory / f"load_caller_{self.program.process.pid}_.csv"
        last = list(csv.DictReader(statistics.read_text().splitlines(), delimiter=";"))[-1]
        return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])

    def stop(self) -> None:
        if hasattr(self, "program"):
            self.program.stop()
