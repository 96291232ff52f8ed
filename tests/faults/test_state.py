"""What the gateway keeps is full, bad, locked or gone: calls go on, and log and metrics say so."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig


def talk(phone: Phone) -> None:
    """A call, whole."""
    ended = phone.hang_up(phone.must_call())
    assert ended is not None
    assert ended.status == 200


def unwritten(rig: Rig) -> set[str]:
    """The files that metrics call unwritten."""
    lines = (rig.fetch("/metrics") or "").splitlines()
    told = [line for line in lines if line.startswith("gateway_state_unwritten{") and line.endswith(" 1.0")]
    return {line.split('"')[1] for line in told}


def test_files_that_are_no_databases_are_put_aside(rig: Rig, phone: Phone) -> None:
    rig.state.mkdir(mode=0o700)
    for name in ("bindings.sqlite", "calls.sqlite", "peers.sqlite", "posture.sqlite"):
        (rig.state / name).write_bytes(b"\0" * 8192 + b"after a power cut")
    rig.start()

    talk(phone)

    aside = {path.name.partition(".unusable-")[0] for path in rig.state.glob("*.unusable-*")}
    assert aside == {"bindings.sqlite", "calls.sqlite", "peers.sqlite", "posture.sqlite"}
    assert rig.text().count("cannot be used: what it held is forgotten") == 4
    wait_until("the call is kept", lambda: unwritten(rig) == set() and len(rig.records()) == 1, 15)
    assert rig.stop() == -signal.SIGTERM


def test_a_disk_that_takes_nothing_keeps_nobody_from_calling(rig: Rig, phone: Phone) -> None:
    rig.state.mkdir(mode=0o700)
    (rig.state / "cdr.jsonl").symlink_to("/dev/full")
    (rig.state / "calls.sqlite").mkdir()
    rig.start()

    talk(phone)
    rig.wait_for("cdr.jsonl cannot be written: No space left on device; 1 records wait")
    talk(phone)

    wait_until("it is told", lambda: unwritten(rig) == {"cdr.jsonl", "calls.sqlite"}, 15)
    rig.wait_for("the gateway goes on without what was kept: ")
    assert len(rig.json("/api/cdr")) == 2
    (rig.state / "cdr.jsonl").unlink()
    wait_until("what waited is written", lambda: len(rig.records()) == 2, 15)
    assert unwritten(rig) == {"calls.sqlite"}


@pytest.mark.parametrize("name", ["peers", "devices", "limits", "bans", "deviations", "posture", "sources"])
def test_a_file_of_the_state_that_cannot_be_opened_keeps_nobody_from_calling(name: str, rig: Rig, phone: Phone) -> None:
    rig.state.mkdir(mode=0o700)
    (rig.state / f"{name}.sqlite").mkdir()
    rig.start()

    talk(phone)
    assert f'gateway_state_unwritten{{file="{name}.sqlite"}}' in (rig.fetch("/metrics") or "")


def test_a_second_gateway_on_the_same_directory_ends_with_one_line(
    rig: Rig, phone: Phone, hosts: Hosts, tmp_path: Path
) -> None:
    rig.start()
    talk(phone)
    second = Rig(hosts, tmp_path / "second")
    second.state.symlink_to(rig.state)

    assert second.launch().wait(10) == 1
    second.close()

    assert f"the gateway cannot start: {second.state}/bindings.sqlite: is in use by another gateway" in second.text()
    assert "Traceback" not in second.text()
    talk(phone)
    wait_until("both calls are kept", lambda: len(rig.records()) == 2, 15)
    assert unwritten(rig) == set()
