"""A machine as the pages describe it, below one directory, with a gateway that runs.

    pages' places -> a directory of this test; pages' addresses -> loopback addresses of this run; sudo -> nothing

The gateway is configured by the blocks of docs/first-provider.md, so that its reader gets one that starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until
from tests.support.docs.files import make_named_files
from tests.support.docs.pages import ROOT, Block, blocks

PROGRAMS: Final = Path(sys.executable).parent
PATIENCE: Final = 20.0
"""Seconds that an output may take: media workers are asked every ten."""
READY: Final = "gateway.app.gateway: ready"
SUDO: Final = """\
#!/bin/sh
[ "$1" = -u ] && shift 2
exec "$@"
"""


def first_configuration() -> str:
    """The configuration that docs/first-provider.md makes."""
    return "\n".join(block.text for block in blocks("first-provider") if block.language == "toml")


class Machine:
    """It."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        self.directory = directory
        self.admin, phones, provider = (hosts.port(hosts.gateway) for _ in range(3))
        self._places = {
            "/etc/gateway": f"{directory}/etc/gateway",
            "/var/lib/gateway": f"{directory}/var/lib/gateway",
            "/var/backups/gateway": f"{directory}/var/backups/gateway",
            "/root/gateway-ca": f"{directory}/root/gateway-ca",
            "/opt/gateway/bin": str(PROGRAMS),
            "http://127.0.0.1:8080": f"http://{hosts.gateway}:{self.admin}",
            "port = 5060": f"port = {phones}",
            "port = 5061": f"port = {provider}",
            "192.0.2.10:5061": f"{hosts.gateway}:{provider}",
            "192.0.2.10": hosts.gateway,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "gateway.log"
        for place in ("etc/gateway", "var/lib/gateway", "var/backups", "root", "bin", "checkout"):
            (directory / place).mkdir(parents=True)
        for found in ROOT.iterdir():
            if not found.name.startswith("."):
                (directory / "checkout" / found.name).symlink_to(found)
        (directory / "bin/sudo").write_text(SUDO)
        (directory / "bin/sudo").chmod(0o755)
        (directory / "var/lib/gateway/cdr.jsonl").touch(0o600)
        text = self._here(first_configuration())
        self.configuration = directory / "etc/gateway/gateway.toml"
        self.configuration.write_text(f'{text}\n[admin]\naddress = "{hosts.gateway}"\nport = {self.admin}\n')
        make_named_files(text, directory / "etc/gateway")

    def begin(self) -> None:
        """Start the gateway, and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = process = subprocess.Popen(
                [PROGRAMS / "twist", "--log-format=text", "gateway", "--config", self.configuration],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, start_new_session=True,
            )  # fmt: skip
        wait_until("the gateway is ready", lambda: process.poll() is not None or READY in self._log.read_text(), 40)
        assert process.poll() is None, self._log.read_text()

    def run(self, block: Block) -> str:
        """The output of the block's commands, all of which have to succeed; a figure that is shown may take a while."""
        until = time.monotonic() + (PATIENCE if block.output is not None else 0)
        while (done := self._try(block)).returncode != 0 and time.monotonic() < until:
            time.sleep(0.5)
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{block}: exit {done.returncode}\n{block.text}\n{told}"
        return self._as_the_pages(told)

    def _try(self, block: Block) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", self._here(block.text)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.directory / "checkout",
            env=self._environment(),
        )

    def close(self) -> None:
        """End the gateway."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(40)

    def _environment(self) -> dict[str, str]:
        path = f"{self.directory}/bin:{PROGRAMS}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "GATEWAY_CONFIG": str(self.configuration), "HOME": str(self.directory)}

    def _here(self, text: str) -> str:
        for theirs, ours in self._places.items():
            text = text.replace(theirs, ours)
        return text

    def _as_the_pages(self, text: str) -> str:
        for theirs, ours in self._places.items():
            text = text.replace(ours, theirs)
        return text
