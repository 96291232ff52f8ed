"""A running gateway whose administration interface speaks HTTPS, and the programs that ask it: curl and gatewayctl."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import attrs
import trustme

from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import find_program, wait_until
from tests.support.faults.rig import Rig

NAME = "gw.example.com"
PASSWORD = "correct horse battery"
READY = "gateway.app.gateway: ready"


@attrs.frozen
class Curled:
    """An answer that curl got."""

    status: int
    fields: dict[str, str]
    text: str


@attrs.frozen
class Followed:
    """An answer that goes on, and the program that reads it."""

    process: subprocess.Popen[bytes]
    file: IO[bytes]

    def text(self) -> str:
        """All that came so far."""
        return os.pread(self.file.fileno(), 1 << 20, 0).decode()

    def close(self) -> None:
        """Read no more."""
        self.process.kill()
        self.process.wait()
        self.file.close()


class AdminGateway:
    """It, in a directory of its own."""

    def __init__(self, hosts: Hosts, directory: Path, admin: str = "") -> None:
        self._curl = find_program("curl", "curl")
        self.rig = Rig(hosts, directory)
        self.directory = directory
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        self.renew()
        more = f'certificate = "admin.pem"\nprivate_key = "admin.key"\nnames = ["{NAME}"]\n{admin}'
        self.rig.configuration.write_text(self.rig.configuration.read_text() + more)
        self.url = f"https://{NAME}:{self.rig.admin}"

    def renew(self) -> None:
        """A new certificate and key."""
        made = self.authority.issue_cert(NAME, self.rig.hosts.gateway)
        (self.directory / "admin.key").unlink(missing_ok=True)
        made.private_key_pem.write_to_path(str(self.directory / "admin.key"))
        (self.directory / "admin.key").chmod(0o600)
        made.cert_chain_pems[0].write_to_path(str(self.directory / "admin.pem"))

    def begin(self) -> None:
        """Start it, and wait until it is ready."""
        before = self.rig.text().count(READY) if self.rig.log.exists() else 0
        process = self.rig.launch()
        wait_until("it is ready", lambda: process.poll() is not None or self.rig.text().count(READY) > before, 40)
        assert process.poll() is None, self.rig.text()

    def close(self) -> None:
        self.rig.close()

    def ctl(self, *arguments: str, typed: str = "", status: int = 0, **environment: str) -> str:
        """The output of gatewayctl; its exit status is that."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("gatewayctl")), *arguments],
            input=typed,
            capture_output=True,
            text=True,
            timeout=30,
            cwd=self.directory,
            env={**os.environ, "GATEWAY_CONFIG": str(self.rig.configuration), **environment},
            check=False,
        )
        assert done.returncode == status, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def add(self, name: str, role: str = "admin") -> None:
        """A user with the usual password."""
        self.ctl("users", "add", name, "--role", role, "--password-stdin", typed=f"{PASSWORD}\n")

    def curl(self, path: str, *more: str) -> Curled:
        """An answer over HTTPS."""
        port, address = self.rig.admin, self.rig.hosts.gateway
        options = [self._curl, "--silent", "--show-error", "--include", "--max-time", "20", "--cacert", "ca.pem"]
        done = subprocess.run(
            [*options, "--path-as-is", "--resolve", f"{NAME}:{port}:{address}", *more, f"{self.url}{path}"],
            capture_output=True,
            text=True,
            cwd=self.directory,
            check=True,
        )
        head, _, text = done.stdout.partition("\n\n")
        status, *lines = head.splitlines()
        fields = dict(re.findall(r"^([\w-]+): (.*)$", "\n".join(lines).lower(), re.M))
        return Curled(int(status.split()[1]), fields, text)

    def follow(self, path: str, *more: str) -> Followed:
        """An answer that goes on, as it comes."""
        port, address = self.rig.admin, self.rig.hosts.gateway
        options = [self._curl, "--silent", "--no-buffer", "--max-time", "30", "--cacert", "ca.pem"]
        resolve = ("--resolve", f"{NAME}:{port}:{address}")
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program
        asked = [*options, *resolve, *more, f"{self.url}{path}"]
        return Followed(subprocess.Popen(asked, stdout=file, cwd=self.directory), file)

    def log_in(self, name: str, *more: str) -> Curled:
        """Log in as a browser does; cookies are in the file jar."""
        typed = ("--data-urlencode", f"name={name}", "--data-urlencode", f"password={PASSWORD}")
        return self.curl("/login", "--cookie-jar", "jar", "--header", f"Origin: {self.url}", *typed, *more)

    def metric(self, token: str, name: str) -> Any:
        """The sum of a metric's samples."""
        text = self.curl("/metrics", "--header", f"Authorization: Bearer {token}").text
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)
