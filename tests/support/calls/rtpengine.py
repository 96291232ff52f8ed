"""A real rtpengine, in user space, steered over its NG protocol."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.support.calls.processes import Program, find_program


class Rtpengine:
    """A running rtpengine with its control port and media ports at one address."""

    def __init__(self, address: str, control_port: int, media_ports: tuple[int, int], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.control = f"{address}:{control_port}"
        first, last = media_ports
        argv = [f"--interface={address}", f"--listen-ng={self.control}", f"--port-min={first}", f"--port-max={last}"]
        argv += ["--num-threads=2", "--log-level=6"]
        self.program = Program([*self._command(directory), *argv], directory / "rtpengine.log", cwd=directory)
        self.program.wait_until("it answers a ping", lambda: _answers(address, control_port), 15)

    def _command(self, directory: Path) -> list[str]:
        """The program, and options that are not the call's."""
        program = [find_program("rtpengine", "rtpengine-daemon"), "--config-file=none", "--table=-1", "--foreground"]
        return [*program, "--log-stderr", f"--pidfile={directory / 'pid'}"]

    def stop(self) -> None:
        self.program.stop()


def _answers(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect((address, port))
        try:
            asking.send(b'1 {"command":"ping"}')
            return b"pong" in asking.recv(2048)
        except OSError:
            return False
