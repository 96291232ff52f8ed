"""A process with memory that root alone can read.

It leaves no core dump, and other processes of its user cannot trace it. The gateway's memory holds private keys,
passwords and nonces, a media worker has the SRTP keys of its calls. Two limits, for neither is enough alone:

- RLIMIT_CORE 0: the kernel writes no core file. But where core_pattern begins with a pipe, the kernel hands the memory
  to a program all the same: for it a limit of 0 is no limit (core(5)).
- PR_SET_DUMPABLE 0 (prctl(2)): neither file nor pipe gets anything; ptrace(2), /proc/PID/mem and process_vm_readv(2)
  are refused to the same user, and /proc/PID is root's.

An execve makes a process dumpable again (but leaves it RLIMIT_CORE), so every program sets both itself, as the first
thing and before it has read a key. The memory of a fork until its execve stays unreadable: dumpable is inherited.

Not touched by it: /proc/PID/cmdline and stat (a gateway finds its workers by them), /proc/self/fd, signals between
processes of one user.
"""

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def become_unreadable() -> None:
    """Forbid core dumps and tracing to this process, for good.

    Raises:
        OSError: the system refuses it; a start ends there, for the promise would not hold.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _forbid_dumps()


def _forbid_dumps() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0))) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the memory of this process stays readable: {os.strerror(number)}")
