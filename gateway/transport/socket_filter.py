"""The kernel drops datagrams of banned sources before a UDP socket gets them: a filter at the socket itself.

    Banned.settle -> SocketFilters.keep_out(sources) -> program() -> SO_ATTACH_FILTER on each UDP socket
    Banned (let in) -> SocketFilters.let_in(source)  -> no filter, until the next settling

To read a datagram in order to drop it takes 4 us: a flood of 100,000 a second would be half of this process. A filter
of classic BPF needs no privilege, since it is about the process's own socket, and drops it within the kernel, by its
source address alone. A program has 4,096 instructions at most, so that it holds the sources that send most. The process
asks of each datagram that comes through (transport/banned.py), and stays the truth: the filter drops none that the
process would take.

Here: the program, and the sockets that it is attached to. Not here: which sources. nftables (security/firewall) drops
even earlier, and for TCP, but is a matter of privilege.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from twisted.logger import Logger

from gateway.base.address_ranges import Number, packed

log = Logger()

ATTACH: Final = 26
"""SO_ATTACH_FILTER, as asm-generic/socket.h has it."""
DETACH: Final = 27
MOST: Final[dict[int, int]] = {socket.AF_INET: 2_000, socket.AF_INET6: 256}
"""Sources in one program: so many fit into 4,096 instructions."""
LEAST: Final = 16
"""A kernel that has no memory for the program of so few gets none."""

_LOAD_WORD, _LOAD_BYTE, _LOAD_KEPT, _KEEP = 0x20, 0x30, 0x60, 0x02
_SHIFT_RIGHT, _JUMP, _IF_EQUAL, _IF_GREATER, _IF_NOT_LESS, _RETURN = 0x74, 0x05, 0x15, 0x25, 0x35, 0x06
_IP_HEADER: Final = -0x100000
"""SKF_NET_OFF: loads count from the IP header, and not from that of UDP."""
_SOURCE: Final[dict[int, int]] = {socket.AF_INET: 12, socket.AF_INET6: 8}
"""Bytes before the source address (RFC 791 section 3.1, RFC 8200 section 3)."""
_DROP, _WHOLE = 0, 0xFFFFFFFF
_LEAF: Final = 16
"""Sources that are compared one by one at the end of a bisection."""
_FARTHEST: Final = 255

Step: TypeAlias = tuple[int, int, int, int]
"""Code, steps to skip if true, steps to skip if not, and the number."""


class SocketFilters:
    """The filters of all UDP sockets of this process: the same sources in each."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._sources: dict[str, None] = {}
        self._most = dict(MOST)
        self._is_attached = False
        self._is_refused = False

    @property
    def sources(self) -> Sequence[str]:
        """Those that the kernel is to keep out, as `base.rate.source_of` writes them; those that came last are last."""
        return [*self._sources]

    def add(self, handle: socket.socket) -> None:
        """One more socket, from the next settling on."""
        self._sockets.append(handle)
        self._open()

    def remove(self, handle: socket.socket) -> None:
        """A socket that is about to be closed."""
        self._sockets.remove(handle)

    def keep_out(self, sources: Iterable[str]) -> None:
        """Drop the datagrams of these, and of no others: where they are too many, of those that are told last."""
        kept = self._fitting(sources)
        if list(kept) == list(self._sources) and (self._is_attached or not kept):
            return
        self._sources = kept
        self._settle()

    def let_in(self, source: str) -> None:
        """Drop the datagrams of a source no more, from this moment on."""
        if source in self._sources:
            del self._sources[source]
            self._open()

    def _fitting(self, sources: Iterable[str]) -> dict[str, None]:
        room, kept = dict(self._most), []
        for source in reversed([*sources]):
            family = socket.AF_INET6 if ":" in source else socket.AF_INET
            room[family] -= 1
            if room[family] >= 0:
                kept.append(source)
        return dict.fromkeys(reversed(kept))

    def _settle(self) -> None:
        if not self._sources or self._is_refused:
            self._open()
            return
        data = program(number for source in self._sources if (number := packed(source.partition("/")[0])))
        try:
            for handle in self._sockets:
                _attach(handle, data)
        except OSError as error:
            self._failed(error)
            return
        self._is_attached = True

    def _failed(self, error: OSError) -> None:
        """A socket has room for net.core.optmem_max, 20 kB before Linux 6.7, and two programs for a moment."""
        was_attached = self._is_attached
        self._open()
        if error.errno == errno.ENOMEM and was_attached:
            self._settle()
            return
        if error.errno == errno.ENOMEM and self._most[socket.AF_INET] > LEAST:
            self._most = {family: most // 2 for family, most in self._most.items()}
            self._sources = self._fitting(self._sources)
            self._settle()
            return
        self._is_refused = True
        log.info("banned sources are dropped by this process alone: no filter at sockets ({why})", why=error.strerror)

    def _open(self) -> None:
        self._is_attached = False
        for handle in self._sockets:
            try:
                handle.setsockopt(socket.SOL_SOCKET, DETACH, 0)
            except OSError:
                continue  # there is none


def program(numbers: Iterable[Number]) -> bytes:
    """The program of these sources, each as `address_ranges.packed` gives it, for sockets of both families."""
    found: dict[int, set[int]] = {socket.AF_INET: set(), socket.AF_INET6: set()}
    for family, number in numbers:
        found[family].add(number)
    ipv4 = [_load(socket.AF_INET, 0), *_among_ipv4(sorted(found[socket.AF_INET]))]
    ipv6 = [
        _load(socket.AF_INET6, 0),
        (_KEEP, 0, 0, 0),
        _load(socket.AF_INET6, 4),
        (_KEEP, 0, 0, 1),
        *_among_ipv6(sorted(found[socket.AF_INET6])),
    ]
    begin: list[Step] = [(_LOAD_BYTE, 0, 0, _IP_HEADER), (_SHIFT_RIGHT, 0, 0, 4), (_IF_EQUAL, 1, 0, 4)]
    steps = [*begin, (_JUMP, 0, 0, len(ipv4)), *ipv4, *ipv6]
    return b"".join(struct.pack("=HBBI", code, yes, no, value & _WHOLE) for code, yes, no, value in steps)


def _load(family: int, more: int) -> Step:
    return _LOAD_WORD, 0, 0, _IP_HEADER + _SOURCE[family] + more


def _among_ipv4(values: Sequence[int]) -> list[Step]:
    """Drop if the loaded number is one of these, in ascending order: a bisection, then a few comparisons."""
    size = len(values)
    if size <= _LEAF:
        tries: list[Step] = [(_IF_EQUAL, size - place, 0, value) for place, value in enumerate(values)]
        return [*tries, (_RETURN, 0, 0, _WHOLE), (_RETURN, 0, 0, _DROP)]
    middle = size // 2
    lower, upper = _among_ipv4(values[:middle]), _among_ipv4(values[middle:])
    if len(lower) <= _FARTHEST:
        return [(_IF_NOT_LESS, len(lower), 0, values[middle]), *lower, *upper]
    return [(_IF_NOT_LESS, 0, 1, values[middle]), (_JUMP, 0, 0, len(lower)), *lower, *upper]


def _among_ipv6(values: Sequence[int]) -> list[Step]:
    """The same of the two words that are kept, of numbers of 64 bits."""
    size = len(values)
    if size <= _LEAF:
        tries: list[Step] = []
        for place, value in enumerate(values):
            drop = 4 * (size - place - 1) + 1
            tries += [(_LOAD_KEPT, 0, 0, 0), (_IF_EQUAL, 0, 2, value >> 32)]
            tries += [(_LOAD_KEPT, 0, 0, 1), (_IF_EQUAL, drop, 0, value & _WHOLE)]
        return [*tries, (_RETURN, 0, 0, _WHOLE), (_RETURN, 0, 0, _DROP)]
    middle = size // 2
    lower, upper = _among_ipv6(values[:middle]), _among_ipv6(values[middle:])
    high, low = values[middle] >> 32, values[middle] & _WHOLE
    choice: list[Step] = [(_LOAD_KEPT, 0, 0, 0), (_IF_GREATER, 3, 0, high), (_IF_EQUAL, 0, 3, high)]
    choice += [(_LOAD_KEPT, 0, 0, 1), (_IF_NOT_LESS, 0, 1, low), (_JUMP, 0, 0, len(lower))]
    return [*choice, *lower, *upper]


def _attach(handle: socket.socket, data: bytes) -> None:
    """Attach a program to a socket, in the place of the one before. Raises OSError."""
    kept = ctypes.create_string_buffer(data, len(data))
    handle.setsockopt(socket.SOL_SOCKET, ATTACH, struct.pack("HP", len(data) // 8, ctypes.addressof(kept)))
