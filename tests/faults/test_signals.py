"""Signals while calls are up: SIGTERM ends them in order where it is to, SIGHUP with mistakes in the file changes
nothing. Calls that are left to the next process: test_left_calls."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig

ENDS = 'stop = "end"'


def test_sigterm_ends_calls_on_both_sides_and_records_them(rig: Rig, phone: Phone) -> None:
    rig.configure("drain_seconds = 0", ENDS)
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


def test_a_restart_that_keeps_calls_is_heard_by_nobody(rig: Rig, phone: Phone) -> None:
    rig.configure("drain_seconds = 60", 'stop = "keep"')
    rig.start()
    up = phone.must_call()
    workers = rig.workers()
    begun = time.monotonic()
    assert rig.stop() == -signal.SIGTERM
    assert time.monotonic() - begun < 8, "no call is waited for"
    assert rig.workers() == workers
    rig.start()
    assert "1 calls of the process before go on, 0 of them with new media" in rig.text()
    assert (_byes(phone), rig.provider.count("BYE"), rig.records()) == (0, 0, [])

    answer = phone.hang_up(up)
    assert answer is not None
    assert answer.status == 200
    wait_until("it is recorded", lambda: len(rig.records()) == 1, 15)


def test_sigterm_does_not_wait_for_a_provider_that_is_gone(rig: Rig, phone: Phone) -> None:
    rig.configure("drain_seconds = 0", ENDS)
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
    rig.configure("drain_seconds = 600", ENDS)
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
    rig.configure("drain_seconds = 600")
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
    rig.configure("drain_seconds = 60", ENDS)
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


def test_systemd_hears_that_it_is_ready_and_well_and_stops_and_nothing_while_it_stands_still(rig: Rig) -> None:
    address = rig.directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(5)
        rig.start(environment={"NOTIFY_SOCKET": str(address)})
        assert rig.process is not None
        heard = [systemd.recv(4096) for _ in range(4)]
        while heard[-1] != b"WATCHDOG=1":
            heard.append(systemd.recv(4096))
        ready = heard.index(b"READY=1")
        assert set(heard[:ready]) == {b"EXTEND_TIMEOUT_USEC=90000000"}
        assert set(heard[ready + 1 :]) == {b"WATCHDOG=1"}
        workers = rig.workers()
        assert workers
        for worker in workers:
            assert b"NOTIFY_SOCKET" not in Path(f"/proc/{worker}/environ").read_bytes()

        rig.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        systemd.setblocking(False)
        with suppress(BlockingIOError):  # a word that was under way
            systemd.recv(4096)
        systemd.settimeout(2)
        with pytest.raises(TimeoutError):
            systemd.recv(4096)
        rig.process.send_signal(signal.SIGCONT)
        systemd.settimeout(5)
        assert systemd.recv(4096) == b"WATCHDOG=1"

        rig.process.send_signal(signal.SIGTERM)
        while (word := systemd.recv(4096)) != b"STOPPING=1":
            assert word == b"WATCHDOG=1"
