"""sipp as a phone (UDP, RTP, MD5): three short scenarios, the plainest telephone there is, and others.

`follow` runs any scenario of the directory, as the phone's part of a test or, inside the provider's network, the far
end's: it prescribes the messages and their order, and fails when something else comes.

It cannot be steered once a scenario runs: a call it starts ends after `TALK_SECONDS`, one it receives is answered after
0.3 s. It records nothing: its audio is read from the capture.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.calls.audio import RATE, encode_ulaw, read_wav
from tests.support.calls.hosts import is_bound
from tests.support.calls.processes import Program, find_program
from tests.support.calls.telephone import Line, Telephone

SCENARIOS = Path(__file__).parent / "scenarios"
TALK_SECONDS = 2.4
SECONDS = 20  # of the tone, more than any scenario plays


class Sipp(Telephone):
    """One sipp process per scenario, all at the same port."""

    def __init__(self, line: Line) -> None:
        line.directory.mkdir(parents=True, exist_ok=True)
        self.line = line
        self._tone = line.directory / "tone.ulaw"
        self._tone.write_bytes(encode_ulaw(read_wav(line.tone)[: RATE * SECONDS]))
        self._started: list[Program] = []

    def register(self) -> None:
        self._start("register")
        status = self.program.wait_ended(8)
        assert status == 0, f"sipp {self.line.user} was not registered:\n{self.trace()}"
        self._start("callee")
        self.program.wait_until("its port is open", lambda: is_bound(self.line.address, self.line.sip_port))

    def call(self, uri: str) -> None:
        self._start("caller", uri)

    def follow(self, scenario: str, uri: str = "") -> None:
        """Begin a scenario; one that begins with what it receives listens when this returns."""
        self._start(scenario, uri)
        self.program.wait_until("its port is open", lambda: is_bound(self.line.address, self.line.sip_port))

    def wait_followed(self, seconds: float = 8) -> None:
        """Wait until the scenario came to its end."""
        self.wait_ended(seconds)

    def wait_for(self, word: str, seconds: float = 5) -> None:
        """Wait until the scenario logs this word."""
        self._wait(word, seconds)

    def trace_of(self, scenario: str) -> str:
        """Every message it sent and received in that scenario."""
        return "".join(
            path.read_text(errors="replace") for path in self.line.directory.glob(f"{scenario}_*_messages.log")
        )

    def wait_ringing(self, seconds: float = 5) -> None:
        self._wait("ringing", seconds)

    def answer(self) -> None:
        self.wait_answered()

    def wait_answered(self, seconds: float = 5) -> None:
        self._wait("answered", seconds)

    def hangup(self, call: int = -1) -> None:
        self.wait_ended(TALK_SECONDS + 3)

    def wait_ended(self, seconds: float = 5) -> str:
        status = self.program.wait_ended(seconds)
        assert status == 0, f"sipp {self.line.user}: the scenario failed:\n{self.trace()}"
        return "scenario complete"

    def recordings(self) -> list[Path]:
        return []

    def trace(self) -> str:
        """Every message and error of the running scenario."""
        files = sorted(self.line.directory.glob("*_messages.log")) + sorted(self.line.directory.glob("*_errors.log"))
        return "\n".join(path.read_text(errors="replace")[-6000:] for path in files)

    def stop(self) -> None:
        for program in self._started:
            program.stop()

    def _start(self, scenario: str, target: str = "") -> None:
        self.stop()
        script = self.line.directory / f"{scenario}.xml"
        script.write_text(self._script(scenario, target))
        line = self.line
        argv = [find_program("sipp", "sip-tester"), "-sf", str(script), "-i", line.address, "-p", str(line.sip_port)]
        argv += ["-mi", line.address, "-mp", str(line.media_port), "-ci", line.control, "-cp", str(line.media_port + 8)]
        argv += ["-m", "1", "-nostdin", "-nd", "-timeout", "60", "-trace_msg", "-trace_err", "-trace_logs", line.proxy]
        if "challenged" in scenario:  # it signs its proxy's address, unless told whom it calls
            argv[-1:] = ["-auth_uri", target.removeprefix("sip:"), line.proxy]
        self.program = Program(argv, line.directory / f"{scenario}.log", cwd=line.directory)
        self._logs = f"{scenario}_{self.program.process.pid}_logs.log"
        self._started.append(self.program)

    def _script(self, scenario: str, target: str) -> str:
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        values = {
            "USER": self.line.user,
            "PASSWORD": self.line.password,
            "DOMAIN": self.line.domain,
            "EXPIRES": str(self.line.expires),
            "TARGET": target,
            "TONE": str(self._tone),
            "TALK": str(int(TALK_SECONDS * 1000)),
        }
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        return text

    def _wait(self, word: str, seconds: float) -> None:
        logs = self.line.directory / self._logs
        self.program.wait_until(word, lambda: logs.exists() and word in logs.read_text(), seconds)
