"""The media worker hangs or dies, or the gateway dies and leaves it behind."""

from __future__ import annotations

import os
import signal

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Phone, media_of
from tests.support.faults.rig import Rig

FOUND = 4.0
"""Seconds in which a worker that hangs is found and killed: two, and as many for a machine that is busy with tests."""
HUNG = 15.0
"""Seconds in which it is replaced."""


def test_a_worker_that_hangs_is_replaced_and_its_calls_move_to_the_new_one(rig: Rig, phone: Phone) -> None:
    rig.start()
    dialog = phone.must_call()
    (worker,) = rig.workers()

    os.kill(worker, signal.SIGSTOP)

    wait_until("it is found", lambda: worker not in rig.workers(), FOUND)
    wait_until("the provider is told of new media", lambda: rig.provider.count("INVITE") == 2, HUNG)
    wait_until("the phone is, too", lambda: _moved(phone), 15)
    assert worker not in rig.workers()
    _talk(phone)
    ended = phone.hang_up(dialog)
    assert ended is not None
    assert ended.status == 200
    wait_until("both are recorded", lambda: len(rig.records()) == 2, 15)
    assert [one["ending"] for one in rig.records()] == ["caller hung up"] * 2
    wait_until("it is counted", lambda: rig.metric("gateway_worker_restarts_total") == 1, 15)


def test_a_worker_that_is_killed_interrupts_audio_for_a_moment(rig: Rig, phone: Phone) -> None:
    rig.start()
    dialog = phone.must_call()
    (worker,) = rig.workers()

    os.kill(worker, signal.SIGKILL)

    wait_until("the phone is told of new media", lambda: _moved(phone), 15)
    offered = next(one for one in phone.received if not one.status and one.method == "INVITE")
    dialog.media = media_of(offered)
    while _heard(rig):
        pass
    phone.say(dialog, 5)
    assert _heard(rig), "audio goes on by the new worker"
    ended = phone.hang_up(dialog)
    assert ended is not None
    assert ended.status == 200


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
    phone.must_be_heard()
    call = next(one.call_id for one in rig.provider.requests if one.method == "INVITE")
    phone.say(dialog, 5)
    assert len(rig.provider.media.recv(2048)) == 172

    rig.kill()
    rig.start()

    while _heard(rig):
        pass
    phone.say(dialog, 5)
    assert _heard(rig), "the worker goes on with the call"
    ports = {dialog.media[1]}
    for _ in range(5):
        other = phone.must_call()
        assert other.media[1] not in ports, "a port of a call that goes on is nobody else's"
        phone.hang_up(other)
    assert not _has_ended(rig, call)
    answer = phone.hang_up(dialog)
    assert answer is not None
    assert answer.status == 200, "the call was rebuilt"
    wait_until("the provider is told", lambda: _has_ended(rig, call), 15)
    wait_until("all are recorded", lambda: len(rig.records()) == 6, 15)
    records = rig.records()
    assert len({one["id"] for one in records}) == 6, "a call has one record"
    assert {one["ending"] for one in records} == {"caller hung up"}
    assert rig.metric("gateway_active_calls") == 0


def _talk(phone: Phone) -> None:
    ended = phone.hang_up(phone.must_call())
    assert ended is not None
    assert ended.status == 200


def _has_ended(rig: Rig, call_id: str) -> bool:
    """Whether the provider got a BYE of that call."""
    return any((one.method, one.call_id) == ("BYE", call_id) for one in [*rig.provider.requests])


def _heard(rig: Rig) -> bool:
    try:
        return len(rig.provider.media.recv(2048)) == 172
    except TimeoutError:
        return False


def _moved(phone: Phone) -> bool:
    """Whether a re-INVITE came and was acknowledged."""
    phone.receive(0.2)
    requests = [one.method for one in phone.received if not one.status]
    return "INVITE" in requests and "ACK" in requests
