"""The user at the other end of a loopback connection: the owner of its socket, as the kernel knows it.

Here: that one look-up (Linux, /proc/net/tcp). Not here: permissions (`permission`). A name that a client sends about
itself proves nothing; the owner of its socket does, and costs it no password.

Why the row that is found is the other end of *our* connection, and not of one that has taken its place since:

- Closed by its client at once, a socket has no owner any more (an orphan, or a mere TIME_WAIT): the kernel shows inode
  0, and uid 0 though it was anybody's. Such a row names nobody.
- A client that resets its connection sets its port free, and a connection of root's own to us may get the same port
  while the request still waits here. So the row has to be ESTABLISHED, and *after* it was read our own end is asked
  whether it is ESTABLISHED still. While our end was, the four addresses were taken: no second connection with them
  could be set up, so an established socket with these addresses was the one that set up ours. The other order, our
  end first and the row then, would leave a gap between the two.
- Of several rows, or none, or a table that cannot be read: nobody.

The owner is the user whose process made the socket; handing it to others is its doing.
"""

import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final

from twisted.protocols.policies import ProtocolWrapper
from twisted.web.iweb import IRequest

_TABLES: Final = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}

_ESTABLISHED: Final = 1
"""TCP_ESTABLISHED of include/net/tcp_states.h."""


def owner_of(ours: socket.socket) -> int | None:
    """The number of the user at the other end of a connection on this machine; None when it cannot be told.

    `ours` is our end of it, as `accept` gave it.
    """
    try:
        owners = [*_owners(ours.getpeername()[:2], ours.getsockname()[:2])]
        state = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except (OSError, ValueError, struct.error):
        return None
    return owners[0] if len(owners) == 1 and state == _ESTABLISHED else None


def handle_of(request: IRequest) -> Any:
    """The socket of a request's connection, under TLS too; None where it is gone."""
    transport: Any = getattr(getattr(request, "channel", None), "transport", None)
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    get = getattr(transport, "getHandle", None)
    return None if get is None else get()


def _owners(client: tuple[str, int], server: tuple[str, int]) -> Iterator[int]:
    """The owners of sockets with these ends, the client's first; those that have none are left out."""
    for version, wanted in _spellings(client, server):
        with _TABLES[version].open(encoding="ascii") as table:
            for line in table:
                if wanted in line:
                    row = line.split()
                    if int(row[3], 16) == _ESTABLISHED and row[9] != "0":
                        yield int(row[7])


def _spellings(client: tuple[str, int], server: tuple[str, int]) -> Iterator[tuple[int, str]]:
    """The ends as each table lists them; a client over IPv4 of a socket for IPv6 may be in either."""
    ends = [(ip_address(host.partition("%")[0]), port) for host, port in (client, server)]
    mapped = [(getattr(address, "ipv4_mapped", None), port) for address, port in ends]
    for pair in (ends, mapped):
        listed = [_as_listed(address, port) for address, port in pair if address is not None]
        if len(listed) == 2:
            yield (4 if len(listed[0]) < 20 else 6), " ".join(listed)


def _as_listed(address: IPv4Address | IPv6Address, port: int) -> str:
    """An address as /proc lists it: words of four bytes in the machine's order, hexadecimal."""
    packed = address.packed
    words = [packed[index : index + 4] for index in range(0, len(packed), 4)]
    shown = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{shown}:{port:04X}"
