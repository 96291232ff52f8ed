"""Answers of DNS outlive the process: a start while DNS is dead finds what was found before."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from gateway.routing.locate import Locator, NotFound
from gateway.routing.names import STALE_FOR, Names
from gateway.routing.names_file import LOOK_SECONDS, MOST, WRITE_SECONDS, NamesFile
from gateway.sip.uri import Uri
from tests.support.dns_zone import Zone

ZONE = """
    example.com 300 NAPTR 10 50 s SIPS+D2T _sips._tcp.example.com
    _sips._tcp.example.com 300 SRV 10 0 5061 one.example.com
    one.example.com 300 A 192.0.2.1
"""
EPOCH = 1_800_000_000.0


class Process:
    """One process of a gateway."""

    def __init__(self, path: Path, started: float = EPOCH) -> None:
        self.clock = Clock()
        self.zone = Zone(ZONE)
        self.names = names = Names(self.zone, self.clock, Path("/nowhere"))
        self.locator = Locator(names)
        self.file = NamesFile(path, names, self.clock, lambda: started + self.clock.seconds())
        self.file.start()

    def targets(self) -> list[str]:
        found: Deferred[object] = self.locator.locate(Uri.parse("sip:example.com"))  # type: ignore[assignment]
        results: list[object] = []
        found.addBoth(results.append)
        self.clock.pump([1.0] * 30)
        (result,) = results
        if not isinstance(result, list):
            raise NotFound("nothing")
        return [str(one.address) for one in result]


def test_a_start_while_dns_is_dead_finds_the_provider_of_before(tmp_path: Path) -> None:
    path = tmp_path / "dns.json"
    before = Process(path)
    assert before.targets() == ["192.0.2.1:5061"]
    before.clock.advance(WRITE_SECONDS)  # and then it is killed
    assert path.stat().st_mode & 0o777 == 0o600

    after = Process(path, EPOCH + 2_000)  # the answers' time is over
    after.zone.is_silent = True
    assert after.targets() == ["192.0.2.1:5061"]


def test_a_kill_loses_no_answer_that_is_older_than_a_second(tmp_path: Path) -> None:
    path = tmp_path / "dns.json"
    before = Process(path)
    found: Deferred[object] = before.locator.locate(Uri.parse("sip:example.com"))  # type: ignore[assignment]
    assert before.clock.seconds() == 0
    before.clock.advance(LOOK_SECONDS)  # and then it is killed
    assert found.called

    after = Process(path)
    after.zone.is_silent = True
    assert after.targets() == ["192.0.2.1:5061"]


def test_answers_that_dns_repeats_are_written_now_and_then_only(tmp_path: Path) -> None:
    path = tmp_path / "dns.json"
    process = Process(path)
    process.targets()
    process.clock.advance(WRITE_SECONDS)
    path.unlink()
    process.clock.advance(300)  # the answers' time is over
    path.unlink(missing_ok=True)
    found: Deferred[object] = process.locator.locate(Uri.parse("sip:example.com"))  # type: ignore[assignment]
    assert found.called
    process.clock.advance(LOOK_SECONDS)
    assert not path.exists()
    process.clock.advance(WRITE_SECONDS)
    assert path.exists()


def test_an_answer_is_believed_no_longer_than_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "dns.json"
    before = Process(path)
    before.targets()
    before.file.stop()
    after = Process(path, EPOCH + 300 + STALE_FOR + 60)
    after.zone.is_silent = True
    with pytest.raises(NotFound):
        after.targets()


def test_dns_that_answers_again_has_the_last_word(tmp_path: Path) -> None:
    path = tmp_path / "dns.json"
    before = Process(path)
    before.targets()
    before.file.stop()
    after = Process(path, EPOCH + 400)
    after.clock.advance(WRITE_SECONDS + 1)
    assert after.targets() == ["192.0.2.1:5061"]
    assert "A one.example.com" in after.zone.asked


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"7",
        b"[7]",
        b'[{"kind":"A","name":"a","values":[["evil"]],"good_until":2e9,"serves_until":2e9}]',
        b'[{"kind":"SRV","name":"a","values":[[1,2,3,4]],"good_until":2e9,"serves_until":2e9}]',
        b'[{"kind":"MX","name":"a","values":[],"good_until":2e9,"serves_until":2e9}]',
        b"[" + b"7," * MOST + b"7]",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_told_of_and_not_used(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "dns.json"
    path.write_bytes(text)
    with capturedLogs() as told:
        process = Process(path)
    assert [one["log_level"] for one in told] == [LogLevel.warn]
    assert process.targets() == ["192.0.2.1:5061"]


def test_nothing_of_a_damaged_file_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "dns.json"
    good = b'{"kind":"A","name":"one.example.com","values":[["192.0.2.9"]],"good_until":2e9,"serves_until":2e9}'
    path.write_bytes(b"[" + good + b"]")
    assert [one.values for one in Process(path).names.memory()] == [("192.0.2.9",)]
    path.write_bytes(b"[" + good + b",7]")
    assert Process(path).names.memory() == []


def test_a_disk_that_takes_nothing_is_told_of_once(tmp_path: Path) -> None:
    process = Process(tmp_path / "nowhere" / "dns.json")
    with capturedLogs() as told:
        process.targets()
        process.clock.pump([WRITE_SECONDS] * 5)
    assert [one["log_level"] for one in told if one["log_level"] is not LogLevel.debug] == [LogLevel.warn]
