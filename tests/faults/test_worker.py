"""The media worker hangs or dies, or the gateway dies and leaves it behind."""

from __future__ import annotations

import os
import signal

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig

HUNG = 15.0
"""Seconds in which a worker that hangs is found and replaced: two pings of three seconds, two seconds apart."""


def test_a_worker_that_hangs_is_replaced_and_its_calls_end_on_both_sides(rig: Rig, phone: Phone) -> None:
    rig.start()
    phone.must_call()
    (worker,) = rig.workers()

    os.kill(worker, signal.SIGSTOP)

    wait_until("the phone is told", lambda: _is_told(phone), HUNG)
    wait_until("the provider is told", lambda: rig.provider.count("BYE") > 0, 3)
    wait_until("another serves", lambda: rig.is_ready() and rig.workers() != [worker], HUNG)
    assert worker not in rig.workers()
    _talk(phone)
    wait_until("both are recorded", lambda: len(rig.records()) == 2, 5)
    first, second = rig.records()
    assert (first["status"], second["status"], second["ending"]) == (200, 200, "caller hung up")
    assert first["ending"].startswith("the media relay was lost")
    wait_until("it is counted", lambda: rig.metric("gateway_worker_restarts_total") == 1, 5)


def test_a_worker_that_outlived_the_gateway_and_then_hangs_is_replaced(rig: Rig, phone: Phone) -> None:
    rig.start()
    (worker,) = rig.workers()
    rig.kill()
    rig.start()
    assert rig.workers() == [worker], "the new gateway adopts the worker that is there"

    os.kill(worker, signal.SIGSTOP)

    wait_until("another serves", lambda: rig.is_ready() and rig.workers() not in ([], [worker]), HUNG)
    _talk(phone)


def test_audio_goes_on_while_the_gateway_is_killed_and_started_again(rig: Rig, phone: Phone) -> None:
    rig.start()
    dialog = phone.must_call()
    phone.say(dialog, 5)
    assert len(rig.provider.media.recv(2048)) == 172

    rig.kill()
    rig.start()

    while _heard(rig):
        pass
    phone.say(dialog, 5)
    assert _heard(rig), "the worker goes on with the call"
    ports = {dialog.answer.media[1]}
    for _ in range(5):
        other = phone.must_call()
        assert other.answer.media[1] not in ports, "a port of a call that goes on is nobody else's"
        phone.hang_up(other)
    answer = phone.hang_up(dialog)
    assert answer is not None
    assert answer.status == 481, "who hangs up is told that there is no such call"


def _talk(phone: Phone) -> None:
    ended = phone.hang_up(phone.must_call())
    assert ended is not None
    assert ended.status == 200


def _heard(rig: Rig) -> bool:
    try:
        return len(rig.provider.media.recv(2048)) == 172
    except TimeoutError:
        return False


def _is_told(phone: Phone) -> bool:
    message = phone.receive(0.2)
    return message is not None and message.method == "BYE"
