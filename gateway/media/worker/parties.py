"""The two parties of a call, the m-lines that each was shown, and the streams between them.

Keys are one a suite, party and stream: they live as long as the call uses the suite, so that nothing that changes
nothing makes a new key; a suite that is left takes its key with it (a session made anew with an old key would repeat
its keystream). Not here: how offers and answers change all this (session.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from gateway.media.worker.interfaces import Interface
from gateway.media.worker.rewriting import Security
from gateway.media.worker.streams.endpoint import Leg, Plant, Remote, join
from gateway.sdp.crypto import CryptoAttribute, generate


class Stream:
    """Two joined legs, by party; `offered` is what the latest offerer said, until and after it was answered."""

    def __init__(self, plant: Plant, parties: Sequence[Party]) -> None:
        first = _leg(plant, parties[0])
        try:
            second = _leg(plant, parties[1])
        except Exception:
            first.close()
            raise
        self.legs = (first, second)
        join(first, second)
        self.offered: Remote | None = None
        self._keys: tuple[dict[str, bytes], dict[str, bytes]] = ({}, {})

    def key(self, side: int, suite: str, random: Callable[[int], bytes]) -> bytes:
        """The key we send with to that party under that suite."""
        keys = self._keys[side]
        if suite not in keys:
            keys[suite] = generate(suite, 1, random).key
        return keys[suite]

    def apply(self, side: int, remote: Remote) -> None:
        """Take one party's description, and forget the key of a suite that is left by it."""
        used = self.legs[side].remote.ours
        if used is not None and (remote.ours is None or remote.ours.suite != used.suite):
            self._keys[side].pop(used.suite, None)
        self.legs[side].apply(remote)

    def open(self) -> None:
        self.legs[0].open()

    def shut(self) -> None:
        for leg in self.legs:
            leg.shut()

    def close(self) -> None:
        for leg in self.legs:
            leg.close()


@attrs.define(eq=False)
class Line:
    """One m-line of a party: what was written last, and the stream it stands for."""

    stream: Stream | None
    security: Security
    kind: str
    protocol: str
    formats: list[str]
    keys: tuple[CryptoAttribute, ...] = attrs.field(default=(), repr=False)
    """Those we offered in it."""


@attrs.define(eq=False)
class Party:
    """One side of the call."""

    side: int
    session_id: int
    interface: Interface
    """Where it meets us."""
    name: str = ""
    """The side of the gateway it is on: phones or provider."""
    lines: list[Line] = attrs.field(factory=list)
    version: int = 0
    written: bytes = attrs.field(default=b"", repr=False)


def _leg(plant: Plant, party: Party) -> Leg:
    return Leg(plant, party.interface.ports, party.name)
