"""The system's clock jumps by hours while calls and registrations are up: nobody but the reader of the log notices."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Phone
from tests.support.faults.rig import CLOCK, Rig

HOURS = 3600.0


class Clock:
    """The wall clock of one gateway."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._file: Path = rig.directory / "clock"
        self.jump(0)
        self.start()

    def start(self) -> None:
        """Start the gateway, and the next one."""
        self._rig.start(environment={"PYTHONPATH": str(CLOCK), "CLOCK_OFFSET": str(self._file)})

    def jump(self, seconds: float) -> None:
        made = self._file.with_suffix(".new")
        made.write_text(str(seconds))
        made.rename(self._file)


@pytest.mark.parametrize("jump", [-6 * HOURS, 6 * HOURS], ids=["back", "forward"])
def test_calls_and_registrations_outlive_a_jump(rig: Rig, phone: Phone, jump: float) -> None:
    clock = Clock(rig)
    registered = phone.register()
    assert registered is not None
    assert registered.status == 200
    dialog = phone.must_call()

    clock.jump(jump)
    time.sleep(1.5)

    assert [one["address_of_record"] for one in rig.json("/api/phones")] == ["sip:alice@example.com"]
    assert 200 < rig.json("/api/phones")[0]["expires_in"] <= 300
    assert rig.metric("gateway_active_calls") == 1, "the call was ended"
    ended = phone.hang_up(dialog)
    assert ended is not None
    assert ended.status == 200
    wait_until("the record is written", lambda: bool(rig.records()), 15)
    assert 1 < rig.records()[0]["seconds"] < 60, "the length of the call is not what passed"


@pytest.mark.parametrize("jump", [-6 * HOURS, 6 * HOURS], ids=["back", "forward"])
def test_timers_go_on_after_a_jump(rig: Rig, phone: Phone, jump: float) -> None:
    clock = Clock(rig)
    rig.provider.is_silent = True
    data = phone.invite()
    clock.jump(jump)
    phone.ask(data, 3)

    assert 3 <= rig.provider.count("INVITE") <= 4, "copies after 0.5 and 1.5 seconds (timer A)"


@pytest.mark.parametrize(("jump", "way"), [(-24 * HOURS, "back"), (24 * HOURS, "forward")])
def test_calls_outlive_a_clock_that_is_set_while_no_gateway_runs(rig: Rig, phone: Phone, jump: float, way: str) -> None:
    clock = Clock(rig)
    dialog = phone.must_call()
    phone.must_be_heard()

    rig.kill()
    clock.jump(jump)
    clock.start()

    assert "1 calls of the process before go on" in rig.text()
    assert f"the system's clock was set {way} by 86400 s while no gateway ran" in rig.text()
    ended = phone.hang_up(dialog)
    assert ended is not None
    assert ended.status == 200
    wait_until("the record is written", lambda: bool(rig.records()), 15)
    assert 0 < rig.records()[0]["seconds"] < 600, "the length of the call is not what passed"
