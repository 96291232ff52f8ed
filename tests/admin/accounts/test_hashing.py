"""The threads of passwords: two at once, two that wait, and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred

from gateway.admin.accounts import passwords
from gateway.admin.accounts.hashing import AT_ONCE, WAITING, Busy, Hashing


class Later:
    """Threads whose work is done when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[object], Callable[[], object]]] = []

    def run(self, work: Callable[[], object]) -> Deferred[object]:
        deferred: Deferred[object] = Deferred()
        self.waiting.append((deferred, work))
        return deferred

    def finish(self) -> None:
        deferred, _ = self.waiting.pop(0)
        deferred.callback(True)


def test_so_many_run_so_many_wait_and_the_next_is_told_to_come_again() -> None:
    later, results = Later(), list[object]()
    hashing = Hashing(later.run)

    def ask() -> None:
        asked = Deferred.fromCoroutine(hashing.matches("secret", "kept"))
        asked.addBoth(lambda result: results.append(getattr(result, "value", result)))

    for _ in range(AT_ONCE + WAITING):
        ask()
    assert (len(later.waiting), results) == (AT_ONCE, [])
    for _ in range(1000):
        ask()
    assert len(results) == 1000
    assert all(isinstance(result, Busy) for result in results)
    results.clear()
    later.finish()
    assert (len(later.waiting), results) == (AT_ONCE, [True])
    ask()
    ask()
    assert isinstance(results[-1], Busy), "there is room for one"
    while later.waiting:
        later.finish()
    assert results.count(True) == AT_ONCE + WAITING + 1


def test_work_that_fails_makes_room_for_the_next() -> None:
    def fails(work: Callable[[], object]) -> Deferred[object]:
        raise RuntimeError

    hashing, failures = Hashing(fails), list[object]()
    for _ in range(10):
        Deferred.fromCoroutine(hashing.hash_of("secret")).addErrback(lambda failure: failures.append(failure.value))
    assert [type(failure) for failure in failures] == [RuntimeError] * 10


def test_hashes_are_those_of_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet.defer import succeed

    hashing, results = Hashing(lambda work: succeed(work())), list[object]()
    Deferred.fromCoroutine(hashing.hash_of("correct horse battery")).addCallback(results.append)
    (kept,) = results
    assert passwords.matches("correct horse battery", str(kept))
