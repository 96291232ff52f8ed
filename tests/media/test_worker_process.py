"""A worker's process as the kernel tells of it: stopped, dead or at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from gateway.media.worker_process import WorkerOptions, WorkerProcess, state_of

WITHIN = 30.0
"""Seconds; a machine may be busy."""


@pytest.fixture
def options(tmp_path: Path) -> WorkerOptions:
    return WorkerOptions(tmp_path / "worker.sock", ("127.0.0.1",), 2, 3)


def command_of(options: WorkerOptions) -> list[str]:
    return [sys.executable, "-c", "input()", f"--socket={options.socket}"]


@pytest.fixture
def process(options: WorkerOptions) -> Iterator[subprocess.Popen[bytes]]:
    """A program with the command line of that worker, by which it is found."""
    with subprocess.Popen(command_of(options), stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def becomes(pid: int, states: str) -> bool:
    """Whether the process gets into one of these states."""
    end = time.monotonic() + WITHIN
    while state_of(pid) not in states and time.monotonic() < end:
        time.sleep(0.01)
    return state_of(pid) in states


def test_a_worker_found_running_cannot_answer_while_it_is_stopped(
    options: WorkerOptions, process: subprocess.Popen[bytes]
) -> None:
    reactor: Any = MemoryReactorClock()
    worker = WorkerProcess(reactor, reactor, options)
    assert becomes(process.pid, "SR")
    assert not worker.cannot_answer()
    os.kill(process.pid, signal.SIGSTOP)
    assert becomes(process.pid, "T")
    assert worker.cannot_answer()
    os.kill(process.pid, signal.SIGCONT)
    assert becomes(process.pid, "SR")
    assert not worker.cannot_answer()


def test_of_a_worker_that_is_not_found_or_is_two_nothing_is_said(
    options: WorkerOptions, process: subprocess.Popen[bytes]
) -> None:
    reactor: Any = MemoryReactorClock()
    worker = WorkerProcess(reactor, reactor, options)
    other = WorkerProcess(reactor, reactor, WorkerOptions(Path("/nowhere/worker.sock"), ("127.0.0.1",), 2, 3))
    assert not other.cannot_answer()
    with subprocess.Popen(command_of(options), stdin=subprocess.PIPE) as twin:
        os.kill(twin.pid, signal.SIGSTOP)
        os.kill(process.pid, signal.SIGSTOP)
        assert becomes(twin.pid, "T")
        assert becomes(process.pid, "T")
        assert not worker.cannot_answer()
        twin.kill()


def test_a_process_that_proc_hides_is_taken_for_one_at_work(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """hidepid of proc(5), ProtectProc of systemd: a worker is unreadable, and so hidden from its own user."""

    def hidden(_: Path) -> bytes:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_bytes", hidden)
    assert state_of(process.pid) == "S"
    process.kill()
    process.wait()
    assert state_of(process.pid) == "X"


def test_a_process_that_ended_is_dead_before_and_after_it_was_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    assert becomes(process.pid, "Z")
    process.wait()
    assert state_of(process.pid) == "X"
