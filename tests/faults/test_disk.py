"""The disk of the state directory is full, or takes nothing, while calls are up: they go on and outlive the process,
new ones are made, the log says the cause, and all is written once there is room."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults.test_state import talk, unwritten
from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig

SIZE = 3 * 1024 * 1024
"""Bytes of the disk."""


@pytest.fixture
def disk(rig: Rig) -> Iterator[Rig]:
    """A rig whose state is on a small disk of its own."""
    rig.state.mkdir(mode=0o700)
    _mounted("--types", "tmpfs", "--options", f"size={SIZE},mode=0700", "tmpfs", str(rig.state))
    yield rig
    subprocess.run(["umount", "--lazy", str(rig.state)], check=True)


def _mounted(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def fill(rig: Rig) -> None:
    """Leave no byte of the disk."""
    with suppress(OSError), (rig.state / "fill").open("ab") as file:
        while True:
            file.write(bytes(4096))
            file.flush()


def hangs_up(phone: Phone, dialog: Dialog) -> None:
    answer = phone.hang_up(dialog)
    assert answer is not None
    assert answer.status == 200


def test_calls_go_on_while_the_disk_is_full_and_outlive_the_process(disk: Rig, phone: Phone) -> None:
    disk.start()
    before = [phone.must_call() for _ in range(2)]
    phone.must_be_heard()
    fill(disk)

    talk(phone)
    during = phone.must_call()
    hangs_up(phone, during)
    hangs_up(phone, before[0])
    disk.wait_for(
        "live.journal cannot be written: No space left on device; calls go on, and would not outlive the gateway"
    )
    wait_until("it is told", lambda: "live.journal" in unwritten(disk), 15)

    disk.kill()
    disk.start()
    assert "calls of the process before go on" in disk.text()
    hangs_up(phone, before[1])
    talk(phone)

    (disk.state / "fill").unlink()
    wait_until("all is written", lambda: unwritten(disk) == set(), 60)
    kept = phone.must_call()
    phone.must_be_heard()
    wait_until("calls are kept again", lambda: not unwritten(disk), 30)
    disk.kill()
    disk.start()
    hangs_up(phone, kept)
    assert disk.stop() == -signal.SIGTERM
    assert "Traceback" not in disk.text()


def test_calls_go_on_while_the_disk_takes_nothing(disk: Rig, phone: Phone) -> None:
    """As a file system that its kernel has made read-only after an error, found so at the start."""
    disk.start()
    kept = phone.must_call()
    phone.must_be_heard()
    disk.kill()
    _mounted("--options", "remount,ro", str(disk.state))

    disk.start()

    assert "1 calls of the process before go on" in disk.text()
    talk(phone)
    hangs_up(phone, kept)
    registered = phone.register()
    assert registered is not None
    assert registered.status == 200
    told = {"live.journal", "calls.sqlite", "bindings.sqlite", "cdr.jsonl"}
    wait_until("it is told", lambda: told <= unwritten(disk), 30)
    assert "live.journal cannot be written: Read-only file system" in disk.text()
    assert "Traceback" not in disk.text()
    _mounted("--options", "remount,rw", str(disk.state))
    wait_until("records are written", lambda: bool(disk.records()), 60)
