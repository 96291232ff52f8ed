"""One gateway process between a phone's place and a provider's, all over UDP on loopback, to be ill-treated.

Unlike the stage of tests/calls nothing here is a real phone: the subject is the gateway and its surroundings (its log,
its disk, its clock, its worker).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from gateway.app.succession import caretaker
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until
from tests.support.faults.provider import Provider

ROOT = Path(__file__).parents[3]
CARETAKER = str(Path(caretaker.__file__).resolve())
CLOCK = Path(__file__).parent / "clock"

CONFIGURATION = """\
[gateway]
name = "gw1"
state_directory = "state"
drain_seconds = 0

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{gateway}"
port = {phones}

[[listener]]
name = "provider"
side = "provider"
transport = "udp"
address = "{gateway}"
port = {trunk}

[media]
address = "{gateway}"
ports = "{first}-{last}"
workers = 1

[[provider]]
name = "main"
uri = "sip:{provider}:{provider_port};transport=udp"

[[domain]]
name = "example.com"
provider = "main"
security = "off"

[admin]
address = "{gateway}"
port = {admin}
"""


class Rig:
    """A gateway in `directory`, its provider, and the ways to look at both."""

    starter: tuple[str, ...] = ()
    """A program that starts it, and its arguments."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.hosts = hosts
        self.directory = directory
        self.state = directory / "state"
        self.log = directory / "gateway.log"
        self.provider = Provider(hosts.provider, hosts.port(hosts.provider))
        self.phones, self.trunk, self.admin = (hosts.port(hosts.gateway) for _ in range(3))
        first = self.first_media_port = hosts.port(hosts.gateway, 400)
        self.configuration = directory / "gateway.toml"
        self.configuration.write_text(
            CONFIGURATION.format(
                gateway=hosts.gateway,
                phones=self.phones,
                trunk=self.trunk,
                admin=self.admin,
                first=first,
                last=first + 399,
                provider=hosts.provider,
                provider_port=self.provider.port,
            )
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def proxy(self) -> tuple[str, int]:
        """Where phones send everything."""
        return self.hosts.gateway, self.phones

    def launch(
        self,
        output: IO[bytes] | int | None = None,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        level: str = "info",
        log_format: str = "text",
    ) -> subprocess.Popen[bytes]:
        """Start it and wait for nothing; its output goes to the log unless told."""
        argv = [
            *self.starter,
            str(Path(sys.executable).with_name("twist")),
            f"--log-level={level}",
            f"--log-format={log_format}",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, "gateway", "--config", str(self.configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=log if output is None else subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                preexec_fn=before,
                start_new_session=True,
            )
        return self.process

    def start(self, **how: Any) -> None:
        """Start it, and wait until it answers."""
        process = self.launch(**how)
        wait_until(
            "the gateway is up",
            lambda: process.poll() is not None or (self.fetch("/healthz") is not None and self.is_ready()),
            40,
        )
        assert process.poll() is None, self.text()

    def is_ready(self) -> bool:
        """Whether calls would find a media worker."""
        return 'gateway_media_relays{state="up"} 1.0' in (self.fetch("/metrics") or "")

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 10) -> None:
        """Until the log holds that."""
        try:
            wait_until(text, lambda: text in self.text(), seconds)
        except AssertionError:
            raise AssertionError(f"{text!r} is not in the log:\n{self.text()}") from None

    def fetch(self, path: str) -> str | None:
        """An admin page; None when nobody answers within two seconds."""
        try:
            with urllib.request.urlopen(f"http://{self.hosts.gateway}:{self.admin}{path}", timeout=2) as page:
                return str(page.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def json(self, path: str) -> Any:
        return json.loads(self.fetch(path) or "null")

    def metric(self, name: str) -> float:
        """The sum of all samples of a metric."""
        lines = (self.fetch("/metrics") or "").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def workers(self) -> list[int]:
        """Process ids of the media workers that have its address and ports."""
        wanted = {f"--ports={self.first_media_port}-", f"--interface=phones/{self.hosts.gateway}"}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            if all(any(one.startswith(start) for one in arguments) for start in wanted):
                found.append(int(entry.name))
        return found

    def gateways(self) -> list[int]:
        """Process ids of all gateways with its configuration."""
        return [pid for pid, arguments in self._started() if CARETAKER not in arguments]

    def caretakers(self) -> list[int]:
        """Process ids of those that look after calls that a gateway of its has left."""
        return [pid for pid, arguments in self._started() if CARETAKER in arguments]

    def configure(self, *lines: str) -> None:
        """Put lines into [gateway], in the place of the drain of no length."""
        text = self.configuration.read_text()
        assert "drain_seconds = 0\n" in text
        self.configuration.write_text(text.replace("drain_seconds = 0\n", "\n".join((*lines, ""))))

    def _started(self) -> list[tuple[int, list[str]]]:
        """Processes that have its configuration on their command line, with that."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            if "--config" in arguments and str(self.configuration) in arguments:
                found.append((int(entry.name), arguments))
        return found

    def records(self) -> list[dict[str, Any]]:
        """The call detail records."""
        file = self.state / "cdr.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def kill(self) -> None:
        """As a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 20) -> int:
        """As a service manager does; its exit status (twist ends by the signal that it got)."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(seconds)

    def close(self) -> None:
        """End everything, whatever came of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid, _ in self._started():  # that a gateway has started
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while (pids := self.workers()) and time.monotonic() < deadline:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.provider.close()
