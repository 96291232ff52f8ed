"""pjsua2 as a phone (UDP, RTP) or a far end (TLS, mandatory SRTP); the program itself is `pjsua_process.py`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.calls.processes import MissingProgram, Program, is_readable
from tests.support.calls.telephone import Event, Events, Line, Telephone
from tests.support.calls.wire import SipMessage, logged_messages

ROOT = Path(__file__).parents[3]
ENVIRONMENT = ROOT / ".venv-pjsua"
"""Its own environment: pjsua2 has wheels for few versions of Python (deploy/make-pjsua2)."""
ABSENT = ENVIRONMENT / "absent"
"""Says why there is none, where no such Python was to be had."""

LOGGED = rb"(?:TX|RX) \d+ bytes .* (?:to|from) \w+ (?P<host>[\d.]+):(?P<port>\d+):\n(?P<message>(?s:.*?))\n--end msg--"
"""One message in its log, with the address of the other end."""


class Pjsua(Telephone):
    """A pjsua2 process, steered by JSON lines."""

    def __init__(self, line: Line) -> None:
        python = _python()
        line.directory.mkdir(parents=True, exist_ok=True)
        self.line = line
        self._pending = b""
        argv = [python, "-m", "tests.support.calls.pjsua_process", json.dumps(_settings(line))]
        self.program = Program(argv, line.directory / "stderr.log", cwd=ROOT, steered=True, answers=True)
        # Its own log is the one worth reading; the standard error only tells of crashes.
        self.program.name = f"pjsua {line.user}"
        self.log = line.directory / "pjsua.log"
        self.events = Events(self.program, self._receive)
        self._wait("ready", seconds=10)

    def register(self) -> None:
        self._order("register")
        told = self._wait("registered")
        assert told["code"] == 200, f"{self.line.user} was not registered: {told}"

    def ask_registration(self) -> int:
        """Try to register; the status it was answered."""
        self._order("register")
        return int(str(self._wait("registered")["code"]))

    def call(self, uri: str) -> None:
        """Start a call; one that stands already stays."""
        self.events.forget()
        self._order("call", uri=uri)

    def wait_ringing(self, seconds: float = 5) -> None:
        self._wait("incoming", seconds=seconds)
        self._order("ring")

    def wait_early(self, seconds: float = 5) -> None:
        """Wait until the other side rings (a 18x)."""
        self._wait("state", "EARLY", seconds)

    def answer(self) -> None:
        self._order("answer")
        self.wait_answered()

    def wait_answered(self, seconds: float = 5) -> None:
        self._wait("state", "CONFIRMED", seconds)

    def progress(self) -> None:
        self._order("progress")

    def wait_media_early(self, seconds: float = 5) -> None:
        self.wait_media("active", seconds)

    def transfer(self, uri: str, call: int = -1) -> None:
        self._order("transfer", uri=uri, on=call)

    def transfer_to_latest(self, call: int) -> None:
        self._order("transfer_to_latest", on=call)

    def wait_transferred(self, seconds: float = 8) -> int:
        told = self.events.wait(
            "told of the transfer", lambda e: e["event"] == "transfer" and bool(e["final"]), seconds
        )
        return int(str(told["code"]))

    def wait_replaced(self, seconds: float = 5) -> None:
        self._wait("replaced", seconds=seconds)

    def wait_mwi(self, seconds: float = 5) -> str:
        return str(self._wait("mwi", seconds=seconds)["message"])

    def reject(self, code: int) -> None:
        self._order("reject", code=code)

    def hangup(self, call: int = -1) -> None:
        self._order("hangup", on=call)
        self.wait_ended()

    def wait_ended(self, seconds: float = 5) -> str:
        told = self._wait("state", "DISCONNECTED", seconds)
        return f"{told['code']} {told['reason']}"

    def hold(self, call: int = -1) -> None:
        self._order("hold", on=call)
        self.wait_media("local_hold")

    def resume(self) -> None:
        self._order("resume")
        self.wait_media("active")

    def wait_held(self, seconds: float = 5) -> None:
        self.wait_media("remote_hold", seconds)

    def wait_resumed(self, seconds: float = 5) -> None:
        self.wait_media("active", seconds)

    def wait_media(self, status: str, seconds: float = 5) -> None:
        """Wait for `active`, `local_hold` or `remote_hold`."""
        self.events.wait_last(
            f"media {status}",
            lambda event: event["event"] == "media",
            lambda event: event["status"] == status,
            seconds,
        )

    def dtmf(self, digits: str) -> None:
        self._order("dtmf", digits=digits)

    def wait_dtmf(self, digits: str, seconds: float = 5) -> None:
        for digit in digits:
            assert self._wait("dtmf", seconds=seconds)["digit"] == digit

    def messages(self) -> list[SipMessage]:
        return logged_messages(self.log, LOGGED)

    def recordings(self) -> list[Path]:
        return sorted(self.line.directory.glob("heard-*.wav"))

    def _order(self, do: str, **fields: str | int) -> None:
        self.program.tell(json.dumps({"do": do, **fields}))

    def _wait(self, kind: str, state: str | None = None, seconds: float = 5) -> Event:
        def fits(event: Event) -> bool:
            return event["event"] == kind and (state is None or event["state"] == state)

        return self.events.wait(f"{kind} {state or ''}", fits, seconds)

    def _receive(self, seconds: float) -> list[Event]:
        assert self.program.process.stdout is not None
        out = self.program.process.stdout.fileno()
        if not is_readable(out, seconds):
            return []
        *lines, self._pending = (self._pending + os.read(out, 65536)).split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b"{")]


def _python() -> str:
    """The Python that has pjsua2. The test is not run, and counted as such, where this system has no Python for it."""
    if ABSENT.exists():
        pytest.skip(ABSENT.read_text().strip())
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        raise MissingProgram(f"{ENVIRONMENT.name} is not there: make packages")
    return str(python)


def _settings(line: Line) -> dict[str, object]:
    transport = "tls" if line.secure else "udp"
    return {
        "user": line.user,
        "password": line.password,
        "domain": line.domain,
        "proxy": f"sip:{line.proxy};transport={transport};lr",
        "transport": transport,
        "address": line.address,
        "sip_port": line.sip_port,
        "media_port": line.media_port,
        "srtp": 2 if line.secure else 0,
        "suites": line.suites,
        "trust": str(line.trust or ""),
        "chain": str(line.certificate.chain) if line.certificate else "",
        "key": str(line.certificate.key) if line.certificate else "",
        "play": str(line.tone),
        "recordings": str(line.directory / "heard"),
        "log": str(line.directory / "pjsua.log"),
        "expires": line.expires,
        "prack": line.habits.prack,
        "timer": line.habits.timer,
        "session": line.habits.session,
        "mwi": line.habits.watches_mailbox,
    }
