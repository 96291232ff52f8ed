"""The DHCP client's process: `python -m gateway.base.network.dhcp --interface eth0 --socket PATH --user gateway`.

It alone needs CAP_NET_RAW and CAP_NET_ADMIN, and reads nothing but its options, the wire and the socket: a mistake in
the configuration of the gateway does not take the address away. It knows none of the gateway's secrets, and imports
nothing of it but this folder and its neighbours. It ends at SIGTERM and SIGINT and keeps the address, since the next
process goes on with it; the kernel takes it away at the lease's end.
"""

from __future__ import annotations

import argparse
import re
import signal
import socket
import sys
from pathlib import Path

from gateway.base.network.dhcp.client_acts import ClientIdentity
from gateway.base.network.dhcp.interface_changes import LeasedInterface
from gateway.base.network.dhcp.lease_loop import LeaseLoop
from gateway.base.network.dhcp.lease_socket import LeaseSocket, SocketRefused
from gateway.base.network.dhcp.packet_sockets import WireSocket
from gateway.base.unreadable import become_unreadable


def _text(value: str) -> str:
    if not value.isascii() or not value.isprintable() or len(value) > 255:
        raise argparse.ArgumentTypeError("printable ASCII of 255 characters at most")
    return value


def _hostname(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", value):
        raise argparse.ArgumentTypeError("the first part of a host's name: letters, digits and hyphens")
    return value


def _own_hostname() -> str:
    name = socket.gethostname().partition(".")[0]
    return name if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", name) else ""


def options(arguments: list[str]) -> argparse.Namespace:
    """The options. Ends the process with 2 for one that is wrong."""
    parser = argparse.ArgumentParser(prog="gateway-network", description="DHCP client for a gateway without rights")
    parser.add_argument("--interface", required=True, help="the interface, such as eth0; it is this client's alone")
    parser.add_argument("--socket", type=Path, required=True, help="path of the UNIX socket that the gateway asks by")
    parser.add_argument("--user", default="gateway", help="the gateway's user, by name or number; root may ask, too")
    parser.add_argument("--hostname", type=_hostname, default=_own_hostname(), help="told to the server")
    parser.add_argument("--vendor-class", type=_text, default="gateway", help="told to the server (option 60)")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run until a signal; 1 where this process lacks the interface, the socket or its rights."""
    given = options(arguments)
    try:
        become_unreadable()
        interface = LeasedInterface(given.interface)
        identity = ClientIdentity(interface.mac, given.hostname, given.vendor_class)
        wire = WireSocket.dhcp(interface.name)
        door = LeaseSocket(given.socket, given.user, lambda line: print(line, file=sys.stderr, flush=True))
    except SocketRefused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{given.interface} cannot be used (CAP_NET_RAW, CAP_NET_ADMIN): {error.strerror}", file=sys.stderr)
        return 1
    loop = LeaseLoop(interface, identity, wire, door)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
