"""The list of calls: in memory and in the file, every filter, every page, and never a look at all of them."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.state.call_record import CallDirection, CallRecord, LegName, Passage
from gateway.state.listing import page_query
from gateway.state.listing.call_filter import BadCursor, CallFilter, CallsPage, Place
from gateway.state.listing.call_list import SLICE, WAITING, CallList, TooManyQuestions
from gateway.state.listing.call_table import COLUMNS, STILL_UP, TOP, CallTable, Listed, prepare_calls
from gateway.state.listing.page_query import branches
from gateway.state.table import WRITE_DELAY, KeptTable, prepare
from tests.support.direct_database import DirectDatabase, got

NOW = 1_700_000_000.0


def record(number: int, started_at: float = NOW, **fields: Any) -> CallRecord:
    """A call that began then; it has ended unless told otherwise."""
    base = CallRecord(
        id=f"call-{number:06}",
        direction=CallDirection.OUTBOUND,
        domain="example.com",
        caller="sip:alice@example.com",
        callee='"Bob" <sip:+4930123@example.net;user=phone>',
        started_at=started_at,
        answered_at=started_at + 2,
        ended_at=started_at + 62,
        verdict="ENCRYPTED",
        provider="main",
    )
    return attrs.evolve(base, **fields)


class Opened:
    """A list over a file, with calls in memory."""

    def __init__(self, path: Path) -> None:
        self.database = DirectDatabase(path, prepare_calls)
        self.clock = self.database.clock
        self.table = CallTable(path, self.database, self.clock)
        self.memory: list[CallRecord] = []
        self.list = CallList(self.table, lambda: self.memory, lambda: NOW)

    def keep(self, *records: CallRecord) -> None:
        """Write calls that have ended."""
        for one in records:
            self.keep_later(one)
        self.clock.advance(WRITE_DELAY)

    def keep_later(self, one: CallRecord) -> None:
        """Have a call written in a moment."""
        self.table.put(one.id, one.ended_at or STILL_UP, one.as_json())

    def find(self, limit: int = 100, after: str | None = None, **wanted: Any) -> CallsPage:
        return got(self.list.find(CallFilter(**wanted), limit, after))

    def ids(self, limit: int = 100, **wanted: Any) -> list[int]:
        """The numbers of all calls that are wanted, page by page."""
        return [number for page in self.pages(limit, **wanted) for number in numbers(page)]

    def pages(self, limit: int, **wanted: Any) -> Iterator[CallsPage]:
        page = self.find(limit, **wanted)
        yield page
        while page.next is not None:
            page = self.find(limit, page.next, **wanted)
            yield page


def numbers(page: CallsPage) -> list[int]:
    return [int(str(call["id"]).removeprefix("call-")) for call in page.calls]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "calls.sqlite")


def test_calls_that_are_up_and_ended_are_one_list_the_latest_begin_first(opened: Opened) -> None:
    opened.keep(record(1, NOW - 50), record(3, NOW - 30))
    up = record(2, NOW - 40, ended_at=None, state="established")
    opened.memory = [up, record(3, NOW - 30), record(4, NOW - 20)]
    page = opened.find()
    assert (numbers(page), page.next) == ([4, 3, 2, 1], None)
    assert page.calls[2] == up.summary()
    assert opened.ids(is_up=True) == [2]
    assert opened.ids(is_up=False) == [4, 3, 1]


def test_a_row_of_the_file_says_the_same_as_the_record(opened: Opened) -> None:
    told: dict[str, Any] = {
        "status": 200,
        "ending": "caller hung up",
        "state": "ended",
        "reason": "X",
        "cause": "it did",
    }
    one = record(1, seconds=60.0, mos=4.25, is_emergency=True, **told)
    opened.keep(one)
    assert opened.find().calls == (one.summary(),)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_pages_hold_each_call_once_though_many_began_at_once(opened: Opened, limit: int) -> None:
    random.seed(7)
    calls = [record(number, NOW - number // 4) for number in range(40)]
    opened.keep(*calls[10:])
    opened.memory = calls[:15]
    expected = sorted(range(40), key=lambda number: (NOW - number // 4, number), reverse=True)
    assert opened.ids(limit) == expected
    assert all(len(page.calls) <= limit for page in opened.pages(limit))


def test_a_call_that_begins_meanwhile_moves_no_page(opened: Opened) -> None:
    opened.keep(*(record(number, NOW + number) for number in range(10)))
    first = opened.find(4)
    opened.memory = [record(99, NOW + 99, ended_at=None)]
    assert numbers(opened.find(4, first.next)) == [5, 4, 3, 2]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [1, 3, 20])
def test_pages_are_right_in_whatever_order_the_memory_has_its_calls(opened: Opened, seed: int, limit: int) -> None:
    calls = [record(number, NOW + number % 7, ended_at=None) for number in range(30)]
    random.Random(seed).shuffle(calls)
    opened.memory = calls
    opened.keep(record(50, NOW + 3), record(51, NOW - 1))
    expected = sorted([*((NOW + n % 7, n) for n in range(30)), (NOW + 3, 50), (NOW - 1, 51)], reverse=True)
    assert opened.ids(limit) == [number for _, number in expected]


def other(number: int) -> CallRecord:
    """A call that differs from the usual one in all that can be asked for."""
    return record(
        number,
        NOW - 1000,
        direction=CallDirection.INBOUND,
        domain="example.org",
        caller="<sip:+49891@provider.example>",
        callee="sip:carol@example.org",
        answered_at=None,
        verdict="REFUSED",
        reason="REFUSED_POLICY",
        provider="second",
    )


FILTERS: list[dict[str, Any]] = [
    {"since": NOW - 2000, "until": NOW - 500},
    {"until": NOW - 1000 + 0.001},
    {"number": "+49891"},
    {"number": "carol"},
    {"user": "carol"},
    {"verdict": "REFUSED"},
    {"reason": "REFUSED_POLICY"},
    {"domain": "example.org"},
    {"provider": "second"},
    {"direction": CallDirection.INBOUND},
    {"is_answered": False},
    {"domain": "example.org", "verdict": "REFUSED"},
    {"verdict": "REFUSED", "provider": "second", "is_answered": False},
    {"user": "carol", "number": "+49891"},
    {"number": "carol", "direction": CallDirection.INBOUND, "reason": "REFUSED_POLICY", "since": NOW - 1000},
]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_filter_finds_the_same_in_memory_and_in_the_file(
    opened: Opened, wanted: dict[str, Any], in_memory: bool
) -> None:
    calls = [*(record(number, NOW - number) for number in range(10)), other(50), other(51)]
    opened.memory = calls if in_memory else []
    opened.keep(*([] if in_memory else calls))
    assert opened.ids(1, **wanted) == [51, 50]
    assert got(opened.list.count(CallFilter(**wanted, is_up=False))).calls == (0 if in_memory else 2)


@pytest.mark.parametrize(
    "wanted",
    [
        {"user": "+49891"},
        {"user": "alice", "direction": CallDirection.INBOUND},
        {"user": "carol", "number": "nobody"},
        {"number": "ali"},
        {"number": "' OR 1=1 --"},
        {"verdict": "CLEAR"},
        {"domain": "example.com", "reason": "REFUSED_POLICY"},
        {"since": NOW + 1},
        {"is_up": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_filter_that_nothing_meets_finds_nothing(opened: Opened, wanted: dict[str, Any], in_memory: bool) -> None:
    calls = [*(record(number, NOW - number) for number in range(10)), other(50)]
    opened.memory = calls if in_memory else []
    opened.keep(*([] if in_memory else calls))
    assert opened.ids(3, **wanted) == []


def test_a_call_to_oneself_is_there_once(opened: Opened) -> None:
    opened.keep(record(1, callee="sip:alice@example.com"), record(2, NOW - 1))
    assert opened.ids(number="alice") == [1, 2]
    assert got(opened.list.count(CallFilter(number="alice"))).calls == 2


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "bnVsbA==", "é", "W" * 5000, "WzEuMCwgMV0=", "W1sxXV0="])
def test_a_cursor_that_no_page_gave_is_refused(opened: Opened, cursor: str) -> None:
    with pytest.raises(BadCursor):
        opened.list.find(CallFilter(), 10, cursor)


def test_a_nested_cursor_is_refused() -> None:
    import base64

    with pytest.raises(BadCursor):
        Place.read(base64.urlsafe_b64encode(b"[" * 100_000).decode())


# -- Bounds ------------------------------------------------------------------------------------------------------------


def test_no_filter_looks_at_all_calls_or_sorts_them(opened: Opened) -> None:
    opened.keep(record(1))
    for wanted in [{}, *FILTERS]:
        for branch in branches(CallFilter(**wanted)):
            asked, values = branch.below(Place(NOW, "x")).rows(10)
            plan = got(opened.table.ask(lambda t, a=asked, v=values: _plan(t, a, v)))  # type: ignore[misc]
            steps = [step for step in plan if not step.startswith(("CO-ROUTINE", "SCAN (subquery", "SCAN SUBQUERY"))]
            assert steps, plan
            assert all(step.startswith("SEARCH listed USING") for step in steps), (wanted, plan)


def _plan(transaction: Any, asked: str, values: tuple[object, ...]) -> list[str]:
    transaction.execute(f"EXPLAIN QUERY PLAN {asked}", values)
    return [row[3] for row in transaction.fetchall()]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_page_that_would_look_too_far_goes_on_with_the_next(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(page_query, "LOOKED_AT", 5)
    opened.keep(*(record(number, NOW - number, answered_at=None if number % 11 == 3 else NOW) for number in range(40)))
    opened.memory = [record(90, NOW - 7.5, answered_at=None), record(91, NOW - 33.5, answered_at=None)]
    assert opened.ids(limit, is_answered=False) == [3, 90, 14, 25, 91, 36]
    assert opened.ids(limit, number="alice", is_answered=False) == [3, 90, 14, 25, 91, 36]
    assert not got(opened.list.count(CallFilter(is_answered=False))).is_all


def test_a_count_has_an_end(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.keep(*(record(number, NOW - number) for number in range(30)))
    monkeypatch.setattr("gateway.state.listing.call_list.MOST_COUNTED", 20)
    counted = got(opened.list.count(CallFilter()))
    assert (counted.calls, counted.is_all) == (20, False)
    assert got(opened.list.count(CallFilter(since=NOW - 9))).calls == 10


def test_a_call_that_no_row_can_be_made_of_spoils_no_other(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Listed.of

    def broken(key: str, call: Any) -> Listed:
        if key == record(2).id:
            raise ZeroDivisionError
        return made(key, call)

    monkeypatch.setattr(Listed, "of", broken)
    opened.keep(record(1), record(2), record(3))
    assert opened.ids() == [3, 1]


class Busy(DirectDatabase):
    """A database that never answers."""

    def run_interaction(self, work: Any) -> Deferred[Any]:
        return Deferred()


def test_questions_that_wait_are_bounded(tmp_path: Path) -> None:
    database = Busy(tmp_path / "calls.sqlite")
    table = CallTable(tmp_path / "calls.sqlite", database, database.clock)
    asked = CallList(table, list, lambda: NOW)
    for _ in range(WAITING):
        asked.find(CallFilter(), 10)
    failures: list[Failure] = []
    asked.find(CallFilter(), 10).addErrback(failures.append)
    assert failures[0].check(TooManyQuestions)


def test_calls_in_memory_are_listed_while_the_file_cannot_be_read(opened: Opened) -> None:
    opened.keep(record(1))
    opened.memory = [record(2)]
    opened.database.failing = True
    assert opened.ids() == [2]
    opened.database.failing = False
    assert opened.ids() == [2, 1]


def test_thousands_of_calls_in_memory_are_looked_at_in_turns(tmp_path: Path) -> None:
    opened, turns = Opened(tmp_path / "calls.sqlite"), list[Deferred[None]]()

    def turn() -> Deferred[None]:
        turns.append(Deferred())
        return turns[-1]

    memory = [record(number, NOW + number, ended_at=None) for number in range(3 * SLICE)]
    sliced = CallList(opened.table, lambda: [*reversed(memory)], lambda: NOW, turn)
    found: list[Any] = []
    sliced.find(CallFilter(is_up=True), 3).addCallback(found.append)
    sliced.count(CallFilter(is_up=True)).addCallback(found.append)
    memory.clear()  # calls that end meanwhile change nothing: the list is of the moment in which it was asked for
    for _ in range(3):
        assert not found
        for one in turns[:]:
            turns.remove(one)
            one.callback(None)
    assert (numbers(found[0]), found[1].calls) == ([3 * SLICE - 1, 3 * SLICE - 2, 3 * SLICE - 3], 3 * SLICE)


def test_a_page_of_a_hundred_thousand_calls_is_there_soon(tmp_path: Path) -> None:
    opened = filled(tmp_path / "calls.sqlite", 100_000)
    opened.memory = [record(900_000 + number, NOW + number, ended_at=None) for number in range(1_000)]
    for wanted in [{}, *FILTERS, {"verdict": "CLEAR"}, {"domain": "example.com", "verdict": "CLEAR", "is_up": False}]:
        took = []
        for _ in range(3):
            began = time.thread_time()
            opened.find(50, **wanted)
            took.append(time.thread_time() - began)
        assert min(took) < 0.05, (wanted, took)
    assert got(opened.table.ask(_count)) == 100_000
    began = time.thread_time()
    got(opened.list.statistics())
    assert time.thread_time() - began < 0.25


def _count(transaction: Any) -> int:
    transaction.execute("SELECT COUNT(*) FROM listed")
    return int(transaction.fetchall()[0][0])


def filled(path: Path, count: int) -> Opened:
    """A file of many calls over a month; one in a thousand was in clear."""
    opened = Opened(path)
    for number in range(1000):
        verdict = "CLEAR" if number == 0 else "ENCRYPTED"
        opened.keep_later(record(number, NOW - number * 2592, verdict=verdict, callee=f"sip:+49{number}@example.net"))
    opened.clock.advance(WRITE_DELAY)
    columns = ", ".join((*COLUMNS, "caller_user", "callee_user")).replace("id, started_at, ", "", 1)
    copies = f"""WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {count // 1000 - 1})
        INSERT INTO listed SELECT id || '-' || x, started_at - x, {columns} FROM listed, n"""
    got(opened.table.ask(lambda transaction: transaction.execute(copies)))
    return opened


# -- The file ----------------------------------------------------------------------------------------------------------


def test_a_file_of_an_earlier_version_keeps_its_calls_and_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    database = DirectDatabase(path, prepare)
    old = KeptTable(path, database, database.clock)
    for number in range(450):
        old.put(f"call-{number:06}", NOW + number, record(number, NOW - number).as_json())
    old.put("call-up", STILL_UP, record(999, ended_at=None).as_json())
    got(old.stop())
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO kept VALUES ('odd', ?, '[1')", (NOW + 450,))
        raw.execute("INSERT INTO kept VALUES ('odder', ?, '[]')", (NOW + 451,))
        raw.execute(
            """INSERT INTO kept VALUES ('call-000451', ?, '{"id": "call-000451", "caller": "a\\udcff\\u202e",
            "started_at": 1e400, "verdict": [1], "status": 99999999999999999999}')""",
            (NOW + 452,),
        )
    raw.close()

    opened = Opened(path)
    assert opened.ids() == []
    mark = TOP
    rounds = 0
    while (following := got(opened.table.list_more(mark))) is not None:
        mark, rounds = following, rounds + 1
    assert rounds == 3
    assert opened.ids() == [*range(450), 451]
    assert got(opened.table.find("call-000007")) == record(7, NOW - 7).as_json()
    (odd,) = (call for call in opened.find(1000).calls if call["id"] == "call-000451")
    str(odd).encode()
    assert "\u202e" not in str(odd["caller"])


def test_a_file_that_an_earlier_version_went_on_with_is_listed_anew(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    first = Opened(path)
    first.keep(*(record(number, NOW + number) for number in range(10)))
    got(first.table.stop())
    database = DirectDatabase(path, prepare)
    old = KeptTable(path, database, database.clock)
    old.drop_before(NOW + 62 + 3)
    for number in range(10, 13):  # as many as were dropped
        old.put(f"call-{number:06}", NOW + 62 + number, record(number, NOW + number).as_json())
    got(old.stop())
    second = Opened(path)
    assert got(second.table.count_unlisted()) == 3
    got(second.table.list_more())
    assert second.ids() == [*reversed(range(3, 13))]
    assert got(second.table.count_unlisted()) == 0


def test_a_column_that_is_new_is_added_and_no_call_is_counted_again(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    first = Opened(path)
    first.keep(record(1, cause="it did"))
    got(first.table.stop())
    with sqlite3.connect(path) as raw:
        raw.execute("ALTER TABLE listed DROP COLUMN cause")
    raw.close()
    second = Opened(path)
    second.keep(record(2, cause="it did, too"))
    assert [call["cause"] for call in second.find().calls] == ["it did, too", None]
    assert got(second.table.count_unlisted()) == 0
    assert sum(one.calls for one in got(second.list.statistics()).hours) == 2


def test_a_restart_goes_on_with_the_list_that_there_is(tmp_path: Path) -> None:
    first = Opened(tmp_path / "calls.sqlite")
    first.keep(record(1), record(2, NOW - 1))
    got(first.table.stop())
    second = Opened(tmp_path / "calls.sqlite")
    assert got(second.table.count_unlisted()) == 0
    assert second.ids() == [1, 2]


def test_a_call_that_is_dropped_is_in_no_list(opened: Opened) -> None:
    opened.keep(*(record(number, NOW - number * 100) for number in range(10)))
    opened.table.drop_before(NOW - 500)
    assert opened.ids() == [0, 1, 2, 3, 4, 5]
    opened.table.drop_beyond(2)
    assert opened.ids() == [0, 1]
    opened.table.drop("call-000000")
    opened.clock.advance(WRITE_DELAY)
    assert opened.ids() == [1]
    assert got(opened.table.count_unlisted()) == 0


def test_bytes_that_are_no_utf8_break_no_page(opened: Opened, tmp_path: Path) -> None:
    odd = record(1, caller="sip:a\udcff@x", callee="\udc80\x1b[2J\u202e", ending="\udcfe")
    opened.keep(odd, record(2, NOW - 1))
    got(opened.table.ask(lambda t: t.execute("UPDATE listed SET ending = CAST(x'ff41fe' AS TEXT)")))
    page = opened.find()
    assert numbers(page) == [1, 2]
    str(page).encode()


def test_a_row_that_cannot_be_written_spoils_no_other(opened: Opened) -> None:
    opened.table.put("call-000001", NOW, {**record(1).as_json(), "status": 1 << 70})
    opened.keep(record(2))
    assert 2 in opened.ids()


def test_a_step_of_the_ladder_makes_no_list_longer(opened: Opened) -> None:
    one = record(1)
    for number in range(100):
        one.add_step(NOW, LegName.CALLER, Passage.SENT, f"{100 + number} x")
    opened.keep(one)
    assert "ladder" not in opened.find().calls[0]
