"""Records of calls that are over, made together: one that cannot be made or kept costs no other its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock

from gateway.app.survival_part import RECORDS_SECONDS, SurvivalPart
from gateway.b2bua.survival.frozen_opening import RECORDED
from gateway.state.call_record import CallDirection, CallRecord
from gateway.state.cdr import CdrFile
from gateway.state.history import CallHistory
from tests.support.clocks import clock_at


class Table:
    """Takes no call of the id `unkept`."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def put(self, call_id: str, at: float, call: dict[str, Any]) -> None:
        if call_id == "unkept":
            raise ValueError("of the table")
        self.kept.append(call_id)


class Journal:
    """Notes that a call is recorded."""

    def __init__(self) -> None:
        self.recorded: list[str] = []

    def change(self, call_id: str, data: bytes) -> None:
        assert data == RECORDED
        self.recorded.append(call_id)


class World:
    """The part among stand-ins, with a real history."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.table, self.journal = Clock(), Table(), Journal()
        self.traced: list[str] = []
        table: Any = self.table
        history = CallHistory(table, CdrFile(directory / "cdr.jsonl"), clock_at(1000.0, self.clock), 30)
        state: Any = SimpleNamespace(journal=self.journal, history=history)
        tracing = SimpleNamespace(ended=lambda call_id, call: self.traced.append(call_id))
        basis: Any = SimpleNamespace(reactor=self.clock)
        signalling: Any = SimpleNamespace(tracing=tracing)
        peers: Any = None
        self.part = SurvivalPart(basis, state, signalling, peers)

    def ends(self, *ids: str) -> None:
        for call_id in ids:
            record = CallRecord(call_id, CallDirection.OUTBOUND, "example.com", "alice", "bob", 1000.0, ended_at=1001.0)
            if call_id == "unmade":
                record.tls = None  # type: ignore[assignment]
            self.part.record(record)
        self.clock.advance(RECORDS_SECONDS)


def test_a_record_that_cannot_be_made_costs_no_other_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.ends("one", "unmade", "two")
    assert world.table.kept == world.journal.recorded == world.traced == ["one", "two"]


def test_the_journal_is_told_of_records_that_are_kept_alone(tmp_path: Path) -> None:
    """The next process writes the other one, which finds the call as one that ends."""
    world = World(tmp_path)
    world.ends("one", "unkept", "two")
    assert world.table.kept == world.journal.recorded == ["one", "two"]
