"""Runs all tests: `python -m tools.run_tests`, part of `make test`. Exits 0 where they hold.

Most run in three processes, a file at a time: tests with real programs wait two thirds of their time, for ringing, for
speech and for timers of protocols, and leave the cores to others. Those that time audio or pages, or play hundreds of
calls at once, have the mark `alone` and run after them, one by one. Real phones beside each other on two busy cores
are late now and then. So up to three tests that failed are run a second time with the machine to themselves, and the
last lines name each: one that fails again fails the run, and one that holds is still to be explained. More than three
are no matter of chance, and nothing is run again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROCESSES = 3
"""That run tests beside each other: a fourth would find no processor free on two cores."""
LONGEST = ("--durations=20", "--durations-min=5")
"""The longest tests are told: the whole takes half an hour at most."""
SECOND_LOOKS = 3
"""Tests at most that are run a second time."""
TESTS_FAILED = 1
"""pytest's exit status where tests ran and some failed; others mean that some did not run."""


def pytest(*arguments: str) -> int:
    """Run pytest in the checkout; return its exit status."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode


def failed_tests() -> list[str]:
    """The tests that failed in the runs since the cache was cleared, as pytest keeps them."""
    kept = ROOT / ".pytest_cache/v/cache/lastfailed"
    return sorted(json.loads(kept.read_text())) if kept.exists() else []


def main() -> int:
    """Run both parts, then look again at the few that failed."""
    # In the order of their names: by themselves, files with few tests come last, and those are the long ones.
    sharing = (f"--numprocesses={PROCESSES}", "--dist=loadfile", "--no-loadscope-reorder")
    beside = pytest("--cache-clear", *sharing, *LONGEST, "-m", "not alone", "tests")
    statuses = {beside, pytest(*LONGEST, "-m", "alone", "tests")} - {0}
    failed = failed_tests()
    if statuses != {TESTS_FAILED} or not 0 < len(failed) <= SECOND_LOOKS:
        return max(statuses, default=0)
    again = pytest("--last-failed", "--last-failed-no-failures=none", *failed)
    still = failed_tests()
    for name in failed:
        told = "failed twice" if name in still else "failed beside others, and held alone: still to be explained"
        print(f"{name}: {told}")
    return again


if __name__ == "__main__":
    sys.exit(main())
