"""A running gateway with four weeks of calls: a phone calls another country, and gatewayctl and an alert tell."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.state.listing.call_table import CallTable, prepare_calls
from gateway.state.table import WRITE_DELAY
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until
from tests.support.direct_database import DirectDatabase
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig

DAY = 86_400.0
BERLIN, CUBA = "+493012345678", "+5371234567"
ALERT = '\n[[alert]]\nname = "log"\nto = "log"\nevents = ["deviation.*"]\nleast = "notice"\n'


def keep_calls(state: Path, now: float) -> None:
    """A call of alice each hour of 28 days, in the night too, all in Germany."""
    state.mkdir(mode=0o700, exist_ok=True)
    path = state / "calls.sqlite"
    database = DirectDatabase(path, prepare_calls)
    table = CallTable(path, database, database.clock)
    for hour in range(1, 28 * 24):
        at = now - hour * 3600.0
        place = {"id": f"c{hour}", "direction": "outbound", "domain": "example.com", "verdict": "CLEAR"}
        parties = {
            "caller": "sip:alice@example.com",
            "callee": "sip:echo@example.com",
            "callee_number": "+493012345678",
        }
        times = {"started_at": at, "answered_at": at + 1, "ended_at": at + 60, "seconds": 59.0, "emergency": False}
        table.put(f"c{hour}", at + 60, {**place, **parties, **times})
    database.clock.advance(WRITE_DELAY)
    database.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    claimed = Hosts.claim()
    made = Rig(claimed, tmp_path)
    keep_calls(made.state, time.time())
    made.configuration.write_text(made.configuration.read_text() + ALERT)
    yield made
    print(made.text() if made.log.exists() else "")
    made.close()
    claimed.release()


def ctl(rig: Rig, *arguments: str) -> str:
    program = str(Path(sys.executable).with_name("gatewayctl"))
    environment = {**os.environ, "GATEWAY_CONFIG": str(rig.configuration)}
    done = subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, check=True)
    return done.stdout


def test_a_call_to_a_new_country_is_told_by_gatewayctl_and_as_an_alert(rig: Rig) -> None:
    rig.start()
    phone = Phone(rig.hosts.phone, rig.proxy)
    phone.hang_up(phone.must_call("+493011223344"))
    phone.hang_up(phone.must_call(CUBA))
    phone.close()
    wait_until("both are told", lambda: rig.text().count("alert: deviation.new_country") == 2, 10)
    assert "alert: deviation.new_country (warning) about alice in example.com call " in rig.text()
    assert "deviation.night_call" not in rig.text()
    time.sleep(2 * WRITE_DELAY)
    told = ctl(rig, "deviations", "--domain", "example.com")
    rows = [line.split() for line in told.splitlines()[1:]]
    assert sorted(row[2] for row in rows if row[1] == "new_country") == ["(all)", "alice"]
    assert f"country CU, number {CUBA}, countries before 1, days 28" in told
    assert ctl(rig, "deviations", "--domain", "example.org") == "none\n"
