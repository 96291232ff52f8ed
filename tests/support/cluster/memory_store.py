"""A store in memory with the lease and the generations of the real one, that can be silent or emptied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from twisted.internet.defer import Deferred

from gateway.state.cluster.cluster_store import LeaseStanding, Lives, Taken, Written
from gateway.state.cluster.link import StoreSilent


class MemoryStore:
    """Of one node; `held` is the token of whoever has the lease."""

    def __init__(self, node: str = "a") -> None:
        self.node = node
        self.held = ""
        self.epoch = 0
        self.state = ""
        self.generations: dict[str, dict[bytes, bytes]] = {}
        self.seen: dict[str, float] = {}
        """The last signs of life of nodes."""
        self.is_silent = False
        self.is_mute = False
        """Whether the answer to the next COMPLETE is lost, which is carried out."""
        self.slow: Deferred[None] | None = None
        """Until then a write that has arrived is not carried out."""
        self.written: list[Sequence[bytes]] = []
        """Fields of each batch that was carried out."""
        self.lives: list[float] = []
        self.forgotten: list[float] = []
        """At each question for the lease: the seconds that an emptied store would wait."""
        self.released: list[str] = []

    async def look(self) -> LeaseStanding:
        self._answer()
        return LeaseStanding(self.held, {self.node: 1.0})

    async def take(self, epoch: int, lives: Lives, own: str = "", *, is_active: bool = False) -> Taken:
        self._answer()
        self.forgotten.append(lives.longest)
        if self.held and self.held != own:
            return Taken(is_ours=False, standing=LeaseStanding(self.held))
        self.lives.append(lives.first)
        self.epoch = max(self.epoch, epoch) + 1
        self.held = f"{self.node} {self.epoch} 1000.0 p"
        return Taken(True, LeaseStanding(self.held), self.state, 1000.0)

    async def renew(self, token: str, life: float, generation: str) -> tuple[bool, LeaseStanding]:
        self._answer()
        self.lives.append(life)
        return self.held == token, LeaseStanding(self.held, {**self.seen})

    async def release(self, token: str) -> None:
        self._answer()
        self.released.append(token)
        if self.held == token:
            self.held = ""

    async def write(
        self, token: str, generation: str, pairs: Sequence[bytes], *, instead_of: str | None = None
    ) -> Written:
        if self.slow is not None:
            await self.slow
        self._answer()
        if self.held != token:
            return Written.LOST
        if instead_of is not None:
            self.generations.setdefault(generation, {})
            if instead_of != self.state:
                self.generations.pop(instead_of, None)
        if generation not in self.generations:
            return Written.EMPTIED
        self.written.append(pairs[::2])
        for field, record in zip(pairs[::2], pairs[1::2], strict=True):
            if record:
                self.generations[generation][field] = record
            else:
                self.generations[generation].pop(field, None)
        return Written.WRITTEN

    async def complete(self, token: str, generation: str, before: Sequence[str]) -> Written:
        self._answer()
        if self.held != token:
            return Written.LOST
        self.state = generation
        for one in before:
            if one != generation:
                self.generations.pop(one, None)
        if self.is_mute:
            self.is_mute = False
            raise StoreSilent("no answer in time")
        return Written.WRITTEN

    async def records(self, generation: str) -> AsyncIterator[tuple[bytes, bytes]]:
        self._answer()
        for one in self.generations.get(generation, {}).items():
            yield one

    def empty(self) -> None:
        """As FLUSHALL does."""
        self.held = self.state = ""
        self.generations.clear()

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        if self.is_silent:
            raise StoreSilent("no answer in time")
