"""What holds for every test."""

from __future__ import annotations

import gc
import signal
import threading
from collections import Counter
from collections.abc import Generator

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

# A run on a slow, shared machine must not fail for its speed, and the same commit must give the same result twice.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")

# A job in the background ignores SIGINT, and every program that it starts would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect without the garbage collector, in half the time, and let it never look at the collected tests again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


FIXED_ADDRESSES = ("tests/demo/", "tests/browser/")
"""Directories whose tests have the same addresses: never two files of one at once."""


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out a file at a time to several processes, and a directory with fixed addresses as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        directory = next((one for one in FIXED_ADDRESSES if nodeid.startswith(one)), None)
        return directory or str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile | None:
    """Ours, where files are handed out. With a log of its own it would print each step."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Say in the last lines how many tests did not run, and why: a real client must not be missed in silence."""
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:
        return
    for reason, tests in Counter(_reason(report) for report in terminal.stats.get("skipped", ())).items():
        terminal.write_line(f"{tests} {'test' if tests == 1 else 'tests'} not run: {reason}")


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, as it said itself."""
    where = report.longrepr
    return where[2].removeprefix("Skipped: ") if isinstance(where, tuple) else str(where)
