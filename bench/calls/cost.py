"""CPU time and memory of a process and all that it started, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_MS_PER_TICK = 1000 / os.sysconf("SC_CLK_TCK")


def cpu_ms(pid: int) -> float:
    """Milliseconds of user and system time so far, of the process and its descendants, those that ended included."""
    return sum(_own_ms(each) for each in family(pid))


def exact_cpu_ms(pid: int) -> float:
    """The same without rounding to the kernel's ticks, and without processes and threads that ended before."""
    tasks = [task for member in family(pid) for task in Path(f"/proc/{member}/task").glob("*/schedstat")]
    return sum(_ran_ns(task) for task in tasks) / 1e6


def _ran_ns(task: Path) -> int:
    try:
        return int(task.read_text().split()[0])
    except OSError:
        return 0


def resident_kib(pid: int) -> int:
    """KiB of memory that the process and its descendants have, what they share counted in parts.

    Mapped files are left out: their parts grow when another process ends that has mapped them too.
    """
    return sum(_proportional_kib(each) for each in family(pid))


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def _own_ms(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) * _MS_PER_TICK  # utime, stime, cutime, cstime


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    family = [pid]
    for member in family:
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                family.extend(int(child) for child in task.read_text().split())
            except OSError:
                continue
    return family
