"""The journal of calls that are up: kept over a kill, damaged in every way, bounded, and on a disk that is full."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from gateway.state.journal import live_journal
from gateway.state.journal.journal_clock import JournalClock
from gateway.state.journal.journal_copies import key_of, pieces
from gateway.state.journal.live_journal import FILE, LiveJournal
from gateway.state.journal.sealed_records import LONGEST
from tests.support.cluster.memory_replica import MemoryReplica, outcome

SECRET = bytes(range(32))


def a_journal(directory: Path) -> LiveJournal:
    journal = LiveJournal(directory / FILE, SECRET)
    journal.renew(())
    return journal


def loaded(directory: Path, secret: bytes = SECRET) -> dict[str, tuple[bytes, ...]]:
    """The calls as the next process finds them; the one before was killed, and closed nothing."""
    return dict(LiveJournal(directory / FILE, secret).load(time.time()))


def is_failing(journal: LiveJournal) -> bool:
    return journal.standing.is_failing


def test_the_next_process_finds_the_calls_that_are_up(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.put("one", b"first")
    journal.put("two", b"first")
    journal.put("one", b"second")
    journal.change("one", b"held")
    journal.change("three", b"nothing whole is kept of it")
    journal.put("four", b"over")
    journal.drop("four")

    assert loaded(tmp_path) == {"one": (b"second", b"held"), "two": (b"first",)}


def test_nothing_of_a_call_can_be_read_in_the_file_and_only_we_may_open_it(tmp_path: Path) -> None:
    a_journal(tmp_path).put("call-17", b"sip:alice@example.com" * 20)

    content = (tmp_path / FILE).read_bytes()
    assert b"alice" not in content
    assert b"call-17" not in content
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert loaded(tmp_path, bytes(32)) == {}  # another gateway's secret opens nothing


def test_no_nonce_is_used_twice_under_one_key(tmp_path: Path) -> None:
    """The same record in two files, and twice in one, is four different rows of bytes."""
    seen = set()
    for _ in range(2):
        journal = a_journal(tmp_path)
        for _ in range(2):
            before = (tmp_path / FILE).stat().st_size
            journal.put("one", b"the same")
            seen.add((tmp_path / FILE).read_bytes()[before + 16 :])
    assert len(seen) == 4


def test_a_file_cut_at_any_byte_gives_the_records_before_the_cut(tmp_path: Path) -> None:
    journal, path = a_journal(tmp_path), tmp_path / FILE
    ends = []
    for number in range(4):
        journal.put(f"call{number}", b"data %d" % number)
        ends.append(path.stat().st_size)
    whole = path.read_bytes()

    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert list(loaded(tmp_path)) == [f"call{number}" for number, end in enumerate(ends) if end <= length]


def test_a_bit_that_is_wrong_costs_one_record_and_no_other(tmp_path: Path) -> None:
    journal, path = a_journal(tmp_path), tmp_path / FILE
    for number in range(3):
        journal.put(f"call{number}", b"data %d" % number)
    whole = path.read_bytes()
    everything = loaded(tmp_path)

    for bit in range(20 * 8, len(whole) * 8):  # behind the head
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found = loaded(tmp_path)
        assert len(found) >= 2
        assert found.items() <= everything.items()


@pytest.mark.parametrize("content", [b"", b"GWJ1", b"\0" * 100, os.urandom(5000), b"SQLite format 3\0" * 50])
def test_a_file_that_is_none_of_ours_holds_no_call(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)

    assert loaded(tmp_path) == {}


def test_a_record_that_is_repeated_or_put_elsewhere_counts_once(tmp_path: Path) -> None:
    journal, path = a_journal(tmp_path), tmp_path / FILE
    head = path.stat().st_size
    journal.put("one", b"data")
    record = path.read_bytes()[head:]
    journal.drop("one")

    path.write_bytes(path.read_bytes() + record)  # a call that is over does not come back

    assert loaded(tmp_path) == {}


def test_the_file_stays_small_whatever_comes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_journal, "SLACK", 10_000)
    journal = a_journal(tmp_path)
    for number in range(5):
        journal.put(f"stays{number}", b"s" * 500)
        journal.change(f"stays{number}", b"changed")
    for number in range(2000):
        journal.put(f"goes{number}", b"g" * 500)
        journal.drop(f"goes{number}")
        journal.put("changes", b"%d" % number + b"c" * 500)
        assert (tmp_path / FILE).stat().st_size < 25_000
    journal.put("last", b"after the file was made anew")

    found = loaded(tmp_path)
    assert sorted(found) == ["changes", "last", *(f"stays{number}" for number in range(5))]
    assert found["stays0"] == (b"s" * 500, b"changed")


def test_a_call_that_does_not_fit_is_not_kept_and_no_other_suffers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = a_journal(tmp_path)
    journal.put("one", b"data")
    journal.put("long", b"x" * (LONGEST + 1))
    monkeypatch.setattr(live_journal, "LARGEST", (tmp_path / FILE).stat().st_size + 100)
    journal.put("two", b"x" * 200)

    assert loaded(tmp_path) == {"one": (b"data",)}
    assert not journal.is_behind


def test_a_call_that_grows_too_long_is_kept_as_it_was_and_its_end_is_kept_as_well(tmp_path: Path) -> None:
    """Else the next process would go on with a call that is over."""
    journal = a_journal(tmp_path)
    journal.put("one", b"short")
    journal.put("one", b"x" * (LONGEST + 1))
    journal.change("one", b"over")
    assert loaded(tmp_path) == {"one": (b"short", b"over")}

    journal.drop("one")

    assert loaded(tmp_path) == {}


def test_a_full_disk_stops_nothing_and_the_file_is_whole_again_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = a_journal(tmp_path)
    journal.put("one", b"data")
    room = [5]

    def write(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        fitting, room[0] = min(room[0], len(data)), 0
        return real(descriptor, data[:fitting])

    real = os.write
    monkeypatch.setattr(os, "write", write)
    journal.put("two", b"data")
    journal.drop("one")
    assert is_failing(journal)
    journal.renew([("two", b"data")])
    assert loaded(tmp_path) == {"one": (b"data",)}  # as it was before the disk was full

    monkeypatch.setattr(os, "write", real)
    journal.renew([("two", b"data")])

    assert not is_failing(journal)
    journal.put("three", b"data")
    assert loaded(tmp_path) == {"two": (b"data",), "three": (b"data",)}


def test_a_directory_that_cannot_be_written_is_no_error_of_the_caller(tmp_path: Path) -> None:
    journal = LiveJournal(tmp_path / "gone" / FILE, SECRET)

    assert journal.load(time.time()) == {}
    journal.renew(())
    journal.put("one", b"data")
    journal.drop("one")

    assert journal.is_behind


def test_a_file_of_long_ago_holds_no_call_and_one_that_is_touched_is_of_now(tmp_path: Path) -> None:
    """As one from a backup: its calls are over. After a boot the file's own time says so."""
    journal, path = a_journal(tmp_path), tmp_path / FILE
    journal.put("one", b"data")

    def after_a_boot() -> list[str]:
        return [*LiveJournal(path, SECRET, clock=JournalClock(boot="another")).load(time.time())]

    os.utime(path, (0, time.time() - 601))
    assert after_a_boot() == []

    journal.touch()
    assert after_a_boot() == ["one"]


def copied_journal(directory: Path) -> tuple[LiveJournal, MemoryReplica]:
    replica = MemoryReplica()
    journal = LiveJournal(directory / FILE, SECRET, replica)
    journal.renew(())
    return journal, replica


def test_a_whole_copy_has_all_that_counts_some_calls_at_a_time(tmp_path: Path) -> None:
    journal, replica = copied_journal(tmp_path)
    for number in range(live_journal.PAGE * 3):
        journal.put(f"call {number}", b"whole")
        journal.change(f"call {number}", b"held")
    journal.drop("call 7")
    journal.put("call 8", b"again")
    found = pieces(replica.all_of(FILE).items())
    assert found == LiveJournal(tmp_path / FILE, SECRET)._read()
    assert len(found) == live_journal.PAGE * 3
    assert replica.asked == 3


def test_a_call_that_ends_during_a_whole_copy_is_in_no_later_page(tmp_path: Path) -> None:
    journal, replica = copied_journal(tmp_path)
    for number in range(live_journal.PAGE * 2):
        journal.put(f"call {number}", b"whole")
    first = outcome(replica.files[FILE](None))
    journal.drop(f"call {live_journal.PAGE + 3}")
    second = outcome(replica.files[FILE](first.following))
    assert key_of(f"call {live_journal.PAGE + 3}") not in dict(second.entries)
    assert key_of(f"call {live_journal.PAGE + 4}") in dict(second.entries)


def test_a_journal_that_cannot_be_read_is_no_empty_one_for_the_other_node(tmp_path: Path) -> None:
    journal, replica = copied_journal(tmp_path)
    journal.put("call", b"whole")
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(IsADirectoryError):
        replica.all_of(FILE)


def test_a_call_whose_record_is_damaged_is_left_out_of_a_whole_copy(tmp_path: Path) -> None:
    journal, replica = copied_journal(tmp_path)
    journal.put("bad", b"whole")
    journal.put("good", b"whole")
    at, length = journal._places["bad"][0]
    content = bytearray((tmp_path / FILE).read_bytes())
    content[at + length - 1] ^= 1
    (tmp_path / FILE).write_bytes(content)
    found = pieces(replica.all_of(FILE).items())
    assert "bad" not in found
    assert found["good"] == (b"whole",)
