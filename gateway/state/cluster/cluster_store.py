"""The store of a cluster, by its questions: the lease, and the records of a generation.

    look, take, renew, release    the lease
    write, complete               records of the holder, each under its token
    records                       all of a generation, page by page, for a node that becomes active

Each raises StoreSilent where no answer came that can be used. Not here: when to ask (membership, copying), the
connection (link), the scripts.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

import attrs

from gateway.state.cluster import scripts
from gateway.state.cluster.link import StoreLink, StoreSilent

PAGE: Final = 500
"""Records of a page, about."""
HEAD: Final = b"generation"
"""The field that is no record."""


@attrs.frozen
class LeaseStanding:
    """The lease as the store has it."""

    token: str
    """Of the holder; empty where nobody has it."""
    seen: dict[str, float] = attrs.Factory(dict)
    """By node: its last sign of life, in seconds since the epoch."""

    @property
    def holder(self) -> str:
        """The node that has it, or nothing."""
        return self.token.partition(" ")[0]

    @property
    def epoch(self) -> int:
        """The number of the lease; 0 where there is none."""
        return _number(self.token.split(" ")[1]) if self.token.count(" ") == 3 else 0

    @property
    def since(self) -> float | None:
        """When it was taken, seconds since the epoch."""
        return _seconds(self.token.split(" ")[2]) if self.token.count(" ") == 3 else None


class Lives(NamedTuple):
    """Lives of leases in seconds: of the one that is asked for, and the longest that any node of the cluster has."""

    first: float
    longest: float


@attrs.frozen
class Taken:
    """The answer to the question for the lease."""

    is_ours: bool
    standing: LeaseStanding
    generation: str = ""
    """The one that is whole; nothing where there is none."""
    seen_at: float = 0.0
    """The last sign of life of a holder, seconds since the epoch."""


class Written(Enum):
    """The end of a write."""

    WRITTEN = "written"
    LOST = "lost"
    """Another node has the lease, or nobody: nothing was written."""
    EMPTIED = "emptied"
    """The store has lost its copy: nothing was written."""


class ClusterStore:
    """Asks for `node` of the cluster `name`. `wall`: seconds since the epoch."""

    def __init__(self, link: StoreLink, name: str, node: str, wall: Callable[[], float]) -> None:
        self._link = link
        self._name = name
        self.node = node
        self._wall = wall
        self._process = secrets.token_hex(4)
        self._lease, self._epoch, self._state, self._seen, self._nodes, self._fresh = (
            scripts.key(name, one) for one in ("lease", "epoch", "state", "seen", "nodes", "fresh")
        )

    async def look(self) -> LeaseStanding:
        """Say that this node lives, and see how the lease stands."""
        answer = await self._link.run(scripts.LOOK, (self._lease, self._nodes), self.node, self._now())
        token, nodes = _parts(answer, 2)
        return LeaseStanding(_text(token), _times(nodes))

    async def take(self, epoch: int, lives: Lives, own: str = "", *, is_active: bool = False) -> Taken:
        """Take the lease, unless another node has it. `epoch` is the highest that this node has seen, `own` its latest
        token, of this process or of one that is over for sure."""
        keys = (self._lease, self._epoch, self._state, self._seen, self._nodes, self._fresh)
        role = "holder" if is_active else "waiting"
        answer = await self._link.run(
            scripts.TAKE,
            keys,
            self.node,
            epoch,
            _ms(lives.first),
            self._now(),
            own,
            role,
            _ms(lives.longest),
            self._process,
        )
        if isinstance(answer, list) and answer and answer[0] != 1:
            _, token, nodes = _parts(answer, 3)
            return Taken(is_ours=False, standing=LeaseStanding(_text(token), _times(nodes)))
        _, token, generation, seen = _parts(answer, 4)
        standing = LeaseStanding(_text(token))
        return Taken(True, standing, _text(generation), _seconds(_text(seen)) or 0.0)

    async def renew(self, token: str, life: float, generation: str) -> tuple[bool, LeaseStanding]:
        """Prolong the lease; whether it is ours still, and how it stands. `generation` is ours that is whole."""
        keys = (self._lease, self._seen, self._nodes, self._state, self._records(generation))
        answer = await self._link.run(scripts.RENEW, keys, token, _ms(life), self.node, self._now(), generation)
        if not isinstance(answer, list) or len(answer) < 2:
            raise StoreSilent("the store's answer is not understood")
        if answer[0] != 1:
            return False, LeaseStanding(_text(answer[1]))
        return True, LeaseStanding(token, _times(_parts(answer, 3)[2]))

    async def release(self, token: str) -> None:
        """Give the lease back, so that another node need not wait for its end."""
        await self._link.run(scripts.RELEASE, (self._lease, self._nodes), token, self.node)

    async def write(
        self, token: str, generation: str, pairs: Sequence[bytes], *, instead_of: str | None = None
    ) -> Written:
        """Write fields and records in turns; an empty record takes its field away. Begins a generation where it is
        told `instead_of` which other one, or of none: that one is forgotten, unless it is the one that is read."""
        half = instead_of or ""
        keys = (self._lease, self._records(generation), self._state, self._records(half))
        kind = "more" if instead_of is None else "new"
        return _written(await self._link.run(scripts.WRITE, keys, token, kind, half, *pairs))

    async def complete(self, token: str, generation: str, before: Sequence[str]) -> Written:
        """Let a generation be the one that the next node reads; those `before` are forgotten."""
        others = [self._records(one) for one in before if one not in ("", generation)]
        keys = (self._lease, self._state, self._records(generation), *others)
        return _written(await self._link.run(scripts.COMPLETE, keys, token, generation))

    async def records(self, generation: str) -> AsyncIterator[tuple[bytes, bytes]]:
        """Each field and record of a generation; one that changes meanwhile may come twice."""
        cursor = b"0"
        while True:
            answer = await self._link.ask("HSCAN", self._records(generation), cursor, "COUNT", PAGE)
            following, found = _parts(answer, 2)
            fields = found if isinstance(found, list) else []
            for field, record in zip(fields[::2], fields[1::2], strict=False):
                if field != HEAD:
                    yield field, record
            cursor = following
            if _text(cursor) == "0":
                return

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    def _records(self, generation: str) -> str:
        return scripts.key(self._name, "g", generation)

    def _now(self) -> str:
        return f"{self._wall():.3f}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _parts(answer: Any, count: int) -> list[Any]:
    if not isinstance(answer, list) or len(answer) != count:
        raise StoreSilent("the store's answer is not understood")
    return answer


def _times(pairs: Any) -> dict[str, float]:
    found = pairs if isinstance(pairs, list) else []
    return {_text(node): _seconds(_text(at)) or 0.0 for node, at in zip(found[::2], found[1::2], strict=False)}


def _written(answer: Any) -> Written:
    try:
        return Written(_text(answer))
    except ValueError:
        raise StoreSilent("the store's answer is not understood") from None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
