"""The gateway under test as a process: started, asked and switched over its administration interface, ended."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import cast

from tests.support.calls.processes import Program, ProgramFailed, wait_until

ROOT = Path(__file__).parents[3]
Row = dict[str, object]
UP = re.compile(r"^gateway_active_calls(?:\{.*\})? (?!0(?:\.0)?$)", re.MULTILINE)
OVER_WITHIN = 15.0  # seconds


class MatrixGateway:
    """`twist gateway` with one configuration. The thread that makes it must live as long as it (``Program``)."""

    def __init__(self, configuration: str, admin: tuple[str, int], directory: Path) -> None:
        self._url = f"http://{admin[0]}:{admin[1]}"
        self._file = file = directory / "gateway.toml"
        file.write_text(configuration)
        twist = Path(sys.executable).with_name("twist")
        argv = [str(twist), "--log-level=info", "--log-format=text", "gateway", "--config", str(file)]
        self.program = Program(argv, directory / "gateway.log", cwd=ROOT)

    def wait_healthy(self) -> None:
        """Until it answers."""
        self.program.wait_until("healthy", self._is_healthy, 30)

    def stop(self) -> None:
        self.program.stop(seconds=8)

    def calls(self) -> list[Row]:
        """A summary of each call, the latest first."""
        return cast("list[Row]", json.loads(self._get("/api/calls")))

    def call(self, identity: str) -> Row:
        """All that it claims of one call."""
        return cast("Row", json.loads(self._get(f"/api/calls/{identity}")))

    def wait_over(self) -> None:
        """Until no call is up: its claim is not whole before. One that does not end is told by its claim."""
        try:
            wait_until("no call is up", lambda: UP.search(self.metrics()) is None, OVER_WITHIN)
        except ProgramFailed:
            return

    def metrics(self) -> str:
        return self._get("/metrics")

    def switch(self, domain: str, security: str) -> None:
        """Set a domain's policy at run time, as `gatewayctl domain` does."""
        self._post(f"/api/domains/{domain}", {"security": security})

    def learn(self, provider: str) -> None:
        """Expect TLS and SRTP of a provider, as `gatewayctl peers learn` does."""
        self._post("/api/peers/learn", {"name": provider, "features": ["tls", "srtp"]})

    def reload_with(self, more: str) -> None:
        """Add to the configuration file, and let it be read again."""
        with self._file.open("a") as file:
            file.write(more)
        self._post("/api/reload", {})

    def _post(self, path: str, what: Row) -> None:
        body, kind = json.dumps(what).encode(), {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self._url}{path}", body, kind, method="POST")
        urllib.request.urlopen(asked, timeout=5).close()

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self._url}{path}", timeout=10) as page:
            return str(page.read().decode())

    def _is_healthy(self) -> bool:
        try:
            return bool(self._get("/healthz"))
        except OSError:
            return False
