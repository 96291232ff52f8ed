"""sipp on both sides of a program under test: one run of calls, and what became of each.

    caller (sipp) --INVITE, ACK, BYE--> program under test --> answerer (sipp)

A run is complete when the answering side has seen the INVITE, the ACK and the BYE of every call; what the calling side
says does not count: it is content with a 200 to a BYE that never crossed.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import attrs

from tests.support.calls.hosts import is_bound
from tests.support.calls.processes import Program, ProgramFailed, find_program

HERE = Path(__file__).parent
DOMAIN = "bench.example"
SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 53655765 2353687637 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 6000 RTP/AVP 0 8 9 18 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:9 G722/8000
a=rtpmap:18 G729/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv

"""
NO_SDP = """Content-Length: 0

"""
GRACE_SECONDS = 8


@attrs.frozen
class Load:
    """What one run sends."""

    rate: int
    """Calls a second."""
    calls: int
    media: bool
    """Whether the calls carry SDP."""
    talk_ms: int = 0
    grace: int = GRACE_SECONDS
    """Seconds for the last calls to end."""


@attrs.frozen
class Outcome:
    """What came of a run."""

    asked: int
    complete: int
    """Calls whose INVITE, ACK and BYE the answering side had."""
    repeated: int
    """Messages that either side of sipp had to send again."""
    set_up_ms: tuple[float, ...]
    """From INVITE to 200 at the calling side, sorted."""

    @property
    def is_complete(self) -> bool:
        """Whether every call came through."""
        return self.complete == self.asked

    @property
    def is_loss_free(self) -> bool:
        """Whether every call came through, and nothing had to be sent twice."""
        return self.is_complete and self.repeated == 0

    def percentile(self, percent: float) -> float:
        """Milliseconds within which that share of the calls was answered."""
        times = self.set_up_ms
        return times[min(len(times) - 1, int(len(times) * percent / 100))] if times else float("nan")


@attrs.frozen
class Parties:
    """Where the two sides of sipp are, and what they write."""

    caller: str
    answerer: str
    directory: Path
    core: int
    """The core that sipp may use."""

    def run(self, target: str, load: Load) -> Outcome:
        """Send the calls to address:port `target`; returns when all are over or given up."""
        for old in self.directory.iterdir():
            old.unlink()
        seconds = load.calls // load.rate + load.talk_ms // 1000 + load.grace
        with self._answerer(load, seconds + 2) as answerer, self._caller(target, load, seconds) as caller:
            try:
                caller.wait_ended(seconds + 5)
                answerer.process.send_signal(signal.SIGUSR1)  # write your figures and end
                answerer.wait_ended(5)
            except ProgramFailed:
                pass  # what it has counted by then says how many calls are missing
        sent, received = self._counts("caller"), self._counts("answerer")
        return Outcome(
            load.calls,
            received.get("complete(C)", 0),
            sent.get("Retransmissions(C)", 0) + received.get("Retransmissions(C)", 0),
            self._set_up_times(),
        )

    def _answerer(self, load: Load, seconds: int) -> Program:
        program = self._sipp("answerer", self.answerer, load, seconds, [])
        program.wait_until("its port is open", lambda: is_bound(self.answerer, 5060))
        return program

    def _caller(self, target: str, load: Load, seconds: int) -> Program:
        pace = ["-m", str(load.calls), "-r", str(load.rate), "-l", "20000", "-trace_rtt", "-rtt_freq", "1", target]
        return self._sipp("caller", self.caller, load, seconds, pace)

    def _sipp(self, role: str, address: str, load: Load, seconds: int, more: list[str]) -> Program:
        script = self.directory / f"{role}.xml"
        text = (HERE / f"{role}.xml").read_text()
        values = {"DOMAIN": DOMAIN, "BODY": SDP if load.media else NO_SDP, "TALK": str(load.talk_ms)}
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        script.write_text(text)
        argv = [find_program("taskset", "util-linux"), "-c", str(self.core), find_program("sipp", "sip-tester")]
        argv += ["-sf", str(script), "-i", address, "-p", "5060", "-nostdin", "-nd"]
        argv += ["-timeout", f"{seconds}s", "-timer_resol", "1", "-buff_size", str(4 * 2**20)]
        argv += ["-trace_stat", "-fd", "1", "-stf", str(self.directory / f"{role}.csv"), *more]
        return Program(argv, self.directory / f"{role}.log", cwd=self.directory)

    def _counts(self, role: str) -> dict[str, int]:
        path = self.directory / f"{role}.csv"
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) < 2:
            return {}
        pairs = zip(lines[0].split(";"), lines[-1].split(";"), strict=False)
        return {name: int(value) for name, value in pairs if value.isdigit()}

    def _set_up_times(self) -> tuple[float, ...]:
        times: list[float] = []
        for path in self.directory.glob("*_rtt.csv"):
            times += [float(line.split(";")[1]) for line in path.read_text().splitlines()[1:]]
        return tuple(sorted(times))


def free_core(used: int) -> int:
    """A core for sipp beside the one under test; the same when there is no other."""
    return min(os.sched_getaffinity(0) - {used}, default=used)
