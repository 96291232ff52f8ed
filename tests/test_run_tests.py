"""The run of all tests fails for each failure, but for the few that hold when they are alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tools import run_tests

HELD, FAILED, INTERRUPTED, CRASHED = 0, 1, 2, 3


@pytest.mark.parametrize(
    ("statuses", "failed", "status", "looks"),
    [
        ((HELD, HELD), [], HELD, 2),
        ((FAILED, HELD, HELD), ["tests/a.py::test"], HELD, 3),
        ((HELD, FAILED, HELD), ["a", "b", "c"], HELD, 3),
        ((FAILED, FAILED, FAILED), ["a", "b"], FAILED, 3),
        ((FAILED, HELD), ["a", "b", "c", "d"], FAILED, 2),
        ((INTERRUPTED, FAILED), ["a"], INTERRUPTED, 2),
        ((FAILED, CRASHED), ["a"], CRASHED, 2),
        ((FAILED, HELD), [], FAILED, 2),
    ],
)
def test_few_failures_are_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, statuses: Sequence[int], failed: list[str], status: int, looks: int
) -> None:
    given = iter(statuses)
    asked: list[tuple[str, ...]] = []

    def run(*arguments: str) -> int:
        asked.append(arguments)
        return next(given)

    monkeypatch.setattr(run_tests, "pytest", run)
    monkeypatch.setattr(run_tests, "failed_tests", lambda: failed)
    assert run_tests.main() == status
    assert len(asked) == looks
    if looks == 3:
        assert "--last-failed" in asked[2]
        assert asked[2][2:] == tuple(failed)


def test_both_parts_together_are_all_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same place, and a mark that a test has or has not: pytest knows it, however it was given."""
    asked: list[tuple[str, ...]] = []

    def run(*arguments: str) -> int:
        asked.append(arguments)
        return HELD

    monkeypatch.setattr(run_tests, "pytest", run)
    assert run_tests.main() == HELD
    beside, alone = asked
    assert beside[-3:] == ("-m", "not alone", "tests")
    assert alone[-3:] == ("-m", "alone", "tests")
