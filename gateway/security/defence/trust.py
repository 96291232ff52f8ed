"""Trust in sources: never banned, known, or unknown.

| | these | held against it |
|---|---|---|
| NEVER | loopback, this machine, `never_ban`, addresses of providers, peers and PBXs | nothing |
| KNOWN | a phone is registered there; a right password came within `known_days` | not the source, but its users |
| UNKNOWN | all others | everything that is proved |

The address of a provider can be put on any UDP packet: were it banned for that, anybody could take its customers off
the telephone network. An office behind NAT is one source: were it banned for one stale password, thirty honest phones
would fall silent. So a right password, which the provider has seen, is worth more than all that came before and after.

Names are resolved elsewhere (routing, access_list.py); ``hosts`` gives their addresses as they are now.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import IntEnum
from ipaddress import ip_network
from typing import Final, Protocol

from gateway.base.address_ranges import AddressRanges, packed
from gateway.base.network.kernel import RunningKernel, own_addresses
from gateway.base.rate import source_of
from gateway.config.fields import Network
from gateway.state.table import Value
from gateway.transport.flow import Flow, FlowKey

DAY: Final = 86_400.0
NEIGHBOURS: Final = AddressRanges.of(["fe80::/10"])
"""Link-local addresses: a /64 has all hosts of a link, honest phones beside the others (RFC 4291 section 2.5.6)."""
LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
REMEMBERED: Final = 100_000
"""Known sources at most; those that registered longest ago are forgotten."""


class Trust(IntEnum):
    """How far a source is trusted."""

    UNKNOWN = 0
    KNOWN = 1
    NEVER = 2


class Keep(Protocol):
    """Keeps a known source over restarts."""

    def __call__(self, source: str, at: float) -> None:
        """The provider took a password from there at that time, seconds since the epoch."""


class KnownSources:
    """Sources from which the provider took a password. ``now`` gives seconds since the epoch, passing evenly."""

    def __init__(self, now: Callable[[], float], keep: Keep, capacity: int = REMEMBERED) -> None:
        self._now = now
        self._keep = keep
        self._capacity = capacity
        self._granted: OrderedDict[str, float] = OrderedDict()

    def recall(self, kept: Iterable[tuple[str, float]]) -> None:
        """Take up those of before a restart, the oldest first."""
        for source, at in kept:
            self._granted.setdefault(source, at)

    def granted(self, source: str) -> None:
        """The provider took a password from there now; kept once a day."""
        now, before = self._now(), self._granted.get(source)
        if before is not None and 0 <= now - before < DAY:
            return
        self._granted[source] = now
        self._granted.move_to_end(source)
        if len(self._granted) > self._capacity:
            self._granted.popitem(last=False)
        self._keep(source, now)

    def is_known(self, source: str, days: int) -> bool:
        """Whether one was taken within so many days, give or take one."""
        at = self._granted.get(source)
        return at is not None and self._now() - at < days * DAY

    def __len__(self) -> int:
        return len(self._granted)


def granted_at(rows: Iterable[tuple[str, Value]]) -> Iterator[tuple[str, float]]:
    """The sources and times in rows of a table; one that another version wrote is passed over."""
    for source, value in rows:
        at = value.get("at")
        if isinstance(at, int | float):
            yield source, float(at)


class Trusts:
    """Trust by source. ``hosts`` gives the addresses of providers and own listeners, ``bindings`` the number of live
    bindings from each source, ``is_bound`` whether there is one over a flow."""

    def __init__(
        self,
        hosts: Callable[[], Iterable[str]],
        bindings: Mapping[str, int],
        known: KnownSources,
        days: int = 30,
        is_bound: Callable[[FlowKey], bool] = lambda flow: False,
    ) -> None:
        self._hosts = hosts
        self._bindings = bindings
        self.known = known
        self._days = days
        self._is_bound = is_bound
        self._never: frozenset[str] = frozenset()
        self._networks: tuple[Network, ...] = ()
        self._spared = AddressRanges.of(map(str, LOOPBACK))

    def adopt(self, never_ban: tuple[Network, ...], days: int) -> None:
        """Go by another configuration."""
        self._networks, self._days = never_ban, days
        self._spared = AddressRanges.of(map(str, (*LOOPBACK, *never_ban)))
        self.look()

    def look(self) -> None:
        """Ask again for the addresses of providers. To be called every few seconds."""
        self._never = frozenset(source_of(host) for host in self._hosts())

    def of(self, source: str) -> Trust:
        """The trust in a source, as `source_of` writes it."""
        if source in self._never or self._spared.holds(source.removesuffix("/64")):
            return Trust.NEVER
        if source in self._bindings or self.known.is_known(source, self._days):
            return Trust.KNOWN
        return Trust.UNKNOWN

    def may_be_banned(self, source: str) -> bool:
        """Whether a ban may name this source at all. Asks for the latest addresses, and the system for its own."""
        self.look()
        return _is_single(source) and self.of(source) is not Trust.NEVER and not _is_own(source)

    def may_be_banned_now(self) -> Callable[[str], bool]:
        """The same question for very many sources at once: the latest addresses are asked for now, and never again."""
        self.look()
        try:
            own = frozenset(one.address for one in own_addresses())
        except OSError:  # it cannot be asked for all of them
            return self.may_be_banned
        return lambda source: _is_single(source) and self.of(source) is not Trust.NEVER and source not in own

    def phones_at(self, source: str) -> int:
        """Live bindings from a source."""
        return self._bindings.get(source, 0)

    def is_phone(self, flow: Flow) -> bool:
        """Whether a phone is registered over a flow. A forger has to know its port as well."""
        return self._is_bound(flow.key)

    @property
    def never_banned(self) -> frozenset[str]:
        """All that is never banned, but for this machine's own addresses: lists are taken less these."""
        return self._never.union(map(str, (*self._networks, *LOOPBACK)))


def _is_single(source: str) -> bool:
    """Whether a source is an address, and one subscriber's."""
    number = packed(source.removesuffix("/64"))
    return number is not None and not NEIGHBOURS.has(number)


def _is_own(source: str) -> bool:
    """Whether this machine has the address."""
    if ":" in source:
        return False  # a /64 may well be shared with this machine; its own address there is not banned by name
    return RunningKernel().is_own(source)
