"""The addresses that a worker has media ports at: one for each side, or one for both.

    NAME/ADDRESS!ADVERTISED    as rtpengine writes its interfaces; NAME/ and !ADVERTISED may be left out

NG's `direction` names an interface for each party; an unknown name is the first interface. Interfaces at the same
address share their ports. An advertised address stands in SDP instead, where NAT is between.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final

import attrs

from gateway.media.worker.port_pool import PoolOptions, PortPool, Watch

DEFAULT_NAME: Final = "default"


@attrs.frozen
class Interface:
    """Ports at one address. `advertised` is of the same IP version."""

    name: str
    ports: PortPool
    advertised: str

    @property
    def family(self) -> int:
        """The version of IP, 4 or 6."""
        return 6 if ":" in self.ports.range.address else 4


class Interfaces:
    """Those of a worker, by name; the first is for parties that no name fits."""

    def __init__(self, written: Iterable[str], ports: PoolOptions, loop: Watch) -> None:
        """`ports` is complete but for its address. ValueError for a text that is no interface."""
        self._loop = loop
        self._pools: dict[str, PortPool] = {}
        self._named: dict[str, Interface] = {}
        for text in written:
            self._add(text, ports)
        if not self._named:
            raise ValueError("a worker needs an address")
        self._first = next(iter(self._named.values()))

    def __iter__(self) -> Iterator[Interface]:
        return iter(self._named.values())

    def named(self, name: str) -> Interface:
        return self._named.get(name, self._first)

    def replace(self, written: Iterable[str]) -> None:
        """Have the media of new calls at these; calls that are up keep their ports. ValueError for a text that is no
        interface, OSError for an address that is not this machine's: nothing has changed then."""
        others = Interfaces(written, attrs.evolve(self._first.ports.range, address=""), self._loop)
        for pool in others._pools.values():
            with socket.socket(pool.family, socket.SOCK_DGRAM) as probe:
                probe.bind((pool.range.address, 0))
        self._pools = {**others._pools, **self._pools}
        self._named = {
            name: attrs.evolve(one, ports=self._pools[one.ports.range.address]) for name, one in others._named.items()
        }
        self._first = next(iter(self._named.values()))

    def expire(self, now: float) -> None:
        """Free ports after their quarantine, and forget addresses of before without any; `now` in the clock's
        seconds."""
        named = [one.ports for one in self._named.values()]
        for address, pool in [*self._pools.items()]:
            pool.expire(now)
            if not pool.used and not pool.silent and pool not in named:
                pool.close()
                del self._pools[address]

    def _add(self, text: str, ports: PoolOptions) -> None:
        name, slash, rest = text.rpartition("/")
        address, _, advertised = rest.partition("!")
        for one in (address, advertised or address):
            if ip_address(one).version != ip_address(address).version:
                raise ValueError(f"{text}: both addresses have to be IPv4, or both IPv6")
        if address not in self._pools:
            self._pools[address] = PortPool(attrs.evolve(ports, address=address), self._loop)
        self._named[name if slash else DEFAULT_NAME] = Interface(
            name or DEFAULT_NAME, self._pools[address], advertised or address
        )
