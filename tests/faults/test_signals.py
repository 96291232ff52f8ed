"""Signals while calls are up: SIGTERM ends them in order, SIGHUP with mistakes in the file changes nothing."""

from __future__ import annotations

import signal
import time

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig


def test_sigterm_ends_calls_on_both_sides_and_records_them(rig: Rig, phone: Phone) -> None:
    rig.start()
    for _ in range(5):
        phone.must_call()

    assert rig.stop() == -signal.SIGTERM

    wait_until("the phone is told of each", lambda: _byes(phone) == 5, 15)
    assert rig.provider.count("BYE") >= 5
    reasons = {one.header("reason") for one in rig.provider.requests if one.method == "BYE"}
    assert reasons == {'SIP;cause=503;text="The gateway is being stopped"'}
    assert [one["ending"] for one in rig.records()] == ["The gateway is being stopped"] * 5
    assert all(one["seconds"] > 0 for one in rig.records())
    wait_until("no worker is left", lambda: not rig.workers(), 15)


def test_sigterm_does_not_wait_for_a_provider_that_is_gone(rig: Rig, phone: Phone) -> None:
    rig.start()
    phone.must_call()
    rig.provider.is_silent = True

    begun = time.monotonic()
    rig.stop()

    assert time.monotonic() - begun < 10
    assert len(rig.records()) == 1


def test_sighup_with_mistakes_under_load_changes_nothing(rig: Rig, phone: Phone) -> None:
    rig.start()
    assert rig.process is not None
    kept = phone.must_call()
    good = rig.configuration.read_text()

    for broken in (
        "no TOML at all",
        good.replace('security = "off"', 'security = "of"'),
        good.replace("[admin]", "[adm]"),
    ):
        rig.configuration.write_text(broken)
        rig.process.send_signal(signal.SIGHUP)
        for _ in range(5):
            dialog = phone.call()
            assert isinstance(dialog, Dialog)
            phone.hang_up(dialog)

    rig.wait_for("the configuration stays as it was: " + str(rig.configuration) + ': domain[0].security: found "of"')
    assert rig.text().count("the configuration stays as it was") >= 3
    answer = phone.hang_up(kept)
    assert answer is not None
    assert answer.status == 200
    rig.configuration.write_text(good)
    rig.process.send_signal(signal.SIGHUP)
    rig.wait_for("the configuration is read again: nothing changed")


def _byes(phone: Phone) -> int:
    phone.receive(0.2)
    return len({one.header("call-id") for one in phone.received if not one.status and one.method == "BYE"})
