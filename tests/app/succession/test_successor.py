"""The next process, by a reactor that starts none: the words of the log when it ends."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from gateway.app.succession.successor import TELLS, Successor
from gateway.app.succession.turn import LOADED
from gateway.app.watchdog import ServiceManager


class Reactor(Clock):
    """Starts nothing."""

    def spawnProcess(self, *_: Any, **__: Any) -> object:
        return object()


@pytest.mark.parametrize(("is_loaded", "told"), [(False, "this one goes on"), (True, "this one stops all the same")])
def test_the_log_says_whether_this_process_goes_on(is_loaded: bool, told: str) -> None:
    left: list[str] = []
    successor = Successor(Reactor(), ServiceManager({}), lambda: left.append("left"))
    successor.begin()
    if is_loaded:
        successor.childDataReceived(TELLS, LOADED)
    with capturedLogs() as logged:
        successor.processEnded(Failure(ProcessTerminated(1)))
    (event,) = logged
    assert told in event["log_format"]
    assert left == (["left"] if is_loaded else [])
    assert not successor.is_loaded
