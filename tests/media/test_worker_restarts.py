"""A worker whose process has ended is started again: at once where it had lived, else later and later."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.media.worker_process import LONG_LIFE_SECONDS, LONGEST_DELAY_SECONDS, WorkerOptions, WorkerProcess


class Started:
    """A reactor's processes: each time one is started."""

    def __init__(self, clock: Clock) -> None:
        self.times: list[float] = []
        self._clock = clock

    def spawnProcess(self, protocol: ProcessProtocol, *_: Any, **more: Mapping[int, int]) -> object:
        self.times.append(self._clock.seconds())
        return object()


class Scene:
    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.started = Started(self.clock)
        self.deaths = 0
        options = WorkerOptions(directory / "worker.sock", ("127.0.0.1",), 20_000, 20_099)
        self.worker = WorkerProcess(self.clock, self.started, options)  # type: ignore[arg-type]
        self.worker.start(self._died)

    def live_and_end(self, seconds: float) -> float:
        """Seconds between the end of its process and the next one's start."""
        self.clock.advance(seconds)
        ended, count = self.clock.seconds(), len(self.started.times)
        self.worker.processEnded(Failure(ProcessTerminated(signal=9)))
        while len(self.started.times) == count:
            self.clock.advance(0.01)
            assert self.clock.seconds() - ended < 2 * LONGEST_DELAY_SECONDS
        return self.started.times[-1] - ended

    def _died(self) -> None:
        self.deaths += 1


def test_a_worker_that_had_lived_is_started_again_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.live_and_end(LONG_LIFE_SECONDS + 1) <= 0.01
    assert scene.deaths == 1


def test_one_that_ends_again_and_again_is_started_later_and_later(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    waits = [scene.live_and_end(0.1) for _ in range(12)]
    assert waits[0] == pytest.approx(0.2, abs=0.02)
    assert all(later > earlier - 0.02 for earlier, later in pairwise(waits))
    assert waits[-1] == pytest.approx(LONGEST_DELAY_SECONDS, abs=0.02)
    assert scene.live_and_end(LONG_LIFE_SECONDS + 1) <= 0.01
    assert scene.live_and_end(0.1) == pytest.approx(0.2, abs=0.02)


def test_a_worker_answers_before_openssl_is_loaded() -> None:
    """It is half of a start, and calls wait for a worker that replaces a dead one."""
    look = "import sys, gateway.media.worker.__main__; print(sorted({'OpenSSL', 'cryptography'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"
