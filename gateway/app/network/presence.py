"""Whether the addresses in use are this machine's still, and where the gateway moves when one of an interface is not.

    look(now) -> Lost: an address is gone, its sockets stay and work again with it
              -> Back: it came back, and nothing was lost
              -> Move: it is gone, and its interface has another one instead

An address that is there stays in use, though its interface gets others. One move in `hold` seconds at most: an
interface with another address each second must not move the calls each second. Nor is an address told as lost twice
within that time. Time is an argument, in seconds that never go back. Not here: sockets, calls (network_part).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import TypeAlias

import attrs

from gateway.base.network.kernel import Kernel
from gateway.config.model import Configuration
from gateway.config.placement import written_places
from gateway.config.places import NamedInterface, interface_of


@attrs.frozen
class UsedAddress:
    """A numeric address of this machine that is in use."""

    address: str
    users: tuple[str, ...]
    """The listeners and sides of media that have it, for people."""
    interface: NamedInterface | None = None
    """The one that it was taken from; None for an address that the configuration names."""


@attrs.frozen
class Lost:
    """An address is gone."""

    used: UsedAddress
    is_news: bool
    """False so soon after the last time that nobody is told again."""


@attrs.frozen
class Back:
    """An address is there again."""

    used: UsedAddress
    seconds: float
    """It was away."""
    is_news: bool


@attrs.frozen
class Move:
    """The address of an interface is another one now."""

    used: UsedAddress
    address: str
    """The new one."""


Change: TypeAlias = Lost | Back | Move


def used_addresses(configuration: Configuration, addresses: Mapping[NamedInterface, str]) -> tuple[UsedAddress, ...]:
    """Every address that a configuration uses, with its interfaces at these addresses. Those that stand for all of this
    machine's are left out: they are never lost."""
    users: dict[tuple[str, NamedInterface | None], list[str]] = {}
    default = configuration.network.interface
    for user, written in written_places(configuration):
        place = interface_of(written, default)
        address = written if place is None else addresses[place]
        if not ip_address(address).is_unspecified:
            users.setdefault((address, place), []).append(user)
    return tuple(UsedAddress(address, tuple(named), place) for (address, place), named in users.items())


@attrs.define
class _Absence:
    """An address that is away."""

    since: float
    is_news: bool


class Presence:
    """The addresses in use, as of the last look. An address for all of this machine (0.0.0.0) is never lost."""

    def __init__(self, used: Iterable[UsedAddress], kernel: Kernel, hold: float) -> None:
        self._used = tuple(used)
        self._kernel = kernel
        self._hold = hold
        self._away: dict[UsedAddress, _Absence] = {}
        self._told: dict[UsedAddress, float] = {}
        self._moved: float | None = None
        self.look_again: float | None = None
        """When to look though nothing changes: a move waits until then."""

    @property
    def used(self) -> tuple[UsedAddress, ...]:
        """All addresses in use."""
        return self._used

    @property
    def lost(self) -> tuple[UsedAddress, ...]:
        """Those that are gone."""
        return tuple(self._away)

    def look(self, now: float) -> tuple[Change, ...]:
        """All that has changed since the last look; a Move until it is carried out (`moved`)."""
        self.look_again = None
        changes = [change for used in self._used if (change := self._compared(used, now)) is not None]
        moves = [*self._moves()]
        if moves and self._moved is not None and now < self._moved + self._hold:
            self.look_again = self._moved + self._hold
            moves = []
        return (*changes, *moves)

    def moved(self, to: Mapping[NamedInterface, str], now: float) -> None:
        """These interfaces' addresses are used from now on, instead of those before."""
        self._moved = now
        self._used = tuple(
            attrs.evolve(one, address=to.get(one.interface, one.address)) if one.interface else one
            for one in self._used
        )
        self._away = {used: absence for used, absence in self._away.items() if used in self._used}
        self._told = {used: at for used, at in self._told.items() if used in self._used}

    def not_moved(self, now: float) -> None:
        """A move failed; it is tried again after the time that is between two moves."""
        self._moved = now
        self.look_again = now + self._hold

    def _compared(self, used: UsedAddress, now: float) -> Lost | Back | None:
        is_there, absence = self._kernel.is_own(used.address), self._away.get(used)
        if is_there and absence is not None:
            del self._away[used]
            return Back(used, now - absence.since, absence.is_news)
        if is_there or absence is not None:
            return None
        told = self._told.get(used)
        is_news = told is None or now >= told + self._hold
        if is_news:
            self._told[used] = now
        self._away[used] = _Absence(now, is_news)
        return Lost(used, is_news)

    def _moves(self) -> Iterator[Move]:
        for used in self._away:
            place = used.interface
            address = None if place is None else self._kernel.first_address(place.name, place.version)
            if address is not None and address != used.address:
                yield Move(used, address)
