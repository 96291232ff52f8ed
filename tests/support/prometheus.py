"""Debian's Prometheus, with the configuration and the alerts of deploy/, asking a gateway once a second."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.calls.processes import Program, find_program

DEPLOY = Path(__file__).parents[2] / "deploy"
STEP = 2  # seconds

Row = dict[str, Any]


class Prometheus:
    """One running server. `stop` ends it."""

    def __init__(self, listen: tuple[str, int], target: tuple[str, int], directory: Path) -> None:
        directory.mkdir()
        file = directory / "prometheus.yml"
        text = (
            (DEPLOY / "prometheus.yml")
            .read_text()
            .replace("15s", "1s")
            .replace('"127.0.0.1:8080"', f'"{target[0]}:{target[1]}"')
        )
        file.write_text(text.replace("/etc/prometheus/alerts.yml", str(DEPLOY / "prometheus-alerts.yml")))
        self._url = f"http://{listen[0]}:{listen[1]}/api/v1/"
        self._began = time.time()
        argv = [find_program("prometheus", "prometheus"), f"--config.file={file}", "--log.level=warn"]
        argv += [f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address={listen[0]}:{listen[1]}"]
        self.program = Program(argv, directory / "prometheus.log", cwd=directory)
        self.program.wait_until("it asks the gateway", self._is_asking, 30)

    def stop(self) -> None:
        self.program.stop(seconds=5)

    def over_time(self, expression: str) -> list[Row]:
        """The series of an expression since the start, as a panel shows them. AssertionError where it is no PromQL."""
        asked = {"query": expression, "start": self._began, "end": time.time(), "step": STEP}
        found: list[Row] = self._ask("query_range", asked)["result"]
        return found

    def rules(self) -> list[Row]:
        """Every rule, with the health of its last evaluation."""
        return [rule for group in self._ask("rules", {})["groups"] for rule in group["rules"]]

    def _is_asking(self) -> bool:
        try:
            return bool(self._ask("query", {"query": 'up{job="gateway"} == 1'})["result"])
        except (OSError, AssertionError):  # not there, or not ready
            return False

    def _ask(self, path: str, asked: Row) -> Row:
        try:
            with urllib.request.urlopen(f"{self._url}{path}?{urllib.parse.urlencode(asked)}", timeout=10) as page:
                answer: Row = json.loads(page.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{asked}: {error.read().decode()}") from None
        data: Row = answer["data"]
        return data
