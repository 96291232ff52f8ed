"""A gateway that is killed again and again under calls: both ends of every call agree, and nothing grows.

`make soak` lets it last an hour (SOAK_MINUTES), with a kill every 20 s.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls.processes import wait_until
from tests.support.faults.rig import Rig
from tests.support.faults.soak import GIVES_UP, Soak

SECONDS = float(os.environ.get("SOAK_MINUTES", "0")) * 60
UNSURE = 0.5
"""Seconds before a kill in which an ACK may have been under way on a busy machine, and after the word for it in which a
caller may have read a 200 of before."""
KILLS, EVERY, LONGEST = (round(SECONDS / 20), 20.0, 25.0) if SECONDS else (3, 8.0, 8.0)
"""Kills, the seconds between two, and the longest call in seconds."""
PER_SECOND = 20
FIRST_PORT, PORTS = 20_000, 4_000
"""Of media: four a call, which rest for ten seconds afterwards."""
ANSWERED = 0.75
"""Of all calls: a machine that is busy with other things sheds some with 503, and a kill takes those that ring."""
SETTLED = 5
"""Kills until the history of calls is full, and with it the memory."""
MOST_JOURNAL = 4 << 20
"""Bytes."""
AGREE_WITHIN = 40.0
"""Seconds in which both ends of a call have to know that it is over."""


@pytest.fixture
def soak(rig: Rig) -> Iterator[Soak]:
    provider = (rig.provider.host, rig.provider.port)
    rig.provider.close()
    ports = f"{rig.first_media_port}-{rig.first_media_port + 399}"
    rig.first_media_port = FIRST_PORT
    written = rig.configuration.read_text()
    rig.configuration.write_text(written.replace(ports, f"{FIRST_PORT}-{FIRST_PORT + PORTS - 1}"))
    made = Soak(rig.hosts.phone, provider, rig.proxy, (rig.hosts.gateway, rig.trunk))
    yield made
    made.close()


def test_both_ends_of_every_call_agree_however_often_the_gateway_is_killed(rig: Rig, soak: Soak) -> None:
    rig.start()
    soak.start(PER_SECOND, LONGEST)
    memory: list[float] = []
    killed_at: list[float] = []
    for _ in range(KILLS):
        time.sleep(EVERY)
        memory.append(megabytes(rig))
        killed_at.append(time.monotonic())
        rig.kill()
        rig.start()
    soak.stop()
    wait_until("no end believes in a call", lambda: soak.is_over, LONGEST + GIVES_UP + AGREE_WITHIN)

    answered = [call for call in soak.calls.values() if call.caller.up_at is not None]
    apart = sorted(call.apart for call in soak.calls.values())
    how = Counter((call.caller.ending, call.callee.ending if call.callee else "") for call in soak.calls.values())
    print(f"{len(soak.calls)} calls, {len(answered)} answered, {KILLS} kills; ends apart for {apart[-1]:.1f} s at most")
    print(f"MB before each kill: {', '.join(f'{one:.0f}' for one in memory)}; endings: {how.most_common()}")
    assert not soak.faults, soak.faults[:10]
    assert apart[-1] <= AGREE_WITHIN
    assert len(answered) >= ANSWERED * len(soak.calls)
    wait_until("the gateway knows of none", lambda: rig.metric("gateway_active_calls") == 0, 15)
    # Between our 200 and its ACK a kill gives a call up: over on both sides, and recorded as one without an answer.
    up_at = {call.number: call.caller.up_at or 0.0 for call in answered}
    unsure = {number for number, up in up_at.items() if any(abs(at - up) < UNSURE for at in killed_at)}
    sure = {*up_at} - unsure
    wait_until(
        "each call is recorded", lambda: not sure - {*recorded(rig)} and not unsure - {*recorded(rig, is_any=True)}, 15
    )
    wrong = {number: told for number, told in recorded(rig).items() if told != 1}
    assert not wrong, wrong
    assert memory[-1] <= 1.25 * memory[min(SETTLED, len(memory) - 2)], memory
    assert (rig.state / "live.journal").stat().st_size < MOST_JOURNAL


def megabytes(rig: Rig) -> float:
    """The memory of the gateway's process."""
    assert rig.process is not None
    status = Path(f"/proc/{rig.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def recorded(rig: Rig, *, is_any: bool = False) -> Counter[str]:
    """The records of each number's answered calls, or of all its calls."""
    return Counter(
        record["callee"].partition(":")[2].partition("@")[0]
        for record in rig.records()
        if is_any or record["answered_at"] is not None
    )
