"""Started by hand where core dumps are allowed: neither process leaves its keys in one, nor shows them to its user."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls.hosts import Hosts
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig
from tests.support.other_user import NOBODY, need_reachable_checkout


@pytest.fixture
def rig(hosts: Hosts) -> Iterator[Rig]:
    """A gateway in a place that an ordinary user can reach."""
    with tempfile.TemporaryDirectory() as place:
        made = Rig(hosts, Path(place))
        if os.getuid() == 0:
            os.chown(place, NOBODY, NOBODY)
        yield made
        print(made.text() if made.log.exists() else "")
        made.close()


def as_an_ordinary_user() -> None:
    """With core dumps allowed, as a shell may have it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def assert_unreadable(pid: int) -> None:
    (row,) = (row for row in Path(f"/proc/{pid}/limits").read_text().splitlines() if row.startswith("Max core file"))
    assert row.split()[4:6] == ["0", "0"]
    assert Path(f"/proc/{pid}/environ").stat().st_uid == 0, (
        "those of a process that can be dumped are its user's (proc(5))"
    )


def test_neither_process_can_be_dumped_and_a_killed_gateway_finds_its_worker_again(rig: Rig, phone: Phone) -> None:
    need_reachable_checkout()
    rig.start(before=as_an_ordinary_user)
    dialog = phone.must_call()
    phone.must_be_heard()
    assert rig.process is not None
    (worker,) = rig.workers()
    for pid in (rig.process.pid, worker):
        assert_unreadable(pid)

    rig.kill()
    rig.start(before=as_an_ordinary_user)

    assert rig.workers() == [worker]
    phone.say(dialog, 3)
    assert len(rig.provider.media.recv(2048)) == 172
    assert_unreadable(rig.process.pid)
