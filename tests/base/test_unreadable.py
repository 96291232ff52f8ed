"""A process that has made itself unreadable, looked at by another of the same user that is not root."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.other_user import NOBODY, PYTHON

SOURCE = (Path(__file__).parents[2] / "gateway/base/unreadable.py").read_text()

SECRETIVE = """
import sys
exec(sys.argv[1])
become_unreadable()
print("ready", flush=True)
sys.stdin.read()
"""
READER = """
import ctypes, os, sys
PTRACE_ATTACH = 16
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])
attached = libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0
try:
    open(f"/proc/{pid}/mem", "rb").close()
    opened = True
except PermissionError:
    opened = False
os.kill(pid, 0)
print(attached, opened, b"python" in open(f"/proc/{pid}/cmdline", "rb").read())
"""


USER = NOBODY if os.getuid() == 0 else None
"""An ordinary user: root may read everything."""


def allow_cores() -> None:
    """As a shell may have it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


@contextmanager
def secretive() -> Iterator[subprocess.Popen[str]]:
    """A process of an ordinary user that was started with core dumps allowed, as far as we may allow them."""
    with subprocess.Popen(
        [*PYTHON, "-c", SECRETIVE, SOURCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=USER,
        preexec_fn=allow_cores,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_the_kernel_writes_no_core_of_it() -> None:
    with secretive() as process:
        (limit,) = (
            line.split()[4:6]
            for line in Path(f"/proc/{process.pid}/limits").read_text().splitlines()
            if line.startswith("Max core file size")
        )
        assert limit == ["0", "0"]
        assert Path(f"/proc/{process.pid}/environ").stat().st_uid == 0, "it is not dumpable (proc(5))"


def test_its_own_user_cannot_read_its_memory_and_can_signal_it() -> None:
    with secretive() as process:
        seen = subprocess.run(
            [*PYTHON, "-c", READER, str(process.pid)], user=USER, capture_output=True, text=True, check=True
        )
        assert seen.stdout.split() == ["False", "False", "True"]
