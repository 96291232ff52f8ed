"""A start reserves little address space: with a limit of it (`ulimit -v`) the gateway runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig

MOST_MIB = 500
"""Reserved by the process with a call up: 185 on Debian 12; each thread's arena would take 64 more."""


def test_the_threads_of_a_gateway_reserve_no_arenas_of_their_own(rig: Rig, phone: Phone) -> None:
    rig.start()
    assert phone.register() is not None
    phone.must_call()
    phone.must_be_heard()
    assert rig.process is not None
    for pid in (rig.process.pid, *rig.workers()):
        status = Path(f"/proc/{pid}/status").read_text()
        size = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize:"))
        assert size < MOST_MIB * 1024, f"{pid} has {size // 1024} MiB of address space"
