"""A network namespace for one test: this thread, and all that it starts, see loopback and one more address.

Firefox offers addresses of the way to the internet alone, and pairs none of them with loopback's: its calls need a
gateway at such an address, and a machine need not have one. Wants root.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.calls.processes import find_program

ADDRESS: Final = "198.51.100.7"
"""Of the gateway's media there (RFC 5737)."""
ORDERS: Final = (
    "link set lo up",
    "link add lan type veth peer name lan-end",
    f"address add {ADDRESS}/24 dev lan",
    "link set lan up",
    "link set lan-end up",
    "route add default via 198.51.100.1 dev lan",
)

_NEW_NETWORK: Final = 0x40000000
"""CLONE_NEWNET (sched.h)."""


@contextmanager
def own_network() -> Iterator[str]:
    """The address, while the namespace is this thread's."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        _checked(libc.unshare(_NEW_NETWORK))
        try:
            for order in ORDERS:
                subprocess.run([find_program("ip", "iproute2"), *order.split()], check=True, timeout=10)
            yield ADDRESS
        finally:
            _checked(libc.setns(before.fileno(), _NEW_NETWORK))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
