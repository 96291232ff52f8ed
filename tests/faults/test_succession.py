"""SIGUSR2: the next process is loaded while this one serves, and takes over with all calls; one that cannot start
changes nothing."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from gateway.app.succession.turn import GO, LOADED, VARIABLE
from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig


@pytest.fixture
def systemd(rig: Rig) -> Iterator[socket.socket]:
    """The socket of a service manager that is told how the service is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(rig.directory / "notify"))
        heard.settimeout(60)
        yield heard


def started(rig: Rig) -> int:
    """The id of the gateway's process."""
    rig.start(environment={"NOTIFY_SOCKET": str(rig.directory / "notify")})
    assert rig.process is not None
    return rig.process.pid


def words_until(systemd: socket.socket, last: bytes) -> list[bytes]:
    """All that the service manager hears until a word that begins so."""
    words = [systemd.recv(4096)]
    while not words[-1].startswith(last):
        words.append(systemd.recv(4096))
    return words


@pytest.mark.parametrize("stop", ["end", "keep"])
def test_the_next_process_takes_over_with_the_calls(rig: Rig, phone: Phone, systemd: socket.socket, stop: str) -> None:
    text = rig.configuration.read_text()
    rig.configuration.write_text(text.replace("drain_seconds = 0", f'drain_seconds = 60\nstop = "{stop}"'))
    first = started(rig)
    words_until(systemd, b"READY")
    up = phone.must_call()
    phone.must_be_heard()
    workers = rig.workers()

    os.kill(first, signal.SIGUSR2)
    words = words_until(systemd, b"MAINPID")
    second = int(words[-1].partition(b"=")[2])
    assert b"STOPPING=1" not in words, "systemd would end the service"
    assert rig.process is not None
    assert rig.process.wait(30) == 0
    words_until(systemd, b"READY")

    assert rig.gateways() == [second] != [first]
    assert rig.workers() == workers
    assert "1 calls of the process before go on, 0 of them with new media" in rig.text()
    assert (rig.provider.count("BYE"), rig.records()) == (0, [])
    answer = phone.hang_up(up)
    assert answer is not None
    assert answer.status == 200
    phone.hang_up(phone.must_call())
    wait_until("both are recorded", lambda: len(rig.records()) == 2, 15)

    os.kill(second, signal.SIGTERM)
    words_until(systemd, b"STOPPING")
    wait_until("it has ended", lambda: not rig.gateways(), 30)
    assert "Traceback" not in rig.text()


def test_a_next_process_that_cannot_start_changes_nothing(rig: Rig, phone: Phone, systemd: socket.socket) -> None:
    first = started(rig)
    good = rig.configuration.read_text()
    rig.configuration.write_text(good.replace('security = "off"', 'security = "of"'))
    os.kill(first, signal.SIGUSR2)
    rig.wait_for("the next process has ended, this one goes on", 60)
    assert rig.gateways() == [first]
    phone.hang_up(phone.must_call())

    rig.configuration.write_text(good)
    os.kill(first, signal.SIGUSR2)
    words_until(systemd, b"MAINPID")
    words_until(systemd, b"READY")
    phone.hang_up(phone.must_call())


def test_a_next_process_whose_parent_is_killed_starts_nothing(rig: Rig, systemd: socket.socket) -> None:
    """The service manager starts one: two would be one too many."""
    first = started(rig)
    os.kill(first, signal.SIGUSR2)
    wait_until("there are two", lambda: len(rig.gateways()) == 2, 30)
    rig.kill()
    wait_until("both have ended", lambda: not rig.gateways(), 60)


def test_a_signal_before_a_gateway_follows_it_does_not_end_it(rig: Rig) -> None:
    """It is loaded, and waits for the word of the process before."""
    loaded, go = rig.directory / "loaded", rig.directory / "go"
    for pipe in (loaded, go):
        os.mkfifo(pipe)
    hears, tells = (os.open(pipe, os.O_RDWR) for pipe in (loaded, go))
    try:
        rig.starter = ("sh", "-c", f'exec "$0" "$@" 3>"{loaded}" 4<"{go}"')
        process = rig.launch(environment={VARIABLE: "3,4"})
        assert os.read(hears, 16) == LOADED
        for number in (signal.SIGUSR2, signal.SIGHUP):
            process.send_signal(number)
        os.write(tells, GO)
        wait_until("it is ready", lambda: process.poll() is not None or rig.is_ready(), 60)
        assert process.poll() is None
    finally:
        for end in (hears, tells):
            os.close(end)
