"""SIGTERM leaves calls to the next process unless the configuration says otherwise; where none comes, the caretaker
ends them, on both sides."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

from gateway.app.succession.caretaker import DATABASE
from gateway.state.sqlite import locked
from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig
from tests.support.media_party import rtp


def byes(phone: Phone) -> list[str]:
    """The calls that the phone was told of the end of."""
    phone.receive(0.2)
    return sorted({one.header("call-id") for one in phone.received if not one.status and one.method == "BYE"})


def test_a_restart_without_a_word_in_the_configuration_is_heard_by_nobody(rig: Rig, phone: Phone) -> None:
    rig.configure("drain_seconds = 60")
    rig.start()
    up = phone.must_call()
    phone.must_be_heard()
    workers = rig.workers()
    rig.wait_for("at SIGTERM: calls that are up are left to the next process, since media workers outlive this process")
    begun = time.monotonic()
    assert rig.stop() == -signal.SIGTERM
    assert time.monotonic() - begun < 20, "no call is waited for"
    assert rig.workers() == workers
    assert len(rig.caretakers()) == 1

    rig.start()
    assert "1 calls of the process before go on, 0 of them with new media" in rig.text()
    wait_until("the caretaker sees that somebody goes on with the call", lambda: not rig.caretakers(), 30)
    phone.must_be_heard()
    assert (byes(phone), rig.provider.count("BYE"), rig.records()) == ([], 0, [])
    answer = phone.hang_up(up)
    assert answer is not None
    assert answer.status == 200
    wait_until("it is recorded", lambda: len(rig.records()) == 1, 15)
    rig.stop()
    assert not rig.caretakers(), "no call was left"
    wait_until("the worker that was found running ends with its master", lambda: not rig.workers(), 30)


class Talk:
    """Audio of a phone, a packet each 20 ms from its own thread until it is over."""

    def __init__(self, phone: Phone, dialog: Dialog) -> None:
        self._media, self._to = phone.media, dialog.media
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._speak)
        self.said = 0
        self._thread.start()

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _speak(self) -> None:
        while not self._is_over.wait(0.02):
            self._media.sendto(rtp(self.said), self._to)
            self.said += 1


def heard_by(media: socket.socket) -> list[int]:
    """The packets that have come, by their numbers."""
    heard = []
    with suppress(TimeoutError):
        while True:
            heard.append(int.from_bytes(media.recv(2048)[2:4], "big"))
    return heard


def test_audio_goes_on_without_a_gap_while_no_process_is_there(rig: Rig, phone: Phone) -> None:
    """Every packet arrives, from before the stop until after the start."""
    rig.start()
    up = phone.must_call()
    phone.must_be_heard()
    rig.provider.media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    talk = Talk(phone, up)
    try:
        wait_until("audio flows", lambda: talk.said > 20, 30)
        rig.stop()
        stopped_at = talk.said
        wait_until("there is no gateway for a second", lambda: talk.said > stopped_at + 50, 60)
        rig.start()
        started_at = talk.said
        wait_until("it goes on", lambda: talk.said > started_at + 25, 60)
    finally:
        talk.end()
    assert heard_by(rig.provider.media) == [*range(talk.said)]


def test_calls_that_nobody_goes_on_with_are_hung_up_on_both_sides(rig: Rig, phone: Phone) -> None:
    rig.configure("keep_seconds = 2")
    rig.start()
    for _ in range(3):
        phone.must_call()
    phone.must_be_heard()
    assert rig.stop() == -signal.SIGTERM
    (caretaker,) = rig.caretakers()
    assert rig.records() == []

    rig.wait_for("no process came for 2 s to go on with the calls: they end", 60)
    wait_until("the phone is told of each", lambda: len(byes(phone)) == 3, 30)
    wait_until("the caretaker, a gateway by then, is gone", lambda: not Path(f"/proc/{caretaker}").exists(), 60)
    ended = [one for one in rig.provider.requests if one.method == "BYE"]
    assert len({one.header("call-id") for one in ended}) == 3
    assert {one.header("reason") for one in ended} == {'SIP;cause=503;text="The gateway is being stopped"'}
    assert [one["ending"] for one in rig.records()] == ["The gateway is being stopped"] * 3
    assert all(one["seconds"] > 0 for one in rig.records())
    wait_until("no worker is left", lambda: not rig.workers(), 30)
    assert not rig.gateways()
    assert not rig.caretakers()
    assert "Traceback" not in rig.text()


def test_a_provider_and_a_phone_that_are_gone_are_not_waited_for_long(rig: Rig, phone: Phone) -> None:
    rig.configure("keep_seconds = 1")
    rig.start()
    phone.must_call()
    phone.must_be_heard()
    rig.stop()
    rig.provider.is_silent = True
    rig.wait_for("to go on with the calls: they end", 60)
    wait_until("nothing is left", lambda: not rig.gateways() and not rig.workers(), 60)
    assert len(rig.records()) == 1


def test_a_caretaker_has_nothing_open_but_the_log_and_is_small(rig: Rig, phone: Phone) -> None:
    rig.start()
    phone.must_call()
    phone.must_be_heard()
    rig.stop()
    (caretaker,) = rig.caretakers()
    place = Path(f"/proc/{caretaker}")
    wait_until("it is a session of its own", lambda: os.getsid(caretaker) == caretaker, 10)

    def is_open() -> set[str]:
        return {one.name for one in (place / "fd").iterdir()}

    wait_until("it has read its program, and waits", lambda: is_open() == {"0", "1", "2"}, 10)
    assert (place / "fd/0").readlink() == Path(os.devnull)
    resident = next(line for line in (place / "status").read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 24 * 1024, resident
    assert b"twisted" not in (place / "maps").read_bytes()


def test_a_stop_a_start_and_a_stop_have_one_caretaker_that_acts(rig: Rig, phone: Phone) -> None:
    rig.configure("keep_seconds = 4")
    for _ in range(2):
        rig.start()
        if "go on" not in rig.text():
            phone.must_call()
            phone.must_be_heard()
        rig.stop()
    rig.wait_for("no process came for 4 s", 60)
    wait_until("nothing is left", lambda: not rig.gateways() and not rig.caretakers(), 60)
    wait_until("the phone is told", lambda: len(byes(phone)) == 1, 30)
    assert rig.text().count("no process came for") == 1
    assert len(rig.records()) == 1


def test_nobody_acts_while_another_process_has_the_state_directory(rig: Rig, phone: Phone) -> None:
    """As a gateway has it that takes long to start."""
    rig.configure("keep_seconds = 1")
    rig.start()
    phone.must_call()
    phone.must_be_heard()
    rig.stop()
    with closing(sqlite3.connect(rig.state / DATABASE)) as starting:
        locked(starting)
        time.sleep(4)
        assert len(rig.caretakers()) == 1
        assert rig.records() == []
    rig.wait_for("no process came for 1 s to go on with the calls: they end", 60)
    wait_until("nothing is left", lambda: not rig.gateways(), 60)
    assert len(rig.records()) == 1


def test_a_mistake_in_the_file_ends_calls_since_no_process_could_follow(rig: Rig, phone: Phone) -> None:
    rig.start()
    phone.must_call()
    phone.must_be_heard()
    good = rig.configuration.read_text()
    rig.configuration.write_text(good.replace('security = "off"', 'security = "of"'))
    rig.stop()
    assert "calls that are up are ended, since no next process could start" in rig.text()
    wait_until("the phone is told", lambda: len(byes(phone)) == 1, 15)
    assert len(rig.records()) == 1
    assert not rig.caretakers()


def test_calls_that_an_interrupt_ends_are_not_left_by_a_sigterm_beside_it(rig: Rig, phone: Phone) -> None:
    rig.start()
    assert rig.process is not None
    phone.must_call()
    phone.must_be_heard()
    rig.process.send_signal(signal.SIGINT)
    rig.process.send_signal(signal.SIGTERM)
    rig.process.wait(20)
    wait_until("the phone is told", lambda: len(byes(phone)) == 1, 15)
    assert not rig.caretakers()
