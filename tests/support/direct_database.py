"""A database that does everything at once, in the test's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.state import table as kept
from gateway.state.sqlite import Preparation

Result = TypeVar("Result")


class DirectDatabase:
    """The database of a KeptTable; can be told to fail."""

    def __init__(self, path: Path, prepare: Preparation = kept.prepare) -> None:
        self._prepare = prepare
        self._connection = sqlite3.connect(path, timeout=0.05)
        self.clock = Clock()
        self.failing = False
        self.closed = False

    def run_interaction(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        try:
            if self.failing:
                raise sqlite3.OperationalError("disk is full")
            self._prepare(self._connection)
            with self._connection:
                return succeed(work(cast(Transaction, self._connection.cursor())))
        except sqlite3.Error:
            return fail()

    def close(self) -> None:
        self._connection.close()
        self.closed = True


def got(deferred: Deferred[Result]) -> Result:
    """The result that a Deferred has already."""
    results: list[Result] = []
    deferred.addCallback(results.append)
    assert results, "not there at once"
    return results[0]
