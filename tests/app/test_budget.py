"""The price of a call and of a ping: functions that are called inside the gateway, and Python's own instructions
(bench/calls, budget.py and pings.py), neither of which another load of the machine changes. A feature that makes each
call dearer is to be noticed here, and not years later in a table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CALLS = 1464
"""As Python 3.11 counts 1,458; later versions count fewer."""
INSTRUCTIONS = 28_540 if sys.version_info < (3, 12) else 36_400
"""As Python 3.11 counts 28,490 to 28,510; later versions count otherwise."""
AFTER = 134
"""Function calls after a call's end, until its last timer is over; among them its record and its lines of the log.

All may fall. A commit that raises one says for which feature, and docs/performance.md by how much calls have become
dearer."""

HELD_BYTES, HELD_OBJECTS = 10_030, 54
"""Of a call that is up, without media, once its transactions are over: 9,120 and 49 by Python 3.11."""

PING, REFRESH = 153, 390
"""Function calls of an OPTIONS and of the refresh of a REGISTER over TLS: 150 and 384 by Python 3.11."""

IN_CLEAR, WITH_SRTP = (580, 8_440), (781, 10_990)
"""Function calls of a media worker for offer, answer and delete of a call, and Python's own instructions: 576, 8,387
and 777, 10,923 by Python 3.11; later versions count fewer calls, and otherwise."""


def counted(bench: str) -> list[int]:
    """The figures that a bench counts."""
    command = [sys.executable, "-m", bench, "--count"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return [int(figure) for figure in done.stdout.split()]


def test_a_call_takes_no_more_than_it_did() -> None:
    calls, instructions, after = counted("bench.calls.budget")
    assert 1000 < calls <= CALLS
    assert 15_000 < instructions <= INSTRUCTIONS
    assert 10 < after <= AFTER


def test_a_call_that_is_up_holds_no_more_than_it_did() -> None:
    held, objects = counted("bench.growth")
    assert 4000 < held <= HELD_BYTES
    assert 20 < objects <= HELD_OBJECTS


def test_a_phone_that_is_only_there_takes_no_more_than_it_did() -> None:
    ping, refresh = counted("bench.calls.pings")
    assert 50 < ping <= PING
    assert 100 < refresh <= REFRESH


def test_the_commands_of_a_call_take_no_more_of_a_media_worker_than_they_did() -> None:
    figures = counted("bench.calls.commands")
    is_like_311 = sys.version_info < (3, 12)
    for found, most in ((figures[:2], IN_CLEAR), (figures[2:], WITH_SRTP)):
        assert 200 < found[0] <= most[0]
        assert 2_000 < found[1] <= (most[1] if is_like_311 else 1.3 * most[1])
