"""The gateway is killed in the middle of calls: the next one goes on with them, or says what was left of them."""

from __future__ import annotations

import time

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig


def test_calls_go_on_with_one_record_each(rig: Rig, phone: Phone) -> None:
    rig.start()
    first, second = phone.must_call(), phone.must_call()
    short = phone.must_call()
    phone.hang_up(short)
    wait_until("the short one is recorded", lambda: len(rig.records()) == 1, 15)

    rig.kill()
    rig.start()

    assert "2 calls of the process before go on, 0 of them with new media" in rig.text()
    answer = phone.hang_up(first)
    assert answer is not None
    assert answer.status == 200
    wait_until("it is recorded", lambda: len(rig.records()) == 2, 15)
    rig.kill()
    rig.start()
    assert "1 calls of the process before go on" in rig.text()
    phone.hang_up(second)

    wait_until("all are recorded", lambda: len(rig.records()) == 3, 15)
    records = rig.records()
    assert len({record["id"] for record in records}) == 3
    assert {(record["ending"], record["status"], record["verdict"]) for record in records} == {
        ("caller hung up", 200, "CLEAR")
    }
    assert rig.metric("gateway_active_calls") == 0
    told = rig.json(f"/api/calls/{records[-1]['id']}")
    steps = [step["what"] for step in told["ladder"]]
    assert (steps[0], steps.count("BYE")) == ("INVITE", 2)


def test_a_call_that_was_up_has_a_record_that_says_so_where_none_is_kept(rig: Rig, phone: Phone) -> None:
    text = rig.configuration.read_text()
    rig.configuration.write_text(text.replace("drain_seconds = 0", "drain_seconds = 0\nkeep_calls = false"))
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
