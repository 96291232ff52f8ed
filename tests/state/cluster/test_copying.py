"""Copies behind an active node: batches, whole copies, and a store that is silent, emptied, or another's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.state.cluster.cluster_seal import ClusterSeal
from gateway.state.cluster.cluster_store import ClusterStore
from gateway.state.cluster.copying import (
    ALL_OF_IT,
    BATCH,
    FINISH_SECONDS,
    FLUSH_SECONDS,
    LONGEST_RETRY,
    NOTED,
    REREAD_SECONDS,
    RETRY_SECONDS,
    Copying,
)
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
        return {key: value for (_, key), value in self._opened() if key != ALL_OF_IT}

    def whole(self) -> set[str]:
        """The files of which the next node would find all."""
        return {file for (file, key), _ in self._opened() if key == ALL_OF_IT}

    def _opened(self) -> Iterator[tuple[tuple[str, bytes], bytes]]:
        seal = ClusterSeal(KEYS, self.store.state)
        for one in self.store.generations[self.store.state].items():
            opened = seal.opened(*one)
            if opened is not None:
                yield (opened.file, opened.key), opened.value

    def finishes(self) -> list[None]:
        """Has an element when it has finished."""
        ended: list[None] = []
        Deferred.fromCoroutine(self.copying.finish()).addCallback(ended.append)
        return ended


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
    before = len(copied.store.written)
    for number in range(250):
        copied.changes(b"%d" % number, b"x")
    copied.passes()
    assert len(copied.store.written) - before == 3


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


def test_a_file_that_cannot_be_read_is_not_whole_and_keeps_no_other_from_being_copied(copied: Copied) -> None:
    """Else the next node would take its entries for gone: bans, limits, users."""
    copied.file = {b"a": b"1"}
    broken = [True]
    copied.copying.add(
        "broken", lambda mark: fail(OSError("the disk")) if broken[0] else succeed(Page([(b"k", b"1")], None))
    )
    copied.begin()
    assert copied.in_store() == {b"a": b"1"}
    assert copied.whole() == {"f"}
    first = copied.store.state
    broken[0] = False
    copied.passes(REREAD_SECONDS + 1)
    assert copied.in_store() == {b"a": b"1", b"k": b"1"}
    assert copied.whole() == {"f", "broken"}
    assert copied.store.state == first
    copied.passes(REREAD_SECONDS + 1)
    assert copied.copying.figures.whole == 1


def test_a_file_that_could_not_be_read_is_read_again_while_changes_never_end(copied: Copied) -> None:
    asked: list[float] = []

    def pages(mark: Any) -> Deferred[Page]:
        asked.append(copied.clock.seconds())
        return fail(OSError("the disk"))

    copied.copying.add("broken", pages)
    copied.begin()
    began = copied.clock.seconds()
    while copied.clock.seconds() < began + 2 * REREAD_SECONDS + 1:
        copied.changes(b"a", b"1")
        copied.passes()
    assert len(asked) == 3
    assert copied.in_store() == {b"a": b"1"}


def test_a_file_whose_second_page_cannot_be_read_is_not_whole(copied: Copied) -> None:
    copied.copying.add("g", lambda mark: fail(OSError("the disk")) if mark else succeed(Page([(b"k", b"1")], 1)))
    copied.begin()
    assert copied.whole() == {"f"}


def test_failed_whole_copies_leave_one_half_in_the_store_and_grow_rare(copied: Copied) -> None:
    copied.begin()
    asked = [0]

    def page(mark: Any) -> Deferred[Page]:
        """The store is away as soon as the copy has begun."""
        asked[0] += 1
        copied.store.is_silent = True
        return succeed(Page([(b"k", b"1")], None))

    copied.copying.add("broken", page)
    copied.copying.begin(TOKEN, copied.store.state)
    most = 0
    for _ in range(120):
        copied.passes(1)
        copied.store.is_silent = False
        most = max(most, len(copied.store.generations))
    assert most == 2
    assert 6 <= asked[0] <= 6 + 120 / LONGEST_RETRY


def test_a_whole_copy_whose_end_was_not_answered_is_kept_until_the_next_is_whole(copied: Copied) -> None:
    copied.file = {b"a": b"1"}
    copied.store.is_mute = True
    copied.begin()
    first = copied.store.state
    assert first
    assert not copied.completed
    assert copied.copying.made(first)
    later: Deferred[Page] = Deferred()
    copied.copying.add("slow", lambda mark: later)
    copied.passes(RETRY_SECONDS * 1.5)
    assert copied.in_store() == {b"a": b"1"}
    later.callback(Page([], None))
    assert copied.store.state != first
    assert set(copied.store.generations) == {copied.store.state}
    assert not copied.copying.made("0" * 32)


def test_changes_leave_in_the_order_in_which_they_were_made(copied: Copied) -> None:
    """An entry that is noted again takes its new place: the store never has it before what came between."""
    copied.begin()
    copied.changes(b"first", b"1")
    for number in range(BATCH):
        copied.changes(b"%d" % number, b"x")
    copied.changes(b"first", b"2")
    copied.passes()
    assert len(copied.store.written[-2]) == BATCH
    assert copied.store.written[-1] == [ClusterSeal(KEYS, copied.store.state).field("f", b"first")]


def test_records_of_one_call_are_in_one_batch(copied: Copied) -> None:
    copied.begin()
    before = len(copied.store.written)
    for number in range(BATCH - 1):
        copied.changes(b"%d" % number, b"x")
    copied.changes(b"call", b"whole")
    for number in range(5):
        copied.changes(b"call\0%d" % number, b"change")
    copied.passes()
    assert len(copied.store.written) - before == 1


def test_the_rest_is_copied_at_the_end(copied: Copied) -> None:
    copied.begin()
    copied.changes(b"a", b"1")
    copied.finishes()
    assert copied.in_store() == {b"a": b"1"}
    copied.changes(b"b", b"2")
    assert copied.clock.getDelayedCalls() == []


def test_a_batch_that_is_under_way_at_the_end_is_waited_for_and_the_rest_follows(copied: Copied) -> None:
    copied.begin()
    copied.store.slow = Deferred()
    copied.changes(b"a", b"1")
    copied.passes()
    copied.changes(b"b", b"2")
    ended = copied.finishes()
    assert not ended
    slow, copied.store.slow = copied.store.slow, None
    slow.callback(None)
    assert ended
    assert copied.in_store() == {b"a": b"1", b"b": b"2"}
    assert copied.clock.getDelayedCalls() == []


def test_a_whole_copy_that_is_needed_at_the_end_is_made(copied: Copied) -> None:
    copied.begin()
    copied.store.empty()
    copied.store.held = TOKEN
    copied.changes(b"a", b"1")
    copied.passes()
    copied.finishes()
    assert copied.in_store() == {b"a": b"1"}


def test_a_store_that_answers_nothing_at_the_end_is_waited_for_a_few_seconds(copied: Copied) -> None:
    copied.begin()
    copied.changes(b"a", b"1")
    copied.store.slow = Deferred()
    copied.passes()
    ended = copied.finishes()
    copied.clock.advance(FINISH_SECONDS - 0.5)
    assert not ended
    copied.clock.advance(1)
    assert ended
    assert copied.clock.getDelayedCalls() == []
