"""Values that outlive the process: written a moment later, read back, and a bad file is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.security.policy.peer_memory import Peer, Sightings, keeper, recalled
from gateway.state import table as kept
from gateway.state.sqlite import LeftOut, StoreUnusable
from gateway.state.table import NOTES, WRITE_DELAY, KeptTable
from gateway.state.write_behind import RETRY_DELAY, WriteBehind
from tests.support.direct_database import DirectDatabase, got


class Opened:
    """A table on a file."""

    def __init__(self, path: Path) -> None:
        self.database = DirectDatabase(path)
        self.clock = self.database.clock
        self.table = KeptTable(path, self.database, self.clock)

    def all(self) -> list[tuple[str, kept.Value]]:
        return got(self.table.latest(100))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.sqlite"


def test_what_was_put_is_there_after_a_restart_in_the_order_of_its_time(path: Path) -> None:
    first = Opened(path)
    first.table.put("late", 30.0, {"n": 3})
    first.table.put("early", 10.0, {"n": 1})
    first.table.put("gone", 20.0, {"n": 2})
    first.clock.advance(WRITE_DELAY)
    first.table.drop("gone")
    first.table.put("early", 11.0, {"n": 4})
    got(first.table.stop())
    assert first.database.closed
    assert Opened(path).all() == [("early", {"n": 4}), ("late", {"n": 3})]


def test_one_value_is_found_written_or_not(path: Path) -> None:
    opened = Opened(path)
    opened.table.put("a", 1.0, {"n": 1})
    assert got(opened.table.find("a")) == {"n": 1}
    opened.clock.advance(WRITE_DELAY)
    assert got(opened.table.find("a")) == {"n": 1}
    opened.table.drop("a")
    assert got(opened.table.find("a")) is None
    assert got(opened.table.find("b")) is None


def test_what_is_too_old_is_dropped(path: Path) -> None:
    opened = Opened(path)
    opened.table.put("old", 1.0, {})
    opened.table.put("new", 2.0, {})
    opened.clock.advance(WRITE_DELAY)
    opened.table.drop_before(2.0)
    assert opened.all() == [("new", {})]


def test_the_newest_are_kept_when_there_are_too_many(path: Path) -> None:
    opened = Opened(path)
    for number in (3, 1, 2, 5, 4):
        opened.table.put(str(number), float(number), {})
    opened.clock.advance(WRITE_DELAY)
    opened.table.drop_beyond(2)
    assert [key for key, _ in opened.all()] == ["4", "5"]


def test_a_write_that_fails_is_tried_again_and_what_waits_is_bounded(path: Path) -> None:
    opened = Opened(path)
    opened.database.failing = True
    for number in range(NOTES + 5):
        opened.table.put(str(number), float(number), {})
    opened.clock.advance(WRITE_DELAY)
    opened.database.failing = False
    opened.clock.advance(RETRY_DELAY)
    assert len(got(opened.table.latest(NOTES * 2))) == NOTES
    assert not opened.clock.getDelayedCalls()


def test_a_file_that_is_no_table_is_one_line(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    failures: list[Failure] = []
    Opened(path).table.latest(1).addErrback(failures.append)
    assert failures[0].check(StoreUnusable)
    assert str(failures[0].value) == f"{path}: cannot be used: file is not a database"


def test_the_memory_of_peers_is_kept_and_recalled(path: Path) -> None:
    opened = Opened(path)
    keep = keeper(opened.table, lambda: 5.0)
    main, phone = Peer("main", "sip:provider.example.com"), Peer("sip:alice@example.com")
    keep(main, Sightings(did_tls_at=3.0, failed_handshake_at=3.5, lacked_srtp_at=4.0))
    keep(phone, Sightings(did_tls_at=1.0))
    keep(phone, None)
    opened.table.put("odd", 1.0, {"name": 7})
    got(opened.table.stop())
    assert list(recalled(Opened(path).all())) == [
        (main, Sightings(did_tls_at=3.0, failed_handshake_at=3.5, lacked_srtp_at=4.0))
    ]


def test_row_that_no_file_can_hold_is_left_out_and_every_other_is_written(path: Path) -> None:
    opened = Opened(path)
    opened.table.put("a", 1.0, {"n": 1})
    opened.table.put("b\udcff", 2.0, {"n": 2})
    opened.table.put("c", 3.0, {"n": 3})
    opened.table.drop("d\udcff")
    opened.clock.advance(WRITE_DELAY)
    assert opened.all() == [("a", {"n": 1}), ("c", {"n": 3})]
    assert (opened.table.standing.failures, opened.table.standing.is_failing) == (2, False)
    opened.table.put("e", 4.0, {"n": 4})
    opened.clock.advance(WRITE_DELAY)
    assert [key for key, _ in opened.all()] == ["a", "c", "e"]


def test_half_surrogate_pairs_that_an_earlier_version_kept_are_read_as_text_that_can_be_shown(path: Path) -> None:
    opened = Opened(path)
    opened.table.put("a", 1.0, {"caller": "sip:a\udcff@example.com", "ladder": [{"what": "200 \udcfe"}]})
    opened.clock.advance(WRITE_DELAY)
    assert opened.all() == [("a", {"caller": "sip:a\\xff@example.com", "ladder": [{"what": "200 \\xfe"}]})]


def test_what_is_put_at_once_is_in_the_file_before_any_time_passes(path: Path) -> None:
    opened = Opened(path)
    opened.table.put("later", 1.0, {"n": 1})
    opened.table.put_at_once("now", 2.0, {"n": 2})
    opened.database.close()  # as a process that is killed lets go of it
    assert Opened(path).all() == [("later", {"n": 1}), ("now", {"n": 2})]


def test_what_is_put_at_once_during_a_write_follows_right_after_it() -> None:
    clock, writes = Clock(), list[tuple[dict[str, int | None], Deferred[LeftOut]]]()

    def write(notes: dict[str, int | None]) -> Deferred[LeftOut]:
        writes.append((notes, Deferred()))
        return writes[-1][1]

    behind: WriteBehind[str, int] = WriteBehind(clock, WRITE_DELAY, write, lambda why: None)
    behind.note_urgent("a", 1)
    behind.note_urgent("b", 2)
    behind.note("c", 3)
    writes[0][1].callback([])
    clock.advance(0)
    assert [notes for notes, _ in writes] == [{"a": 1}, {"b": 2, "c": 3}]
    behind.note("d", 4)
    writes[1][1].callback([])
    clock.advance(0)
    assert len(writes) == 2, "the next one waits as usual"


def test_a_disk_that_fails_is_not_tried_for_each_that_is_put_at_once(path: Path) -> None:
    opened = Opened(path)
    opened.database.failing = True
    for number in range(50):
        opened.table.put_at_once(str(number), 1.0, {"n": number})
    assert opened.table.standing.failures == 1
    opened.database.failing = False
    opened.clock.advance(RETRY_DELAY)
    assert len(opened.all()) == 50
