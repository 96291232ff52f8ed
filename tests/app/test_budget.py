"""The price of a call: functions that are called for it inside the gateway, and instructions of Python's that it takes
(bench/calls/budget.py), neither of which another load of the machine changes. A feature that makes each call dearer is
to be noticed here, and not years later in a table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CALLS = 1585
"""As Python 3.11 counts 1,882; later versions count fewer."""
INSTRUCTIONS = 30_450 if sys.version_info < (3, 12) else 36_400
"""As Python 3.11 counts 30,880; later versions count otherwise."""
AFTER = 140
"""Function calls after a call's end, until its last timer is over; among them its record and its lines of the log.

All may fall. A commit that raises one says for which feature, and docs/performance.md by how much calls have become
dearer."""


def test_a_call_takes_no_more_than_it_did() -> None:
    command = [sys.executable, "-m", "bench.calls.budget", "--count"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    calls, instructions, after = map(int, done.stdout.split())
    assert 1000 < calls <= CALLS
    assert 15_000 < instructions <= INSTRUCTIONS
    assert 10 < after <= AFTER
