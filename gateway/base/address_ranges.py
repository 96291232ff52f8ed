"""Many addresses and networks as one value that answers in a microsecond whether an address is among them.

    RangesBuilder.add(text), add(text), ... -> join(), step by step -> AddressRanges.has(packed(host))

A hundred thousand entries take tenths of a second to read: longer than a process of telephone calls may be busy. So the
builder does everything in small steps, and its user says when the next one is taken. Of an IPv6 address the upper
64 bits count, as those that one subscriber has; a longer prefix counts as its /64. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from heapq import merge
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

MAPPED: Final = "::ffff:"
"""Begins an IPv4 address as an IPv6 socket shows it."""
WIDEST: Final[dict[int, int]] = {AF_INET: 8, AF_INET6: 16}
"""The shortest prefixes that are taken of others: nobody means half of the world."""
PIECE: Final = 500
"""Entries of one step: half a millisecond."""

_BITS: Final[dict[int, int]] = {AF_INET: 32, AF_INET6: 64}
_LONGEST: Final[dict[int, int]] = {AF_INET: 32, AF_INET6: 128}
_LOWER: Final = (1 << 64) - 1
Number = tuple[int, int]
"""The family of an address and its number: of IPv6 the upper 64 bits."""


def unmapped(host: str) -> str:
    """The IPv4 address that an IPv6 socket shows as ::ffff:a.b.c.d, else the host as it is."""
    return host[len(MAPPED) :] if host.startswith(MAPPED) and "." in host else host


def packed(host: str) -> Number | None:
    """The number of a host as a socket shows it; None for a name."""
    host = unmapped(host)
    family = AF_INET6 if ":" in host else AF_INET
    try:
        return family, int.from_bytes(inet_pton(family, host.partition("%")[0])[:8], "big")
    except (OSError, ValueError):
        return None


def bounds(text: str, *, is_ours: bool = False) -> tuple[int, int, int] | None:
    """The family, first and last number of an address or network; None where it is none, or, unless ``is_ours``, too
    wide."""
    address, slash, length = text.partition("/")
    number = packed(address)
    if number is None or (slash and not (length.isdecimal() and len(length) < 4)):
        return None
    family, first = number
    prefix = int(length) if slash else _LONGEST[family]
    if not (0 if is_ours else WIDEST[family]) <= prefix <= _LONGEST[family]:
        return None
    size = 1 << max(0, _BITS[family] - prefix)
    first -= first % size
    if family == AF_INET6 and not first and not is_ours:  # loopback, and IPv4 addresses in another spelling
        return None
    return family, first, first + size - 1


class AddressRanges:
    """Addresses: disjoint ranges in order, so that one bisection finds whether a number is in one."""

    def __init__(self, entries: int = 0) -> None:
        self.entries = entries
        """As many entries made them."""
        self._firsts: dict[int, list[int]] = {AF_INET: [], AF_INET6: []}
        self._lasts: dict[int, list[int]] = {AF_INET: [], AF_INET6: []}

    @classmethod
    def of(cls, texts: Iterable[str]) -> AddressRanges:
        """Those of a few texts of ours, at once: of any width."""
        builder = RangesBuilder(is_ours=True)
        for text in texts:
            builder.add(text)
        for _ in builder.join():
            pass
        return builder.made

    def has(self, number: Number) -> bool:
        """Whether an address is in one of them."""
        family, value = number
        place = bisect_right(self._firsts[family], value) - 1
        return place >= 0 and value <= self._lasts[family][place]

    def holds(self, host: str) -> bool:
        """The same of a host as a socket shows it."""
        number = packed(host)
        return number is not None and self.has(number)

    def add(self, family: int, first: int, last: int) -> None:
        """One more range, which does not begin before those that are there."""
        firsts, lasts = self._firsts[family], self._lasts[family]
        if lasts and first <= lasts[-1] + 1:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)

    def __bool__(self) -> bool:
        return any(self._firsts.values())


class RangesBuilder:
    """Takes texts, and joins them."""

    def __init__(self, *, is_ours: bool = False) -> None:
        self._is_ours = is_ours
        self.unreadable = 0
        """Texts that are no address and no network, or too wide."""
        self.made = AddressRanges()
        """The ranges, once all of `join` has been taken."""
        self._pieces: dict[int, list[list[int]]] = {AF_INET: [[]], AF_INET6: [[]]}

    def add(self, text: str) -> None:
        """Take one text."""
        found = bounds(text, is_ours=self._is_ours)
        if found is None:
            self.unreadable += 1
            return
        family, first, last = found
        pieces = self._pieces[family]
        pieces[-1].append(first << 64 | last)
        self.made.entries += 1
        if len(pieces[-1]) >= PIECE:
            pieces[-1].sort()
            pieces.append([])

    def join(self) -> Iterator[None]:
        """Make the ranges: a step at a time."""
        for family, pieces in self._pieces.items():
            pieces[-1].sort()
            for count, both in enumerate(merge(*pieces)):
                self.made.add(family, both >> 64, both & _LOWER)
                if count % PIECE == 0:
                    yield
