"""Sources that are turned away: the quick set that sockets ask before they look at a byte.

    a ban in force -> keep_out(source) -.           UDP socket -> is_on, drops(host) -> one is counted, and no more,
                                        |                         unless the kernel has dropped it (socket_filter.py)
    lists          -> keep_out_lists ----+-> sets -> accept     -> the same: no connection
    calls, phones  -> hold_stakes ------'            gate       -> is_on, is_banned(host): nothing that is new

A source with a *stake* has a call that is up, or a phone that is registered. It is not dropped before parsing, or its
calls would hang up, and nobody there could call for help. The gate refuses it all that is new, and lets requests within
dialogs and emergency calls of its phones through. Once its last call has ended and its last phone is gone, it is
dropped before parsing as any other.

A *suspect* is a host of which the lookout has dropped a datagram in the last seconds: of its further ones those that
look like a scanner's are dropped by their bytes, in 2 us instead of the 40 that it takes to parse and judge one. Of a
suspect that is unknown, and has no stake, only so many are let in at all.

Sources that go on sending though they are dropped are left to the kernel every few seconds, and a flood at once, so
that most of it never wakes this process: `settle`. Nothing is left to it that this set would let in.

A source is one of `base/rate.source_of`: an IPv4 address, also where an IPv6 socket shows it as ::ffff:a.b.c.d, or the
/64 of an IPv6 address. Every datagram asks, so that the price is the point: with nothing banned one attribute, `is_on`,
for a banned IPv4 address one look-up in a set of the texts that sockets show. Not here: the reasons and the time of a
ban (security/defence/bans.py), the gate (ingress/gate.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from socket import AF_INET6
from typing import Final

from gateway.base.address_ranges import MAPPED, AddressRanges, Number, packed, unmapped
from gateway.base.rate import source_of
from gateway.transport.socket_filter import SocketFilters

SUSPECTS: Final = 1_000
"""Hosts at most: a forger of more gains nothing."""
PARSED: Final = 200
"""Datagrams of a suspect that are let in between two looks: a flood is judged by these."""
HEARD: Final = 4_096
"""Hosts of which dropped datagrams are counted between two settlings, so that the kernel gets those that send most."""
PERSISTENT: Final = 20
"""Datagrams between two settlings of a source that is left to the kernel."""
FLOOD: Final = 1_000
"""Datagrams of a host that settle at once, if nothing has since the last look."""
_MANY: Final = 1 << 40


class Banned:
    """The sources that are turned away at this moment. Sources are texts as `source_of` writes them."""

    def __init__(self) -> None:
        self.is_on = False
        """Whether anything is banned at all: asked before anything else is done."""
        self.dropped: Counter[str] = Counter()
        """Datagrams and connections that were turned away before they were looked at, by transport; the gate adds the
        requests that it drops."""
        self.filters = SocketFilters()
        """Those of the UDP sockets."""
        self._heard: dict[str, int] = {}  # hosts, as a socket shows them, and datagrams that were dropped of each
        self._has_settled = False
        self._sources: set[str] = set()
        self._stakes: frozenset[str] = frozenset()
        self._hosts: set[str] = set()  # IPv4, in each spelling that a socket has for it
        self._subscribers: set[Number] = set()  # IPv6, by the number of their /64
        self._lists: tuple[AddressRanges, ...] = ()
        self._spared = AddressRanges()
        self._has_more = False  # than IPv4 addresses
        self._suspects: dict[str, int] = {}  # hosts, and how many datagrams each has left
        self._look: re.Pattern[bytes] | None = None

    def keep_out(self, source: str) -> None:
        """Turn a source away from now on."""
        self._sources.add(source)
        if source not in self._stakes:
            self._shut(source)
        self._note()

    def let_in(self, source: str) -> None:
        """Turn it away no more. Nothing happens where it was not."""
        self._sources.discard(source)
        self._open(source)
        self._note()

    def keep_out_lists(self, lists: Iterable[AddressRanges]) -> None:
        """Turn away the addresses of these lists, instead of those of the last time, but for the spared ones."""
        self._lists = tuple(one for one in lists if one)
        self._note()
        self._fit_filters()

    def spare(self, addresses: AddressRanges) -> None:
        """Let these addresses in though a list may hold them: those that are never banned, instead of those before."""
        self._spared = addresses
        self._fit_filters()

    def hold_stakes(self, sources: frozenset[str]) -> None:
        """The sources with calls that are up or phones that are registered, all of them: to be told every few seconds
        while anything is banned."""
        before, self._stakes = self._stakes, sources
        for source in (sources - before) & self._sources:
            self._open(source)
        if not sources.isdisjoint(self.filters.sources):  # a list holds it
            self._fit_filters()
        for host in self._suspects:
            if source_of(host) in sources:
                self._suspects[host] = _MANY
        for source in (before - sources) & self._sources:
            self._shut(source)
        self._note()

    def drops(self, host: str, transport: str) -> bool:
        """Whether a packet or connection from a host, as a socket shows it, is turned away; counts it if so."""
        if host in self._hosts or (self._has_more and self._drops_more(host)):
            self.dropped[transport] += 1
            if transport == "udp":
                heard = self._heard
                heard[host] = count = heard.get(host, 0) + 1
                if count == 1 or count == FLOOD:
                    self._heard_of(host, count)
            return True
        return False

    def _heard_of(self, host: str, count: int) -> None:
        """Bound the hosts that are counted, and leave a flood to the kernel: once between two looks, since to make a
        program takes milliseconds, and no peer is to ask for many."""
        if len(self._heard) > HEARD:
            del self._heard[host]
        elif count == FLOOD and not self._has_settled:
            self.settle()
            self._has_settled = True

    def settle(self) -> None:
        """Leave to the kernel those banned sources that have sent most of late. To be called every few seconds."""
        heard, self._heard, self._has_settled = self._heard, {}, False
        counted: Counter[Number] = Counter()
        hosts: dict[Number, str] = {}
        for host, count in heard.items():
            number = packed(host)
            if number is not None:
                counted[number] += count
                hosts[number] = host
        many = sorted((count, number) for number, count in counted.items() if count >= PERSISTENT)
        self._fit_filters(source_of(hosts[number]) for _, number in many)

    def drops_of_suspect(self, host: str, datagram: bytes) -> bool:
        """Whether a datagram of a host that is not turned away looks like a scanner's, or is one too many, and the host
        is a suspect; counts it if so."""
        if host.startswith(MAPPED):
            host = unmapped(host)
        left = self._suspects.get(host)
        if left is None:
            return False
        self._suspects[host] = left - 1
        if left > 0 and (self._look is None or not self._look.search(datagram)):
            return False
        self.dropped["udp"] += 1
        return True

    def suspect(self, host: str, *, is_unknown: bool) -> None:
        """Look at the bytes of its datagrams, since one of them was just dropped: a flood is not to be parsed. Of one
        at an unknown source without a stake only PARSED more are let in until the next look."""
        if len(self._suspects) < SUSPECTS and host not in self._suspects:
            self._suspects[host] = PARSED if is_unknown and source_of(host) not in self._stakes else _MANY
            self.is_on = True

    def look_for(self, look: re.Pattern[bytes] | None) -> None:
        """Suspect nobody any more, and drop datagrams of later suspects that have this look. To be told every few
        seconds, so that the memory of suspects is short."""
        self._look = look
        self._suspects.clear()
        self._note()

    def is_banned(self, host: str) -> bool:
        """Whether a host is turned away, with a stake or without."""
        return source_of(host) in self._sources or self._is_listed(host)

    def __len__(self) -> int:
        return len(self._sources)

    def _fit_filters(self, more: Iterable[str] = ()) -> None:
        """Leave to the kernel these sources, and those that it has, as far as they are to be dropped at all."""
        before = self.filters.sources
        latest = dict.fromkeys(more)
        if before or latest:
            known = [source for source in before if source not in latest]
            self.filters.keep_out(source for source in (*known, *latest) if self._is_shut(source))

    def _is_shut(self, source: str) -> bool:
        if source in self._stakes:
            return False
        return source in self._sources or self._is_listed(source.partition("/")[0])

    def _drops_more(self, host: str) -> bool:
        number = packed(host)
        if number is None:  # a name: no socket shows one
            return False
        return number in self._subscribers or (self._has(number) and source_of(host) not in self._stakes)

    def _is_listed(self, host: str) -> bool:
        number = packed(host) if self._lists else None
        return number is not None and self._has(number)

    def _has(self, number: Number) -> bool:
        for one in self._lists:  # no generator: it would cost more than the question
            if one.has(number):
                return not self._spared.has(number)
        return False

    def _shut(self, source: str) -> None:
        if ":" in source:
            self._subscribers.add(_subscriber(source))
        else:
            self._hosts |= {source, MAPPED + source}

    def _open(self, source: str) -> None:
        if ":" in source:
            self._subscribers.discard(_subscriber(source))
        else:
            self._hosts -= {source, MAPPED + source}
        self.filters.let_in(source)

    def _note(self) -> None:
        has_lists = bool(self._lists)
        self.is_on = bool(self._sources) or has_lists or bool(self._suspects)
        self._has_more = bool(self._subscribers) or has_lists


def _subscriber(source: str) -> Number:
    number = packed(source.partition("/")[0])
    return number or (AF_INET6, -1)
