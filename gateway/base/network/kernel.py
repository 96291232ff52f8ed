"""Questions to the kernel about this machine's addresses. They need no capability, and are answered at once.

    own_addresses() -> all that it has        first_address("eth0") -> the one that is used        is_own(address)
    source_address_toward(host) -> the one that packets leave from        asked(request) -> any question

An answer is complete before the call that asks for it returns, so that nothing waits. It is old at once, since an
address may come or go at any time. Not here: the bytes (netlink), hearing of changes (watcher), the addresses that
listeners are bound to (the configuration).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Final, Protocol

from gateway.base.network.netlink import (
    DONE,
    ERROR,
    INTERRUPTED,
    MOST_MESSAGES,
    MULTIPART,
    KernelAddress,
    NetlinkMessage,
    address_of,
    address_request,
    is_local_route,
    messages,
    route_request,
)

_PIECE: Final = 64 * 1024
"""Bytes of one datagram of an answer: the kernel sends 32 KiB at most."""
_PATIENCE: Final = 0.5
"""Seconds; the answer is there already, and this is for a kernel that has none."""
_ATTEMPTS: Final = 3
"""At a list that changes while it is read."""


class Kernel(Protocol):
    """The kernel's word on addresses."""

    def first_address(self, interface: str, version: int) -> str | None:
        """The address of an interface that is in use: its first global one of that IP version, 4 or 6."""

    def is_own(self, address: str) -> bool:
        """Whether packets to a numeric address end at this machine."""


class RunningKernel:
    """The kernel of this machine, in this process's network namespace."""

    def first_address(self, interface: str, version: int) -> str | None:
        """See Kernel. None where the interface or the address is missing, or the kernel does not answer."""
        try:
            index = socket.if_nametoindex(interface)
            found = own_addresses()
        except OSError:
            return None
        fit = (one for one in found if one.index == index and one.is_global and one.is_fit)
        return next((one.address for one in fit if (":" in one.address) is (version == 6)), None)

    def is_own(self, address: str) -> bool:
        """See Kernel. Of a kernel that does not answer: whether packets to the address would leave from it."""
        try:
            return any(map(is_local_route, asked(route_request(address))))
        except OSError:
            return source_address_toward(address) == address


def own_addresses() -> tuple[KernelAddress, ...]:
    """Every address of this machine, in the kernel's order. Raises OSError where it cannot be asked."""
    for _ in range(_ATTEMPTS):
        answer = [*asked(address_request())]
        if not any(message.flags & INTERRUPTED for message in answer):
            break
    return tuple(found for message in answer if (found := address_of(message)) is not None)


def asked(request: bytes, protocol: int = socket.NETLINK_ROUTE) -> Iterator[NetlinkMessage]:
    """The answer to a question (`netlink.request`): one message, or a list up to its end; none for a refusal. Raises
    OSError where the kernel cannot be asked."""
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)) as own:
        own.settimeout(_PATIENCE)
        own.bind((0, 0))
        own.sendto(request, (0, 0))
        count = 0
        while count < MOST_MESSAGES:
            data, (sender, _) = own.recvfrom(_PIECE)
            if sender != 0:  # no other process may answer in the kernel's place
                continue
            for message in messages(data):
                count += 1
                if message.kind in (DONE, ERROR):
                    return
                yield message
                if not message.flags & MULTIPART:
                    return
            count += 1


def source_address_toward(host: str) -> str | None:
    """The address of this machine that packets to the numeric host leave from; None when there is no way to it.

    Connecting a UDP socket asks the routing table and sends nothing.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))
            return str(probe.getsockname()[0])
    except OSError:  # no way there, or no more files
        return None
