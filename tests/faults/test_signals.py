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


def test_a_second_sigterm_ends_calls_at_once(rig: Rig, phone: Phone) -> None:
    rig.configuration.write_text(rig.configuration.read_text().replace("drain_seconds = 0", "drain_seconds = 600"))
    rig.start()
    assert rig.process is not None
    phone.must_call()
    begun = time.monotonic()
    rig.process.send_signal(signal.SIGTERM)
    rig.wait_for("draining: 1 calls may go on for 600 s")
    assert rig.process.poll() is None
    assert rig.stop() == -signal.SIGTERM
    assert time.monotonic() - begun < 20
    wait_until("the phone is told", lambda: _byes(phone) == 1, 15)
    assert [one["ending"] for one in rig.records()] == ["The gateway is being stopped"]
    assert "Traceback" not in rig.text()


def test_an_interrupt_from_the_keyboard_waits_for_nobody(rig: Rig, phone: Phone) -> None:
    rig.configuration.write_text(rig.configuration.read_text().replace("drain_seconds = 0", "drain_seconds = 600"))
    rig.start()
    assert rig.process is not None
    phone.must_call()
    rig.process.send_signal(signal.SIGINT)
    assert rig.process.wait(20) == -signal.SIGINT
    wait_until("the phone is told", lambda: _byes(phone) == 1, 15)


def test_sigterm_at_every_moment_of_a_start_ends_the_process(rig: Rig) -> None:
    for wait in (0.3, 0.6, 0.9, 1.2):
        process = rig.launch()
        time.sleep(wait)
        process.terminate()
        assert process.wait(20) in (-signal.SIGTERM, 1)
    assert "Traceback" not in rig.text()


def test_registrations_and_requests_of_calls_go_on_during_a_drain(rig: Rig, phone: Phone) -> None:
    rig.configuration.write_text(rig.configuration.read_text().replace("drain_seconds = 0", "drain_seconds = 60"))
    rig.start()
    assert rig.process is not None
    dialog = phone.must_call()
    rig.process.send_signal(signal.SIGTERM)
    rig.wait_for("draining: 1 calls")
    answer = phone.register()
    assert answer is not None
    assert answer.status == 200
    assert isinstance(phone.call("112"), Dialog), "an emergency call goes through"
    refused = phone.call()
    assert not isinstance(refused, Dialog)
    assert refused is not None
    assert refused.status == 503
    answer = phone.hang_up(dialog)
    assert answer is not None
    assert answer.status == 200
    assert rig.process.poll() is None, "the emergency call is waited for"
