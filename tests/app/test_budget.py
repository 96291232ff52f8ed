"""The price of a call: functions that are called for it inside the gateway (bench/calls/budget.py), which no other load
of the machine changes. A feature that makes each call dearer is to be noticed here, and not years later in a table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT = 2450
"""As Python 3.11 counts 2,369, and 2,411 where the kernel picks ports above 59,999; later versions count fewer. It may
fall. A commit that raises it says for which feature, and docs/performance.md by how much calls have become dearer."""


def test_a_call_takes_no_more_function_calls_than_it_did() -> None:
    command = [sys.executable, "-m", "bench.calls.budget", "--calls"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    calls = int(done.stdout)
    assert 1000 < calls <= LIMIT
