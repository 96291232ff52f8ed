"""The user at the other end of a loopback connection: the owner of its socket, as the kernel knows it.

Here: that one look-up (Linux, /proc/net/tcp). Not here: permissions (`api`). A name that a client sends about
itself proves nothing; the owner of its socket does, and costs it no password.
"""

import pwd
import socket
import sys
from ipaddress import IPv6Address, ip_address
from pathlib import Path

_TABLES = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}


def owner_of(client: tuple[str, int], server: tuple[str, int]) -> str | None:
    """The user at the ``client`` end of a connection to ``server`` on this machine; None when it cannot be told."""
    try:
        wanted = [_as_listed(*client), _as_listed(*server)]
        with _TABLES[ip_address(client[0]).version].open(encoding="ascii") as table:
            rows = [line.split() for line in table]
    except (OSError, ValueError):
        return None
    owner = next((row[7] for row in rows if row[1:3] == wanted), None)
    return None if owner is None else _named(int(owner))


def _as_listed(host: str, port: int) -> str:
    """An address as /proc lists it: words of four bytes in the machine's order, hexadecimal."""
    family = socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    packed = socket.inet_pton(family, host)
    words = [packed[index : index + 4] for index in range(0, len(packed), 4)]
    shown = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{shown}:{port:04X}"


def _named(number: int) -> str:
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"uid {number}"
