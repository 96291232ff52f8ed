"""Blocks of numbers with their owners, found by number: the work does not grow with the blocks.

    add(block, owner)    overlap(block) -> a block that has a number of it, and its owner    owner_of(number)

A request of anybody asks for a number, and a site may have 50,000 blocks: looking through them would let a stranger
take the gateway's time. Blocks that overlap others are not to be added. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from gateway.config.tables.phones.number_block import NumberBlock, is_number

Owner = TypeVar("Owner")

_PLUS: Final = "+"


class BlockIndex(Generic[Owner]):
    """Blocks that do not overlap, and the owner of each."""

    def __init__(self, blocks: Iterable[tuple[NumberBlock, Owner]] = ()) -> None:
        self._ranges: dict[tuple[bool, int], tuple[list[str], list[str]]] = {}
        """By form and length: the first number of each range in order, and the last."""
        self._prefixes: dict[int, list[str]] = {}
        """By length, in order."""
        self._found: dict[tuple[bool, str], tuple[NumberBlock, Owner]] = {}
        """By whether it is a prefix, and its first number."""
        for block, owner in blocks:
            self.add(block, owner)

    def add(self, block: NumberBlock, owner: Owner) -> None:
        """Know a block from now on."""
        first = block.first
        self._found[block.is_prefix, first] = (block, owner)
        if block.is_prefix:
            prefixes = self._prefixes.setdefault(len(first), [])
            prefixes.insert(bisect_left(prefixes, first), first)
            return
        firsts, lasts = self._ranges.setdefault((first.startswith(_PLUS), len(first)), ([], []))
        place = bisect_left(firsts, first)
        firsts.insert(place, first)
        lasts.insert(place, block.last)

    def owner_of(self, number: str) -> Owner | None:
        """The owner of the block that a number is of; None where there is none."""
        if not is_number(number):
            return None
        first = self._range_within(number, number) or self._prefix_of(number)
        return None if first is None else self._found[first][1]

    def overlap(self, block: NumberBlock) -> tuple[NumberBlock, Owner] | None:
        """A block that is known and has a number of this one, with its owner; None where there is none."""
        found = self._overlap_of_prefix(block.first) if block.is_prefix else self._overlap_of_range(block)
        return None if found is None else self._found[found]

    def _overlap_of_range(self, block: NumberBlock) -> tuple[bool, str] | None:
        found = self._range_within(block.first, block.last)
        if found is not None:
            return found
        for size, prefixes in self._prefixes.items():
            if size <= len(block.first):
                place = bisect_left(prefixes, block.first[:size])
                if place < len(prefixes) and prefixes[place] <= block.last[:size]:
                    return True, prefixes[place]
        return None

    def _overlap_of_prefix(self, prefix: str) -> tuple[bool, str] | None:
        shorter = self._prefix_of(prefix)
        if shorter is not None:
            return shorter
        for prefixes in self._prefixes.values():
            place = bisect_left(prefixes, prefix)
            if place < len(prefixes) and prefixes[place].startswith(prefix):
                return True, prefixes[place]
        sizes = [size for has_plus, size in self._ranges if has_plus is prefix.startswith(_PLUS)]
        within = (self._range_within(prefix.ljust(size, "0"), prefix.ljust(size, "9")) for size in sizes)
        return next((first for first in within if first is not None), None)

    def _range_within(self, first: str, last: str) -> tuple[bool, str] | None:
        """A range with a number from `first` to `last`, which are of one form and length."""
        known = self._ranges.get((first.startswith(_PLUS), len(first)))
        if known is None:
            return None
        firsts, lasts = known
        place = bisect_right(firsts, last) - 1
        return (False, firsts[place]) if place >= 0 and lasts[place] >= first else None

    def _prefix_of(self, number: str) -> tuple[bool, str] | None:
        """A prefix that a number, or another prefix, begins with."""
        beginnings = (number[:size] for size in self._prefixes if size <= len(number))
        return next(((True, text) for text in beginnings if (True, text) in self._found), None)
