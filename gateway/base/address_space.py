"""How much address space a process reserves for its threads.

The C library gives each thread an arena of its own and reserves 64 MiB for it (mallopt(3), M_ARENA_MAX), and 8 MiB for
its stack. With a dozen threads that is a GiB that is never used, and with a limit of address space (`ulimit -v`,
`LimitAS=` of systemd) the gateway would not start. Arenas are for threads that allocate at the same time, and Python's
lock lets one do so: two are enough. Our threads wait for the disk, for OpenSSL and for a hash: none recurses deeply.

Counted on Debian 12 with five calls up: 1,064 MB reserved before, 185 MB so, and 99 MB in use either way.
"""

import ctypes
import threading
from typing import Final

ARENAS: Final = 2
STACK_BYTES: Final = 1024 * 1024
"""Of each thread but the main one."""

_M_ARENA_MAX: Final = -8


def reserve_little() -> None:
    """Bound arenas and stacks of threads to come. Another C library than glibc may have no arenas: then nothing is
    bounded there, and nothing has to be."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
    threading.stack_size(STACK_BYTES)
