"""Debian's redis-server as the store of a pair: started, stopped, emptied, made to stand still."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gateway.state.cluster import scripts
from tests.support.calls.processes import Program, find_program, wait_until


class RedisServer:
    """One server that keeps nothing on the disk. `more` are further arguments."""

    def __init__(self, host: str, port: int, directory: Path, *more: str) -> None:
        self.host = host
        self.port = port
        self.log = directory / f"redis-{port}.log"
        self._directory = directory
        self._more = more
        self._program: Program | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    def start(self) -> None:
        """Start it, empty, and wait until it listens."""
        argv = [find_program("redis-server", "redis-server"), "--bind", self.host, "--port", str(self.port)]
        argv += ["--save", "", "--appendonly", "no", "--dir", str(self._directory), *self._more]
        self._program = Program(argv, self.log)
        wait_until("the store answers", self._answers, 20)

    def stop(self) -> None:
        """End it; all that it held is lost."""
        if self._program is not None:
            self.resume()
            self._program.stop()
            self._program = None

    def be_used(self) -> None:
        """Let the store be of a pair that had a lease before: a new one keeps the first node waiting for a while."""
        self.ask("SET", scripts.key("gateway", "epoch"), "0")

    def pause(self) -> None:
        """Let it stand still: it takes connections and answers none."""
        assert self._program is not None
        self._program.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._program is not None
        self._program.process.send_signal(signal.SIGCONT)

    def ask(self, *command: str | bytes) -> bytes:
        """The answer to a command as redis-cli shows it."""
        argv = [find_program("redis-cli", "redis-tools"), "-h", self.host, "-p", str(self.port), *command]
        return subprocess.run(argv, capture_output=True, timeout=20, check=True).stdout

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key with all that it holds, as bytes."""
        for key in self.ask("--scan").splitlines():
            kind = self.ask("TYPE", key).strip()
            yield key, self.ask(*(("HGETALL", key) if kind == b"hash" else ("GET", key)))

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as made:
                made.sendall(b"PING\r\n")
                return bool(made.recv(16))
        except OSError:
            return False
