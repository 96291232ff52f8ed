"""Copies behind an active node: batches, whole copies, and a store that is silent, emptied, or another's."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.state.cluster.cluster_seal import ClusterSeal
from gateway.state.cluster.cluster_store import ClusterStore
from gateway.state.cluster.copying import ALL_OF_IT, FLUSH_SECONDS, NOTED, RETRY_SECONDS, Copying
from gateway.state.cluster.replica import Page
from tests.support.cluster.memory_store import MemoryStore

KEYS = (b"1" * 32,)
TOKEN = "a 1 1000.0 p"


class Copied:
    """A node that copies the file `f`, whose entries are in `file`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore()
        self.store.held = TOKEN
        self.file: dict[bytes, bytes] = {}
        self.completed: list[str] = []
        store: Any = self.store
        self.copying = Copying(cast(ClusterStore, store), KEYS, self.clock, self.completed.append)
        self.copying.add("f", self.page)

    def page(self, mark: Any) -> Deferred[Page]:
        return succeed(Page(sorted(self.file.items()), None))

    def begin(self) -> None:
        self.copying.begin(TOKEN, self.store.state)
        self.passes()

    def passes(self, seconds: float = FLUSH_SECONDS * 1.01) -> None:
        for _ in range(round(seconds / FLUSH_SECONDS)):
            self.clock.advance(FLUSH_SECONDS * 1.01)

    def changes(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.file.pop(key, None)
        else:
            self.file[key] = value
        self.copying.note("f", key, value)

    def in_store(self) -> dict[bytes, bytes]:
        """All that the next node would find."""
        seal = ClusterSeal(KEYS, self.store.state)
        opened = [seal.opened(*one) for one in self.store.generations[self.store.state].items()]
        return {one.key: one.value for one in opened if one is not None and one.key != ALL_OF_IT}


@pytest.fixture
def copied() -> Copied:
    return Copied()


def test_a_whole_copy_comes_first_and_changes_after_it(copied: Copied) -> None:
    copied.file = {b"a": b"1", b"b": b"2"}
    copied.begin()
    assert copied.in_store() == {b"a": b"1", b"b": b"2"}
    assert copied.completed == [copied.store.state]
    copied.changes(b"a", b"3")
    copied.changes(b"b", None)
    copied.changes(b"c", b"4")
    assert copied.copying.figures.waiting == 3
    copied.passes()
    assert copied.in_store() == {b"a": b"3", b"c": b"4"}
    assert (copied.copying.figures.waiting, copied.copying.figures.lag) == (0, 0.0)


def test_nothing_is_noted_before_it_begins(copied: Copied) -> None:
    copied.changes(b"a", b"1")
    assert copied.copying.figures.waiting == 0


def test_a_silent_store_is_not_waited_for_and_all_is_copied_anew(copied: Copied) -> None:
    copied.begin()
    first = copied.store.state
    copied.store.is_silent = True
    copied.changes(b"a", b"1")
    copied.passes()
    copied.changes(b"b", b"2")
    copied.passes(RETRY_SECONDS * 3)
    assert copied.copying.figures.failures >= 2
    assert copied.copying.figures.lag > 2
    assert copied.store.state == first
    copied.store.is_silent = False
    copied.passes(RETRY_SECONDS * 2)
    assert copied.in_store() == {b"a": b"1", b"b": b"2"}
    assert copied.store.state != first
    assert first not in copied.store.generations
    assert copied.copying.figures.lag == 0


def test_an_emptied_store_gets_all_again(copied: Copied) -> None:
    copied.file = {b"a": b"1"}
    copied.begin()
    copied.store.empty()
    copied.store.held = TOKEN
    copied.changes(b"b", b"2")
    copied.passes(RETRY_SECONDS * 2)
    assert copied.in_store() == {b"a": b"1", b"b": b"2"}


def test_nothing_counts_after_the_lease_is_anothers(copied: Copied) -> None:
    copied.begin()
    before = dict(copied.store.generations[copied.store.state])
    copied.store.held = "b 2 1001.0 p"
    copied.changes(b"a", b"1")
    copied.passes(RETRY_SECONDS * 3)
    assert copied.store.generations[copied.store.state] == before


def test_changes_that_wait_are_bounded(copied: Copied) -> None:
    copied.begin()
    copied.store.is_silent = True
    for number in range(NOTED + 10):
        copied.changes(b"%d" % number, b"x")
    assert copied.copying.figures.waiting <= NOTED
    copied.store.is_silent = False
    copied.passes(RETRY_SECONDS * 2)
    assert len(copied.in_store()) == NOTED + 10


def test_many_changes_leave_in_batches(copied: Copied) -> None:
    copied.begin()
    before = copied.store.writes
    for number in range(250):
        copied.changes(b"%d" % number, b"x")
    copied.passes()
    assert copied.store.writes - before == 3


def test_a_change_during_a_whole_copy_is_not_undone_by_an_older_page(copied: Copied) -> None:
    later: Deferred[Page] = Deferred()
    copied.copying.add("g", lambda mark: later)
    copied.begin()
    copied.copying.note("g", b"k", b"new")
    later.callback(Page([(b"k", b"old"), (b"l", b"other")], None))
    copied.passes()
    assert copied.in_store() == {b"k": b"new", b"l": b"other"}


def test_half_a_copy_is_never_read(copied: Copied) -> None:
    copied.file = {b"a": b"1"}
    copied.begin()
    whole = copied.store.state
    copied.copying.add("slow", lambda mark: Deferred())
    copied.copying.begin(TOKEN, whole)
    copied.passes()
    assert copied.store.state == whole
    assert copied.in_store() == {b"a": b"1"}


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_copied(copied: Copied) -> None:
    copied.file = {b"a": b"1"}
    copied.copying.add("broken", lambda mark: fail(OSError("the disk")))
    copied.begin()
    assert copied.in_store() == {b"a": b"1"}


def test_the_rest_is_copied_at_the_end(copied: Copied) -> None:
    copied.begin()
    copied.changes(b"a", b"1")
    Deferred.fromCoroutine(copied.copying.finish())
    assert copied.in_store() == {b"a": b"1"}
    copied.changes(b"b", b"2")
    assert copied.clock.getDelayedCalls() == []
