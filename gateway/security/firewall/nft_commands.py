"""Commands of nftables that keep two named sets: text for `nft -f -`, one transaction each.

    {source: seconds or None} -> changed(...)   these elements are as told, all others as they were
    {source: seconds}         -> whole(...)     these elements and no other

Pure. Only elements of sets are written, never a table, chain or rule: those are the administrator's. A source is
read as an address before it is written, so that no text of anybody becomes a command; 65,000 of them take 0.1 s.

An `add` leaves an element that is there with its old time, and a `delete` fails the transaction where there is none;
so each change is add, delete, and add again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from gateway.base.address_ranges import packed

LONGEST: Final = 30 * 86_400
"""Seconds of an element."""
PIECE: Final = 500
"""Elements of one command."""
_SET: Final = re.compile(r"(inet|ip|ip6) [A-Za-z_][\w.-]{0,62} [A-Za-z_][\w.-]{0,62}", re.ASCII)


def set_name(value: str) -> str:
    """A set as `FAMILY TABLE SET`, such as `inet gateway banned4`. Raises ValueError."""
    name = " ".join(value.split())
    if not _SET.fullmatch(name):
        raise ValueError(value)
    return name


@attrs.frozen
class NftSets:
    """The names of the sets: for IPv4 addresses, and for /64 networks of IPv6 (flags interval)."""

    ipv4: str = attrs.field(converter=set_name)
    ipv6: str = attrs.field(converter=set_name)

    def changed(self, changes: Mapping[str, float | None]) -> str:
        """Let these sources stand for so many seconds, or (None) not at all."""
        placeholder = dict.fromkeys(changes, 1.0)
        stay = {source: seconds for source, seconds in changes.items() if seconds is not None}
        return "".join((*self._all("add", placeholder), *self._all("delete", changes), *self._all("add", stay)))

    def whole(self, elements: Mapping[str, float]) -> str:
        """Let these sources stand, and no other. Nobody is let in meanwhile: it is one transaction."""
        flushed = (f"flush set {name}\n" for name in (self.ipv4, self.ipv6))
        return "".join((*flushed, *self._all("add", elements)))

    def _all(self, verb: str, elements: Mapping[str, float | None] | Mapping[str, float]) -> Iterator[str]:
        by_set: dict[str, list[str]] = {self.ipv4: [], self.ipv6: []}
        for source, seconds in elements.items():
            time = f" timeout {_whole_seconds(seconds or 1.0)}s" if verb == "add" else ""
            by_set[self.ipv4 if _is_ipv4(source) else self.ipv6].append(source + time)
        for name, texts in by_set.items():
            for piece in _pieces(texts):
                yield f"{verb} element {name} {{ {', '.join(piece)} }}\n"


def _is_ipv4(source: str) -> bool:
    """Whether a source is an IPv4 address, and not a /64. Raises ValueError for any other text."""
    address, _, length = source.partition("/")
    number = packed(address) if address.isascii() and "%" not in address else None
    if number is None or length != ("64" if ":" in address else ""):
        raise ValueError(f"{source!r} does not appear to be a source")
    return not length


def _whole_seconds(seconds: float) -> int:
    """Whole seconds, one at least: an element without a time would stand for ever."""
    return min(LONGEST, max(1, math.ceil(seconds)))


def _pieces(texts: list[str]) -> Iterable[list[str]]:
    return (texts[first : first + PIECE] for first in range(0, len(texts), PIECE))
