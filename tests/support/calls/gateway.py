"""The gateway under test as an operator runs it: `twist gateway --config FILE`, watched by its admin port and log."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs

from tests.support.calls.certificates import Certificate
from tests.support.calls.processes import Program, ProgramFailed
from tests.support.written import written_in

ROOT = Path(__file__).parents[3]

Counts = dict[str, int | dict[str, dict[str, int]]]

CONFIGURATION = """\
[gateway]
name = "gw1"
state_directory = "state"
drain_seconds = 0
stop = "end"
session_interval = {session_interval}
{nameservers}

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{address}"
port = {phone_port}
{listener6}{listener_tls}
[[listener]]
name = "provider"
side = "provider"
transport = "{provider_transport}"
address = "{address}"
port = {provider_port}
certificate = "{chain}"
private_key = "{key}"

[media]
relay = "{relay}"
address = "{address}"
ports = "{first}-{last}"
workers = {workers}
rtp_from_anywhere = ["phones", "provider"]  # baresip's and linphone's RTP leaves from an address that nothing names
{rtpengine}
{phone_media}

[[provider]]
name = "main"
uri = "{provider_uri}"
trust = "{trust}"
srtp_offer = "savp"
ping_seconds = {ping_seconds}

[[domain]]
name = "{domain}"
provider = "main"
security = "{security}"
challenge = []
{domain_keys}

[admin]
address = "{address}"
port = {admin_port}
"""

LISTENER_TLS = """
[[listener]]
name = "phones-tls"
side = "phones"
transport = "tls"
address = "{address}"
port = {phone_tls_port}
certificate = "{chain}"
private_key = "{key}"
"""

LISTENER6 = """
[[listener]]
name = "phones6"
side = "phones"
transport = "udp"
address = "::1"
port = {phone_port6}
"""


@attrs.frozen
class GatewaySection:
    """How the gateway is set up."""

    address: str
    phone_port: int
    provider_port: int
    admin_port: int
    media_ports: tuple[int, int]
    certificate: Certificate
    trust: Path
    provider_uri: str
    domain: str
    phone_port6: int = 0  # phones come over IPv6, to this port of ::1, and their RTP too; 0: over IPv4
    phone_media: str = ""  # the address of media toward phones; none: address
    phone_tls_port: int = 0  # phones may come over TLS, to this port; 0: they may not
    provider_transport: str = "tls"
    nameserver: str = ""  # address:port of the DNS server to ask; none: the system's
    security: str = "required"
    rtpengine: str | None = None  # control address:port of a running one; None: our own workers
    workers: int = 1
    log_level: str = "info"
    domain_keys: str = ""  # further keys of its domain
    more: str = ""  # further tables of its configuration
    session_interval: int = 1800  # seconds


class Gateway:
    """A gateway which can be stopped and started again with the same state."""

    def __init__(self, terms: GatewaySection, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.terms = terms
        self.directory = directory
        self.configuration = directory / "gateway.toml"
        self.configuration.write_text(_configuration(terms))
        self._log = directory / "gateway.log"
        self.program: Program
        self.start()

    @property
    def phones_proxy(self) -> str:
        """Where phones send everything: address:port."""
        return f"{self.terms.address}:{self.terms.phone_port}"

    @property
    def phones_proxy6(self) -> str:
        """Where phones send everything over IPv6."""
        return f"[::1]:{self.terms.phone_port6}"

    @property
    def phones_tls_proxy(self) -> str:
        """Where phones send everything over TLS."""
        return f"{self.terms.address}:{self.terms.phone_tls_port}"

    def start(self) -> None:
        """Start it, and wait until it says it is healthy."""
        twist = Path(sys.executable).with_name("twist")
        argv = [str(twist), f"--log-level={self.terms.log_level}", "gateway", "--config", str(self.configuration)]
        self.program = Program(argv, self._log, cwd=ROOT)
        self.program.wait_until("healthy", lambda: self.fetch("/healthz") is not None, 15)

    def stop(self) -> None:
        """End it as a service manager does, and every worker that outlived it."""
        if self.program.is_running:
            self.program.stop(seconds=8)
        for pid in _processes_naming(self.directory / "state"):
            os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """As a crash does: no time to say goodbye."""
        self.program.process.kill()
        self.program.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def fetch(self, path: str) -> str | None:
        """The body of an admin page, None when nobody answers or it is no 200."""
        try:
            with urllib.request.urlopen(
                f"http://{self.terms.address}:{self.terms.admin_port}{path}", timeout=2
            ) as page:
                return str(page.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def verdicts(self) -> dict[str, str]:
        """What it claims of each call, by its direction: there is one of each at most."""
        calls = json.loads(self.fetch("/api/calls") or "[]")
        assert len({call["direction"] for call in calls}) == len(calls)
        return {call["direction"]: call["verdict"] for call in calls}

    def calls(self) -> list[dict[str, Any]]:
        """All that it tells of each call that it knows."""
        known = json.loads(self.fetch("/api/calls") or "[]")
        return [json.loads(self.fetch(f"/api/calls/{call['id']}") or "{}") for call in known]

    def counts(self) -> Counts:
        """How much of everything it holds at this moment."""
        told: Counts = json.loads(self.fetch("/api/counts") or "{}")
        return told

    def wait_empty(self, timers: int, seconds: float = 60) -> None:
        """Until nothing is left of any call, and of timers no more than so many."""

        def is_empty() -> bool:
            counts = self.counts()
            waiting = counts.pop("timers")
            counts.pop("bindings")
            counts.pop("connections")
            transactions = counts.pop("transactions")
            assert isinstance(waiting, int)
            assert isinstance(transactions, dict)
            return not any(counts.values()) and not any(transactions.values()) and waiting <= timers

        try:
            self.program.wait_until("empty", is_empty, seconds)
        except ProgramFailed as failed:
            raise ProgramFailed(f"still there: {self.counts()} of {timers} timers; {failed}") from None

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels; 0 when there is none."""
        total = 0.0
        for found in re.finditer(rf"^{name}(?:\{{(.*)\}})? (\S+)$", self.fetch("/metrics") or "", re.MULTILINE):
            if all(f'{label}="{value}"' in (found[1] or "") for label, value in labels.items()):
                total += float(found[2])
        return total

    def workers(self) -> list[int]:
        """Process ids of its media workers: those of its descendants that run gateway.media.worker."""
        return [pid for pid in _descendants(self.program.process.pid) if "worker" in _command_line(pid)]

    def kill_worker(self) -> None:
        """Let its one media worker die, and wait until another one serves."""
        (worker,) = self.workers()
        so_far = len(self.program.text())
        os.kill(worker, signal.SIGKILL)
        self.program.wait_for_line(r"worker \d+ is up", 10, after=so_far)
        assert worker not in self.workers()

    def wait_idle(self) -> None:
        """Until it carries no call any more."""
        self.program.wait_until("idle", lambda: self.metric("gateway_active_calls") == 0, 5)

    def assert_log_is_clean(self, secrets: Collection[bytes]) -> None:
        """No traceback, no key and no password in anything it wrote; and it is still alive, unless it was stopped."""
        if self.program.process.returncode not in (None, 0, -15):
            raise ProgramFailed(f"the gateway ended with {self.program.process.returncode}:\n{self.program.tail()}")
        text = self.program.text()
        bad = re.search(r"^.*(?:Traceback|Unhandled [Ee]rror|CRITICAL).*(?:\n.*){0,25}", text, re.MULTILINE)
        assert bad is None, f"the gateway's log {self._log} holds:\n{bad[0]}"
        for path, content in written_in(self.directory):
            found = [secret for secret in secrets if secret in content]
            assert not found, f"{path} holds {len(found)} secrets"


def _configuration(terms: GatewaySection) -> str:
    phone_media = "::1" if terms.phone_port6 else terms.phone_media
    values = attrs.asdict(terms, recurse=False) | {"chain": terms.certificate.chain, "key": terms.certificate.key}
    values |= {
        "nameservers": f'nameservers = ["{terms.nameserver}"]' if terms.nameserver else "",
        "listener_tls": LISTENER_TLS.format(**values) if terms.phone_tls_port else "",
        "relay": "rtpengine" if terms.rtpengine else "workers",
        "rtpengine": f'rtpengine = ["{terms.rtpengine}"]' if terms.rtpengine else "",
        "phone_media": f'phone_address = "{phone_media}"' if phone_media else "",
        "listener6": LISTENER6.format(phone_port6=terms.phone_port6) if terms.phone_port6 else "",
        # Over UDP a question that was answered stays for 5 s (timer K): asked as often as by default, one always would.
        "ping_seconds": 10 if terms.provider_transport == "udp" else 5,
        "first": terms.media_ports[0],
        "last": terms.media_ports[1],
    }
    return CONFIGURATION.format(**values) + terms.more


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in _children(pid)]
    return children + [grandchild for child in children for grandchild in _descendants(child)]


def _children(pid: int) -> list[str]:
    try:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [child for task in tasks for child in task.read_text().split()]
    except OSError:
        return []


def _processes_naming(path: Path) -> list[int]:
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in processes if f"{path}/" in _command_line(pid)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
