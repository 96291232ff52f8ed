"""The gateway is killed in the middle of calls: what is left of them, and what the next one says."""

from __future__ import annotations

import time

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig


def test_a_call_that_was_up_has_a_record_that_says_so(rig: Rig, phone: Phone) -> None:
    rig.start()
    phone.must_call()
    short = phone.must_call()
    phone.hang_up(short)
    time.sleep(13)  # until a call that lasts is noted and written

    rig.kill()
    rig.start()

    wait_until("both are recorded", lambda: len(rig.records()) == 2, 15)
    ended, lost = rig.records()
    assert (ended["ending"], ended["status"]) == ("caller hung up", 200)
    assert lost["ending"] == "not known: the gateway ended without ending its calls"
    assert (lost["status"], lost["verdict"], lost["seconds"]) == (200, "CLEAR", None)
    assert rig.metric("gateway_calls_total") == 1
    told = rig.json(f"/api/calls/{lost['id']}")
    assert [step["what"] for step in told["ladder"]][-1] == "ACK"
    assert told["ending"] == lost["ending"]
