"""The roll-outs that are remembered: by number, by domain, and their phones by address of record.

A domain's latest roll-out is the one that follows its phones, over or not. Not here: their course (rollouts.py), the
file (book.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.registrar.enablement.roll_out import RollOut, RolloutPhone, RolloutStage
from gateway.registrar.enablement.rollout_table import SETTLED, PhoneState


class RollOutList:
    """The list."""

    def __init__(self) -> None:
        self._all: dict[int, RollOut] = {}
        self._latest: dict[str, RollOut] = {}
        self._by_address: dict[str, list[tuple[RollOut, RolloutPhone]]] = {}
        self._last = 0
        self.live: dict[int, dict[int, RolloutPhone]] = {}
        """By the number of a roll-out: its phones that are under way, those of waves to come not among them."""

    def __iter__(self) -> Iterator[RollOut]:
        """Every roll-out, the latest first."""
        return iter([*reversed(self._all.values())])

    def reserve(self) -> int:
        """The number of a new roll-out, given once."""
        self._last += 1
        return self._last

    def find(self, number: int) -> RollOut | None:
        """One roll-out."""
        return self._all.get(number)

    def latest(self) -> tuple[RollOut, ...]:
        """The latest of each domain."""
        return tuple(self._latest.values())

    def is_latest(self, rollout: RollOut) -> bool:
        """Whether it is the one that follows its domain's phones."""
        return self._latest.get(rollout.domain) is rollout

    def open_of(self, domain: str) -> RollOut | None:
        """The roll-out of a domain that is not over."""
        rollout = self._latest.get(domain.lower())
        return rollout if rollout is not None and rollout.stage.is_open else None

    def under_way(self) -> list[RollOut]:
        """Those to which time matters."""
        return [one for one in self._latest.values() if one.stage.is_open or self.live[one.number]]

    def phones_at(self, address: str) -> list[tuple[RollOut, RolloutPhone]]:
        """The phones of the latest roll-outs with an address of record."""
        return self._by_address.get(address, [])

    def add(self, rollout: RollOut) -> None:
        """Take a roll-out in, as its domain's latest."""
        before = self._latest.get(rollout.domain)
        if before is not None:
            self._let_go(before)
        self._all[rollout.number] = self._latest[rollout.domain] = rollout
        self._last = max(self._last, rollout.number)
        for phone in rollout.phones:
            for address in phone.addresses:
                self._by_address.setdefault(address, []).append((rollout, phone))
        is_begun = rollout.stage is not RolloutStage.PLANNED
        self.live[rollout.number] = {
            phone.number: phone
            for phone in rollout.phones
            if phone.state not in SETTLED
            and (phone.state is not PhoneState.WAITING or (is_begun and phone.wave <= rollout.wave))
        }

    def enliven(self, rollout: RollOut, phone: RolloutPhone) -> None:
        """A phone is under way from now on."""
        self.live[rollout.number][phone.number] = phone

    def beyond(self, phones: int) -> list[RollOut]:
        """Forget old roll-outs that are over, until so many phones are left; those that were forgotten."""
        gone = []
        held = sum(1 + len(one.phones) for one in self._all.values())
        for rollout in [*self._all.values()]:
            if held <= phones:
                break
            if not rollout.stage.is_open:
                held -= 1 + len(rollout.phones)
                gone.append(rollout)
                self._forget(rollout)
        return gone

    def _forget(self, rollout: RollOut) -> None:
        del self._all[rollout.number]
        if self._latest.get(rollout.domain) is rollout:
            self._let_go(rollout)
            del self._latest[rollout.domain]

    def _let_go(self, rollout: RollOut) -> None:
        """Follow its phones no more."""
        del self.live[rollout.number]
        for phone in rollout.phones:
            for address in phone.addresses:
                left = [pair for pair in self._by_address.get(address, ()) if pair[0] is not rollout]
                if left:
                    self._by_address[address] = left
                else:
                    self._by_address.pop(address, None)
