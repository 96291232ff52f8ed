"""The watchdog: systemd hears that all is well, and a process that is deaf ends."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from gateway.app.watchdog import DEAF_SECONDS, TICK, ServiceManager, Watchdog


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """All since the last time."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found


class Scene:
    """A watchdog over a gateway with one listener."""

    def __init__(self, manager: ServiceManager) -> None:
        self.clock = Clock()
        self.is_listening = True
        self.has_no_memory = False
        self.ended: list[str] = []
        self.watchdog = Watchdog(self.clock, manager, self._look, self.ended.append)
        self.watchdog.start()

    def _look(self) -> bool:
        if self.has_no_memory:
            raise MemoryError
        return self.is_listening


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_hears_each_second_that_all_is_well(tmp_path: Path, is_abstract: bool) -> None:
    systemd = Systemd("\0" + tmp_path.name if is_abstract else str(tmp_path / "notify"))
    address = "@" + tmp_path.name if is_abstract else str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7", "HOME": "/"}
    scene = Scene(ServiceManager(environment))
    assert environment == {"HOME": "/"}, "workers are not told of it"
    scene.clock.pump([TICK] * 2)
    assert systemd.heard() == ["EXTEND_TIMEOUT_USEC=90000000"] * 3, "a certificate may be ordered first"
    scene.watchdog.ready()
    scene.clock.pump([TICK] * 2)
    assert systemd.heard() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    scene.watchdog.stop()
    scene.clock.advance(TICK)
    assert systemd.heard() == ["STOPPING=1"]


def test_a_manager_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    scene = Scene(ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")}))
    scene.watchdog.ready()
    scene.clock.pump([TICK] * 1000)
    assert systemd.heard()
    assert scene.ended == []


def test_a_process_whose_listener_stays_closed_ends_and_one_that_opens_it_again_does_not() -> None:
    scene = Scene(ServiceManager({}))
    scene.watchdog.ready()
    scene.is_listening = False
    scene.clock.pump([TICK] * round(DEAF_SECONDS - 1))
    scene.is_listening = True
    scene.clock.pump([TICK] * 100)
    assert scene.ended == []
    scene.is_listening = False
    scene.clock.pump([TICK] * round(DEAF_SECONDS + 1))
    assert scene.ended == ["a listener has been closed for 10 seconds, and cannot be opened"]


def test_a_listener_that_is_not_open_yet_is_no_fault_before_the_start_is_over() -> None:
    scene = Scene(ServiceManager({}))
    scene.is_listening = False
    scene.clock.pump([TICK] * 60)
    assert scene.ended == []


def test_a_look_that_fails_is_no_word_of_health_and_not_the_last_look(tmp_path: Path) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    scene = Scene(ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")}))
    scene.watchdog.ready()
    scene.has_no_memory = True
    with pytest.raises(MemoryError):
        scene.clock.advance(TICK)
    assert systemd.heard() == ["EXTEND_TIMEOUT_USEC=90000000", "READY=1"]
    scene.has_no_memory = False
    scene.clock.advance(TICK)
    assert systemd.heard() == ["WATCHDOG=1"]
