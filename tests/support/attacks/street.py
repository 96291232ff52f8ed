"""A gateway on a street: phones and strangers on one side of it, a provider and strangers on the other.

    street: 10.66.1.0/24      phones at .11 (one address for all, as behind NAT), attackers from .60 on
        |
    gateway: 10.66.1.1, 10.66.2.1
        |
    provider: 10.66.2.0/24    Kamailio at .21, the answering party at .31, strangers from .60 on

Each attacker is at an address of its own, so that a ban of one is none of the next. The gateway defends itself
([defence] mode = "defend"); the test itself is in its network, as an operator on the machine would be.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import attrs

from tests.support.attacks.networks import Networks
from tests.support.calls.audio import tone, write_wav
from tests.support.calls.certificates import Authority
from tests.support.calls.gateway import ROOT, Gateway
from tests.support.calls.kamailio import Kamailio, ProviderTerms
from tests.support.calls.load import Server
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.processes import Program, find_program, wait_until
from tests.support.calls.telephone import Line
from tests.support.calls.wire import SipMessage

SCENARIOS = Path(__file__).parent / "scenarios"
DOMAIN = "voip.test"
GATEWAY, GATEWAY_TRUNK = "10.66.1.1", "10.66.2.1"
OFFICE, PROVIDER, ANSWERER = "10.66.1.11", "10.66.2.21", "10.66.2.31"
ATTACKERS = tuple(range(60, 100))
PORT = 5060
ADMIN = 8080

VICTIM = "100"
PASSWORDS = {
    VICTIM: "77-Sunset-Strip",
    **{str(number): f"Phone-{number * 7919}" for number in range(200, 230)},
    "echo": "Narcissus-1",
    "alice": "Wonderland-7531",
}

GIVES_UP = """log.error("We got an unknown response")
            self.log.debug(buff.__repr__())
            self.nomore = True"""
DISGUISE = {
    "friendly-scanner": "desk phone",
    "fromname='sipvicious'": "fromname='desk'",
    'default="sipvicious"': 'default="desk"',
    "\\x01": "\\x7f",
    "3206210844": "4206210841",
    GIVES_UP: "log.error('going on')",
}
"""The signs of SIPVicious, and others in their place; and svcrack goes on where it is answered 503, as others do."""

CONFIGURATION = f"""\
[gateway]
name = "gw1"
state_directory = "state"
drain_seconds = 0
stop = "end"

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{GATEWAY}"
port = {PORT}

[[listener]]
name = "phones-tcp"
side = "phones"
transport = "tcp"
address = "{GATEWAY}"
port = {PORT}

[[listener]]
name = "provider"
side = "provider"
transport = "udp"
address = "{GATEWAY_TRUNK}"
port = {PORT}

[media]
address = "{GATEWAY}"
provider_address = "{GATEWAY_TRUNK}"
ports = "20000-20199"
workers = 1

[[provider]]
name = "main"
uri = "sip:{PROVIDER}:{PORT};transport=udp"

[[domain]]
name = "{DOMAIN}"
provider = "main"
security = "off"
challenge = []

[admin]
address = "127.0.0.1"
port = {ADMIN}

[defence]
mode = "defend"
ban_by = "@BY@"

[[alert]]
name = "watch"
to = "syslog"
syslog = "udp:127.0.0.1:5514"
events = ["security.*"]
least = "info"
"""


@attrs.frozen
class Terms:
    """The terms of a gateway that the class which runs it asks for."""

    address: str = "127.0.0.1"
    admin_port: int = ADMIN
    log_level: str = "info"


class GuardedGateway(Gateway):
    """The gateway of the street."""

    def __init__(self, directory: Path, ban_by: str = "process") -> None:
        directory.mkdir(parents=True)
        self.terms: Any = Terms()
        self.directory = directory
        self.configuration = directory / "gateway.toml"
        self.configuration.write_text(CONFIGURATION.replace("@BY@", ban_by))
        self._log = directory / "gateway.log"
        self.start()

    def ask(self, path: str) -> Any:
        """The JSON of an administration route."""
        return json.loads(self.fetch(path) or "null")

    def ctl(self, *arguments: str) -> str:
        """The words of gatewayctl."""
        program = Path(sys.executable).with_name("gatewayctl")
        argv = [str(program), *arguments, "--config", str(self.configuration)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, cwd=ROOT, check=False)
        return done.stdout + done.stderr

    def events(self, name: str, source: str = "") -> list[dict[str, Any]]:
        """The events of that name in security.jsonl, of a source if told."""
        file = self.directory / "state" / "security.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        told = [json.loads(line) for line in lines]
        return [one for one in told if one["name"] == name and str(one.get("source", "")).startswith(source)]


TIMESTAMPS = 35
"""SO_TIMESTAMPNS of Linux, which the module socket does not name: the kernel notes when each datagram came."""


class Alerts:
    """A receiver of syslog messages over UDP."""

    def __init__(self, place: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        self._socket.bind(place)
        self._socket.setblocking(False)
        self._heard: list[tuple[float, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def of(self, event: str, source: str) -> list[tuple[float, str]]:
        """The alerts of an event that name a source, each with the time that it came."""
        while True:
            try:
                data, notes, *_ = self._socket.recvmsg(65535, 64)
            except BlockingIOError:
                break
            seconds, nanoseconds = struct.unpack("qq", notes[0][2])
            self._heard.append((seconds + nanoseconds / 1e9, data.decode(errors="replace")))
        return [(at, text) for at, text in self._heard if event in text and re.search(rf"{re.escape(source)}\b", text)]

    def latest(self, event: str, source: str) -> float:
        """Seconds from an event to its alert, of those of a source the most."""
        told = [(at, re.match(r"<\d+>1 (\S+)Z ", text)) for at, text in self.of(event, source)]
        return max(at - datetime.fromisoformat(f"{moment[1]}+00:00").timestamp() for at, moment in told if moment)


class Street:
    """The whole place; `stop` ends everything."""

    def __init__(self, directory: Path, ban_by: str = "process") -> None:
        self._running = ExitStack()
        self.directory = directory
        self.networks = Networks(("gateway", "street", "provider"))
        self._running.callback(self.networks.stop)
        strangers = [f"10.66.{side}.{number}" for side in (1, 2) for number in ATTACKERS]
        self.networks.join("street0", {"gateway": [GATEWAY], "street": [OFFICE, *strangers[: len(ATTACKERS)]]})
        theirs = [PROVIDER, ANSWERER, *strangers[len(ATTACKERS) :]]
        self.networks.join("trunk0", {"gateway": [GATEWAY_TRUNK], "provider": theirs})
        self.networks.ip("street", "route", "add", "default", "via", GATEWAY)
        self._attackers = iter(ATTACKERS)
        self._runs = 0
        with self.networks.inside("provider"):
            self.provider = self._start_provider()
        with self.networks.inside("gateway"):
            if ban_by == "nftables":
                self.nft("-f", str(ROOT / "deploy" / "gateway.nft"))
            self.alerts = self._running.enter_context(Alerts(("127.0.0.1", 5514)))
            self.gateway = GuardedGateway(directory / "gateway", ban_by)
        self._running.callback(self.gateway.stop)

    def _start_provider(self) -> Kamailio:
        certificate = Authority(self.directory / "certificates").issue("provider", PROVIDER)
        terms = ProviderTerms(PROVIDER, PORT, DOMAIN, PASSWORDS, certificate, clear=True, names_md5=True)
        provider = Kamailio(terms, self.directory / "kamailio")
        self._running.callback(provider.stop)
        return provider

    def nft(self, *arguments: str) -> str:
        """The words of nft, of the network that the test is in."""
        done = subprocess.run(
            [find_program("nft", "nftables"), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
        return done.stdout + done.stderr

    def start_answerer(self) -> Server:
        """The party that answers calls for `echo`: registered at the provider."""
        with self.networks.inside("provider"):
            script = self.script("register.xml", {"USER": "echo", "PASSWORD": PASSWORDS["echo"]})
            self.sipp("provider", ANSWERER, script, f"{PROVIDER}:{PORT}", "-p", "5060", "-m", "1").wait_ended(8)
            server = Server(ANSWERER, 5060, ANSWERER, self.directory / "answerer")
        self._running.callback(server.stop)
        return server

    def telephone(self, user: str, password: str) -> Pjsua:
        """A phone of pjsua2 in the office."""
        self._runs += 1
        here = self.directory / f"{self._runs}-pjsua2"
        here.mkdir()
        line = Line(
            user=user,
            password=password,
            domain=DOMAIN,
            proxy=f"{GATEWAY}:{PORT}",
            address=OFFICE,
            control="127.0.0.1",
            sip_port=7000 + 2 * self._runs,
            media_port=10_000 + 20 * self._runs,
            tone=write_wav(here / "tone.wav", tone(440, 3)),
            directory=here,
        )
        with self.networks.inside("street"):
            phone = Pjsua(line)
        self._running.callback(phone.stop)
        return phone

    def stop(self) -> None:
        self._running.close()

    # -- attackers

    def attacker(self, side: str = "street") -> str:
        """The address of a new attacker, which programs of that network have from now on."""
        address = f"10.66.{1 if side == 'street' else 2}.{next(self._attackers)}"
        self.networks.speak_as(side, "street0" if side == "street" else "trunk0", address)
        return address

    def run(self, argv: Sequence[str], package: str, seconds: float, side: str = "street") -> str:
        """All that a tool wrote in so many seconds: then it is ended."""
        with self.start(argv, package, side) as tool:
            try:
                tool.wait_ended(seconds)
            except AssertionError:
                pass  # these tools do not give up
        return tool.text()

    def start(self, argv: Sequence[str], package: str, side: str = "street") -> Program:
        """Start a tool."""
        self._runs += 1
        here = self.directory / f"{self._runs}-{Path(argv[0]).name}"
        here.mkdir()
        with self.networks.inside(side):
            return Program([find_program(argv[0], package), *argv[1:]], here / "log", cwd=here)

    def disguised(self, tool: str) -> list[str]:
        """A tool of SIPVicious without the look that gives it away: its User-Agent, its name, the form of its tags."""
        here = self.directory / "sipvicious"
        if not here.exists():
            shutil.copytree("/usr/share/sipvicious/sipvicious", here)
            for file in here.rglob("*.py"):
                text = file.read_text()
                for sign, other in DISGUISE.items():
                    text = text.replace(sign, other)
                file.write_text(text)
        start = f"import sys; sys.path.insert(0, {str(self.directory)!r}); from sipvicious.{tool} import main; main()"
        return ["python3", "-c", start]

    def words(self) -> Path:
        """A list of 500 passwords for VICTIM: the right one is at place 60."""
        file = self.directory / "words.txt"
        tries = [f"guess-{number}" for number in range(500)]
        tries[59] = PASSWORDS[VICTIM]
        file.write_text("\n".join(tries) + "\n")
        return file

    def guessing(self, side: str = "street") -> Program:
        """svcrack in disguise, with the list."""
        target = GATEWAY if side == "street" else GATEWAY_TRUNK
        svcrack = [*self.disguised("svcrack"), "-p", str(PORT), f"-u{VICTIM}", "-d", str(self.words()), target]
        return self.start(svcrack, "sipvicious", side)

    def script(self, name: str, values: Mapping[str, str]) -> Path:
        """A scenario for sipp, with values in place of @NAMES@."""
        text = (SCENARIOS / name).read_text()
        for key, value in {"DOMAIN": DOMAIN, **values}.items():
            text = text.replace(f"@{key}@", value)
        self._runs += 1
        file = self.directory / f"{self._runs}-{name}"
        file.write_text(text)
        return file

    def sipp(self, side: str, address: str, script: Path, target: str, *more: str) -> Program:
        """sipp with a scenario, from an address."""
        self._runs += 1
        argv = [
            "sipp",
            "-max_socket",
            "200",
            "-sf",
            str(script),
            "-i",
            address,
            "-ci",
            address,
            "-cp",
            str(8000 + self._runs),
            "-nostdin",
        ]
        return self.start([*argv, "-nd", "-trace_msg", "-trace_err", *more, target], "sip-tester", side)

    # -- judging

    def guesses(self, user: str = "") -> list[SipMessage]:
        """Requests with credentials that reached the provider, of a user if told."""
        asked = [
            one for one in self.provider.messages() if one.header("authorization") or one.header("proxy-authorization")
        ]
        return [one for one in asked if f'username="{user}' in str(one.header("authorization"))]

    def is_shown(self, source: str) -> bool:
        """Whether operators see within two seconds that a source is slowed: an alert with the evidence, and both lists;
        and that its address is not proved."""
        wait_until("an alert", lambda: bool(self.alerts.of("security.throttled", source)), 2)
        assert self.alerts.latest("security.", source) < 2
        ((_, alert), *_) = self.alerts.of("security.throttled", source)
        rows = [row for row in self.gateway.ask("/api/v1/throttled?limit=1000")["throttled"] if row["source"] == source]
        (line,) = [line for line in self.gateway.ctl("bans").splitlines() if line.startswith(f"{source} ")]
        is_told = bool(rows) and rows[0]["address"] == "not_proved" and bool(rows[0]["evidence"])
        return is_told and "udp " in alert and "address not proved" in line and "udp " in line

    @property
    def is_late(self) -> bool:
        """Whether the gateway refuses new calls, since it does not keep up."""
        log = self.gateway.program.text()
        begins, ends = (
            ("overload: everything is", "messages wait: the"),
            ("overload is over", "no messages wait any more"),
        )
        return any(log.count(begin) > log.count(end) for begin, end in zip(begins, ends, strict=True))

    def is_banned(self, source: str) -> bool:
        """Whether operators see that a source is banned: an alert within two seconds, both lists, the evidence."""
        wait_until("an alert", lambda: bool(self.alerts.of("security.banned", source)), 2)
        assert self.alerts.latest("security.", source) < 2
        ban = self.ban_of(source)
        is_listed = re.search(rf"\b{re.escape(source)} .*\bactive\b", self.gateway.ctl("bans")) is not None
        return ban is not None and ban["state"] == "active" and bool(ban["evidence"]) and is_listed

    def ban_of(self, source: str) -> dict[str, Any] | None:
        """The ban of a source, as the API tells it."""
        told = self.gateway.ask(f"/api/v1/bans/{source}")
        return None if told is None else told["ban"]


def tally(sipp: Program) -> tuple[int, int]:
    """The calls that were whole and that were not, as sipp's last words have it."""
    rows = (re.findall(rf"{row} call\s+\|\s+\d+\s+\|\s+(\d+)", sipp.text()) for row in ("Successful", "Failed"))
    whole, not_whole = (int(row[-1]) for row in rows)
    return whole, not_whole


def found_by(text: str) -> list[str]:
    """The rows of SIPVicious's table of findings."""
    return re.findall(r"^\| (?!SIP Device|Extension|-)(\S+)", text, re.MULTILINE)
