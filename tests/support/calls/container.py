"""The gateway under test as an operator runs its image: podman, read-only, without a capability, by user 5060.

    conf/  -> /etc/gateway, read-only: gateway.toml, its certificate, its trust      state/ -> /var/lib/gateway

The image is built before (`make test-container`). The host's network: its loopback addresses are the test's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import attrs

from tests.support.calls.certificates import Certificate
from tests.support.calls.gateway import Gateway, GatewaySection
from tests.support.calls.processes import Program, find_program
from tests.support.calls.rtpengine import Rtpengine

IMAGE: Final = "localhost/sip-security-gateway"
RTPENGINE: Final = "localhost/sip-security-gateway-rtpengine"
USER: Final = 5060
ETC: Final = Path("/etc/gateway")


def podman(*arguments: str, check: bool = True) -> str:
    """What podman prints. Raises CalledProcessError, with its words, where it fails."""
    command = [find_program("podman", "podman"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"podman {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def in_image(*command: str, check: bool = True) -> str:
    """The output of a command in a fresh container of the image."""
    program, *arguments = command
    return podman(
        "run", "--rm", "--read-only", "--network=none", "--entrypoint", program, IMAGE, *arguments, check=check
    )


def run_bounded(name: str) -> list[str]:
    """The command line that runs a container as docker-compose.yml does; the image comes next."""
    bounds = ["--network=host", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
    return [find_program("podman", "podman"), "run", "--rm", f"--name={name}", *bounds]


class ContainerRtpengine(Rtpengine):
    """An rtpengine in its image."""

    def _command(self, directory: Path) -> list[str]:
        self._name = f"rtpengine-{os.getpid()}-{directory.parent.name}"
        return [*run_bounded(self._name), RTPENGINE]

    def stop(self) -> None:
        """End it as `docker stop` does."""
        podman("stop", "--ignore", "--time=5", self._name, check=False)
        super().stop()


class ContainerGateway(Gateway):
    """A gateway in a container, which can be stopped and started again with the same state."""

    def __init__(self, terms: GatewaySection, directory: Path) -> None:
        self.name = f"gateway-{os.getpid()}-{terms.admin_port}"
        self.conf, self.state = directory / "conf", directory / "state"
        for folder in (self.conf, self.state):
            folder.mkdir(parents=True)
        for file in (terms.certificate.chain, terms.certificate.key, terms.trust):
            shutil.copy(file, self.conf)
        inside = Certificate(ETC / terms.certificate.chain.name, ETC / terms.certificate.key.name)
        super().__init__(attrs.evolve(terms, certificate=inside, trust=ETC / terms.trust.name), directory)

    def start(self) -> None:
        """Run it, and wait until it says it is healthy."""
        text = self.configuration.read_text().replace('"state"', '"/var/lib/gateway"')
        (self.conf / "gateway.toml").write_text(text)
        for path in (self.conf, *self.conf.iterdir(), self.state):
            os.chown(path, USER, USER)
        argv = [
            *run_bounded(self.name),
            f"--volume={self.conf}:{ETC}:ro",
            f"--volume={self.state}:/var/lib/gateway",
            IMAGE,
        ]
        self.program = Program(argv, self._log)
        self.program.wait_until("healthy", lambda: self.fetch("/healthz") is not None, 20)

    def stop(self) -> None:
        """End it as `docker stop` does."""
        podman("stop", "--ignore", "--time=20", self.name, check=False)
        self.program.stop()
        podman("rm", "--force", "--ignore", self.name, check=False)

    def kill(self) -> None:
        """As a crash does."""
        podman("kill", self.name)
        self.program.stop()

    def ctl(self, *arguments: str) -> str:
        """What `gatewayctl` prints in the container."""
        return podman("exec", self.name, "gatewayctl", *arguments)
