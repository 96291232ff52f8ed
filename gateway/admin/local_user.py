"""The user at the other end of a loopback connection: the owner of its socket, as the kernel knows it.

    addresses of both ends --sock_diag(7)--> the row of the other end        the kernel knows no sock_diag --> /proc

Here: that one look-up (Linux). Not here: permissions (`permission`). A name that a client sends about itself proves
nothing; the owner of its socket does, and costs it no password.

The kernel is asked for the one socket by its addresses (netlink, sock_diag). The table in /proc/net/tcp is read only
where it cannot answer that: each look there reads all sockets of the machine, 0.1 s with 28,000 in TIME_WAIT, and while
connections come and go a row can be missing from it.

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
from typing import Any, Final, NamedTuple, TypeAlias

from twisted.protocols.policies import ProtocolWrapper
from twisted.web.iweb import IRequest

from gateway.base.network import netlink
from gateway.base.network.kernel import asked

_TABLES: Final = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}

_ESTABLISHED: Final = 1
"""TCP_ESTABLISHED of include/net/tcp_states.h."""

_SOCK_DIAG: Final = 4
"""NETLINK_SOCK_DIAG of include/uapi/linux/netlink.h."""
_BY_FAMILY: Final = 20
"""SOCK_DIAG_BY_FAMILY of include/uapi/linux/sock_diag.h, the type of question and answer."""
_ALL_STATES: Final = 0xFFFFFFFF
_ANY_INTERFACE_AND_COOKIE: Final = bytes(4) + b"\xff" * 8
_ANSWER: Final = struct.Struct("=xB2x48x12xII")
"""inet_diag_msg of include/uapi/linux/inet_diag.h: state, the sockets' ends, three figures, owner, inode."""

Address: TypeAlias = IPv4Address | IPv6Address
End: TypeAlias = tuple[Address, int]


class Row(NamedTuple):
    """A socket as the kernel shows it."""

    state: int
    owner: int
    """The number of its user."""
    inode: int
    """0 for one that no process has any more."""


def owner_of(ours: socket.socket) -> int | None:
    """The number of the user at the other end of a connection on this machine; None when it cannot be told.

    `ours` is our end of it, as `accept` gave it.
    """
    try:
        client, server = _plain(ours.getpeername()), _plain(ours.getsockname())
        rows = _asked(client, server)
        if rows is None:
            rows = [*_listed(client, server)]
        state = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except (OSError, LookupError, ValueError, struct.error):
        return None
    owners = [row.owner for row in rows if row.state == _ESTABLISHED and row.inode]
    return owners[0] if len(owners) == 1 and state == _ESTABLISHED else None


def handle_of(request: IRequest) -> Any:
    """The socket of a request's connection, under TLS too; None where it is gone."""
    transport: Any = getattr(getattr(request, "channel", None), "transport", None)
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    get = getattr(transport, "getHandle", None)
    return None if get is None else get()


def _plain(name: tuple[Any, ...]) -> End:
    """An end as the kernel knows it; IPv4 stays IPv4 over a socket for IPv6."""
    address = ip_address(str(name[0]).partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address, int(name[1])


def _asked(client: End, server: End) -> list[Row] | None:
    """The row of the client's socket, none if there is none; None where the kernel does not answer such questions."""
    try:
        found = _row_of(client, server)
        if found is None and _row_of(server, client) is None:
            return None  # not even our own end: that is no answer
        return [] if found is None else [found]
    except OSError:
        return None


def _row_of(own: End, other: End) -> Row | None:
    """The row of the socket with these ends. Raises OSError and struct.error."""
    family = socket.AF_INET if own[0].version == 4 else socket.AF_INET6
    ends = struct.pack(">HH16s16s", own[1], other[1], own[0].packed, other[0].packed)
    question = struct.pack("=BBxxI", family, socket.IPPROTO_TCP, _ALL_STATES) + ends + _ANY_INTERFACE_AND_COOKIE
    answers = asked(netlink.request(_BY_FAMILY, question), _SOCK_DIAG)
    found = next((_ANSWER.unpack_from(answer.body) for answer in answers if answer.kind == _BY_FAMILY), None)
    return None if found is None else Row(*found)


def _listed(client: End, server: End) -> Iterator[Row]:
    """The rows of sockets with these ends in the tables of all sockets."""
    for version, wanted in _spellings(client, server):
        if not _TABLES[version].exists():
            continue  # without IPv6 there is no table of it
        with _TABLES[version].open(encoding="ascii") as table:
            for line in table:
                if wanted in line:
                    row = line.split()
                    yield Row(int(row[3], 16), int(row[7]), int(row[9]))


def _spellings(client: End, server: End) -> Iterator[tuple[int, str]]:
    """The ends as each table lists them; a client over IPv4 of a socket for IPv6 may be in either."""
    for shape in (_same, _mapped) if client[0].version == 4 else (_same,):
        listed = [_as_listed(shape(address), port) for address, port in (client, server)]
        yield (4 if len(listed[0]) < 20 else 6), " ".join(listed)


def _same(address: Address) -> Address:
    return address


def _mapped(address: Address) -> Address:
    return IPv6Address(f"::ffff:{address}")


def _as_listed(address: Address, port: int) -> str:
    """An address as /proc lists it: words of four bytes in the machine's order, hexadecimal."""
    packed = address.packed
    words = [packed[index : index + 4] for index in range(0, len(packed), 4)]
    shown = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{shown}:{port:04X}"
