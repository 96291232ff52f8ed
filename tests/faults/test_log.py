"""Whoever reads the log stops reading, or goes away: calls do not wait for that."""

from __future__ import annotations

import fcntl
import os
import select

from tests.support.calls.processes import wait_until
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig


def test_a_full_pipe_keeps_nobody_waiting(rig: Rig, phone: Phone) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    rig.start(output=writing, level="debug")

    for number in range(20):
        dialog = phone.call()
        assert isinstance(dialog, Dialog), f"call {number} was not answered: {dialog}"
        phone.hang_up(dialog)
    for _ in range(200):
        registered = phone.register()
        assert registered is not None
        assert registered.status == 200
    assert not select.select([], [writing], [], 0)[1], "the pipe is not full: nothing was tried"

    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    told = b""
    os.set_blocking(reading, False)

    def is_told() -> bool:
        nonlocal told
        try:
            told += os.read(reading, 1 << 20)
        except BlockingIOError:
            pass
        return told.count(b" answered after ") == 20

    wait_until("every line is there after all", is_told, 15)
    assert rig.metric("gateway_lost_log_lines_total") == 0
    os.close(writing)
    os.close(reading)


def test_a_reader_that_is_gone_is_nobodys_trouble(rig: Rig, phone: Phone) -> None:
    reading, writing = os.pipe()
    rig.start(output=writing)
    os.close(writing)
    os.close(reading)

    dialog = phone.must_call()
    assert phone.hang_up(dialog) is not None
    rig.stop()
