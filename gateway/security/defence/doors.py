"""Bans put in force: the sources that sockets, and where so configured the kernel, turn away at this moment.

    Bans --changed(ban)--> Doors -+-> Banned (transport): all active bans, and the stakes
    clock --look()---------^      `-> each KernelDoor: active bans of sources without a stake

A ban ends no call that is up, and keeps no registered phone from calling for help. A process can look at a message; a
kernel cannot, so that it gets a source only while nobody there has a stake: once the last call has ended and the last
phone is gone. Until then this process turns away all that is new (transport/banned.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.security.defence.bans import Ban, BanAction, Bans, BanState
from gateway.transport.banned import Banned

FRESH = 1.0
"""Seconds that an answer about stakes counts: many bans may come at once, and to ask takes milliseconds."""


class KernelDoor(Protocol):
    """Keeps sources out below this process (nftables). Never raises and never waits: it fails by itself, and tells."""

    def keep_out(self, source: str, seconds: float) -> None:
        """Drop packets of a source (as `Ban.source`) for so long; told again, the time begins anew."""

    def let_in(self, source: str) -> None:
        """Drop them no more. Nothing happens where they were not."""


class Doors:
    """Keeps every door as the bans say. ``stakes`` gives the sources with calls that are up or phones that are
    registered: it is asked only while there is something to keep out."""

    def __init__(
        self, bans: Bans, banned: Banned, stakes: Callable[[], Iterable[str]], now: Callable[[], float]
    ) -> None:
        self._bans = bans
        self._banned = banned
        self._stakes = stakes
        self._now = now
        self._kernels: list[KernelDoor] = []
        self._below: set[str] = set()  # sources that the kernels keep out
        self._above: set[str] = set()  # those that they are to keep out, once nobody there has a stake
        self._looked_at = -FRESH
        bans.listen(self._changed)

    def add(self, kernel: KernelDoor) -> None:
        """One more door, for bans with the action NFTABLES; to be added before any are in force."""
        self._kernels.append(kernel)

    def look(self) -> None:
        """Ask again for the stakes. To be called every few seconds; costs nothing while nothing is kept out."""
        if not self._banned.is_on:
            return
        self._looked_at = self._now()
        stakes = frozenset(self._stakes())
        self._banned.hold_stakes(stakes)
        for source in self._below & stakes:
            self._let_in_below(source)
            self._above.add(source)
        for source in self._above - stakes:
            self._keep_out_below(source)

    def _changed(self, ban: Ban) -> None:
        if ban.state is BanState.ACTIVE:
            self._banned.keep_out(ban.source)
            self._aim_below(ban)
            if self._now() - self._looked_at >= FRESH:
                self.look()
        else:
            self._banned.let_in(ban.source)
            self._let_in_below(ban.source)
            self._above.discard(ban.source)

    def _aim_below(self, ban: Ban) -> None:
        if not self._kernels or ban.action is not BanAction.NFTABLES:
            self._let_in_below(ban.source)
            self._above.discard(ban.source)
        elif ban.source in self._below:
            self._keep_out_below(ban.source)  # for another time
        else:
            self._above.add(ban.source)

    def _keep_out_below(self, source: str) -> None:
        ban = self._bans.of(source)
        self._above.discard(source)
        if ban is None:
            return
        self._below.add(source)
        for kernel in self._kernels:
            kernel.keep_out(source, ban.until - self._now())

    def _let_in_below(self, source: str) -> None:
        if source in self._below:
            self._below.discard(source)
            for kernel in self._kernels:
                kernel.let_in(source)
