"""`make bench`: one benchmark that fails neither hides the others nor passes, and no benchmark is left out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench.__main__ as every
from bench.calls import rooms
from bench.calls.fresh import fresh
from bench.judging import at_least, at_most, not_above

HELPERS = {"__init__", "__main__", "judging"}


def test_one_that_fails_comes_last_in_the_exit_status_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def run(command: list[str], **_options: object) -> SimpleNamespace:
        ran.append(command[-1])
        return SimpleNamespace(returncode=3 if command[-1] == "bench.tls" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert every.main([]) == 1
    assert ran == [f"bench.{name}" for name in every.JUDGED]
    out, err = capfd.readouterr()
    assert "bench.tls FAILED with 3" in out
    assert err == "These failed: tls\n"
    assert every.main(["more"]) == 0


def test_every_benchmark_belongs_to_a_target() -> None:
    files = {path.stem for path in Path(every.__file__).parent.glob("*.py")}
    assert files - HELPERS == every.JUDGED.keys() | every.MORE.keys()


def test_a_miss_is_said_in_one_word() -> None:
    assert at_most(0.76, 0.75) == "target 0.75: MISSED"
    assert at_most(0.75, 0.75) == "target 0.75: met"
    assert at_least(1_200, 1_500) == "target 1500: MISSED"
    assert not_above(40.0, 30.0, "rtpengine") == "target rtpengine's 30: MISSED"


def test_the_walk_of_a_call_is_counted_message_by_message() -> None:
    walks = fresh(rooms.walks)
    assert list(walks) == ["INVITE", "180 to INVITE", "200 to INVITE", "ACK", "BYE", "200 to BYE"]
    whole = rooms.whole(walks)
    assert whole.calls == sum(walk.calls for walk in walks.values()) > 100
    assert whole.depth == max(walk.depth for walk in walks.values())
    for walk in walks.values():
        assert 1 < walk.depth < walk.calls
        assert 1 < len(walk.files) <= walk.moves + 1
        assert walk.moves < walk.calls == sum(walk.files.values())
