"""Networks of a test's own: namespaces, joined by cables, so that attackers have addresses and loopback plays no part.

    with networks.inside("street"):     sockets made here, and programs started here, are in that network
        ...

Wants the rights of root, as tests have in CI. The names of namespaces hold the process id: runs beside each other never
meet, and no address of this machine is touched.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.calls.processes import find_program

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Networks:
    """Namespaces by name, and cables between them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._ip = find_program("ip", "iproute2")
        self._names = {name: f"gw-{os.getpid()}-{name}" for name in names}
        for name in self._names:
            self._run("netns", "add", self._names[name])
            self.ip(name, "link", "set", "lo", "up")

    def join(self, cable: str, ends: Mapping[str, Sequence[str]]) -> None:
        """Lay a cable between two networks; each end has an interface of that name, with addresses of a /24."""
        here, there = ends
        pair = [f"c{os.getpid()}{cable[:1]}{number}" for number in (0, 1)]
        self._run("link", "add", pair[0], "type", "veth", "peer", "name", pair[1])
        for device, name in zip(pair, (here, there), strict=True):
            self._run("link", "set", device, "netns", self._names[name])
            self.ip(name, "link", "set", device, "name", cable)
            for address in ends[name]:
                self.ip(name, "address", "add", f"{address}/24", "dev", cable)
            self.ip(name, "link", "set", cable, "up")
            with self.inside(name):
                for interface in ("all", cable):  # forged sources come by any cable
                    Path(f"/proc/sys/net/ipv4/conf/{interface}/rp_filter").write_text("0")

    def speak_as(self, name: str, cable: str, address: str) -> None:
        """Programs of a network that bind to no address have this one from now on."""
        network = ".".join(address.split(".")[:3]) + ".0/24"
        self.ip(name, "route", "replace", network, "dev", cable, "src", address)

    def ip(self, name: str, *arguments: str) -> None:
        """Run ip in a network."""
        self._run("-n", self._names[name], *arguments)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Be in a network: this thread, and whatever it starts."""
        with Path("/proc/thread-self/ns/net").open() as before, Path(f"/run/netns/{self._names[name]}").open() as here:
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def stop(self) -> None:
        """Take it all away; cables go with their ends."""
        for name in self._names.values():
            subprocess.run([self._ip, "netns", "delete", name], check=False, capture_output=True, timeout=10)

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._ip, *arguments], check=True, capture_output=True, timeout=10)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
