"""The addresses that a worker has media ports at: one for each side, or one for both.

    NAME/ADDRESS!ADVERTISED    as rtpengine writes its interfaces; NAME/ and !ADVERTISED may be left out

NG's `direction` names an interface for each party; an unknown name is the first interface. Interfaces at the same
address share their ports. An advertised address stands in SDP instead, where NAT is between.
"""

from __future__ import annotations

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

    def expire(self, now: float) -> None:
        """Free ports after their quarantine; `now` in the clock's seconds."""
        for pool in self._pools.values():
            pool.expire(now)

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
