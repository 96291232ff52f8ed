"""Waves of a roll-out: the next phones that are asked, the next wave, the pause after too many failures.

    a phone has its turn when: its wave has begun, the hours are open, a connection leads to it, it has no call and had
    none for `idle_seconds`, and the pace allows it

A wave is over when each of its phones is settled: at its end, or registered as wanted. Too many failures pause the
roll-out at once. Two have to fail, for one bad phone is no bad configuration; in a smaller wave all of it, since that
is the meaning of a canary.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from gateway.registrar.binding import Binding
from gateway.registrar.enablement.driver import Driver
from gateway.registrar.enablement.orders import BusyPhones
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.roll_out import Goal, RollOut, RolloutPhone, RolloutStage
from gateway.registrar.enablement.roll_out_list import RollOutList
from gateway.registrar.enablement.rollout_table import SETTLED, PhoneEvent, PhoneState
from gateway.registrar.enablement.surroundings import RolloutSurroundings

LOOKED: Final = 20
"""Waiting phones of a roll-out that are looked at in one round: four times as many as the fastest pace asks."""
FAILURES: Final = 2
"""Phones of a wave that have to fail before the roll-out is paused."""


class Waves:
    """The waves of all roll-outs."""

    def __init__(self, around: RolloutSurroundings, rollouts: RollOutList, driver: Driver, busy: BusyPhones) -> None:
        self._around = around
        self._rollouts = rollouts
        self._driver = driver
        self._busy = busy
        self._failed: dict[int, set[int]] = defaultdict(set)
        """By roll-out: the phones of the wave under way that failed."""
        self._sizes: dict[int, int] = {}
        """By roll-out: the phones of the wave under way."""
        self._places: dict[int, int] = {}
        """By roll-out: where among its waiting phones the next look begins."""

    def begin(self, rollout: RollOut, wave: int) -> None:
        """A wave begins, or goes on."""
        if wave != rollout.wave:
            self._failed.pop(rollout.number, None)
        rollout.wave = wave
        self._sizes[rollout.number] = sum(phone.wave == wave for phone in rollout.phones)
        until = self._around.clock.now() + 3_600.0 * self._around.terms.wait_hours
        for phone in rollout.phones:
            if phone.wave <= wave and phone.state is PhoneState.WAITING:
                phone.until = until
                self._rollouts.enliven(rollout, phone)

    def forgive(self, rollout: RollOut) -> None:
        """Count failures anew."""
        self._failed.pop(rollout.number, None)

    def ask(self, rollout: RollOut, room: int) -> int:
        """Let phones have their turn that may be asked now, ``room`` at most; how many had it. A wave may be of a
        thousand phones: LOOKED of them are looked at in one round, in turns, so that no call waits for all."""
        if room <= 0:
            return 0
        asked, is_open = 0, self._around.terms.is_open(self._around.clock.wall())
        for phone in self._next(rollout):
            if rollout.stage is not RolloutStage.RUNNING:
                break
            binding = self._driver.binding_of(phone)
            if self.is_right_already(rollout, binding):
                self._driver.is_right(rollout, phone, PhoneReason.ALREADY)
                continue
            phone.reason = self._hindrance(binding, is_open=is_open)
            if phone.reason is PhoneReason.NONE and asked < room and binding is not None:
                phone.host, phone.call_id = binding.came_over.remote.host, binding.call_id
                if rollout.goal is not Goal.RESYNC:
                    self._around.files.protect(phone.key, is_required=rollout.goal is Goal.TLS_REQUIRED)
                asked += self._driver.happens(rollout, phone, PhoneEvent.TURN)
        return asked

    def _next(self, rollout: RollOut) -> list[RolloutPhone]:
        """The waiting phones to look at in this round."""
        waiting = [one for one in self._rollouts.live[rollout.number].values() if one.state is PhoneState.WAITING]
        if len(waiting) <= LOOKED:
            return waiting
        place = self._places.get(rollout.number, 0) % len(waiting)
        self._places[rollout.number] = place + LOOKED
        return [*waiting[place:], *waiting[:place]][:LOOKED]

    def is_over(self, rollout: RollOut) -> bool:
        """Whether each phone of the waves so far is settled."""
        live = self._rollouts.live[rollout.number]
        return all(phone.state in SETTLED for phone in live.values())

    def failed(self, rollout: RollOut, phone: RolloutPhone) -> str:
        """A phone failed: why the roll-out is to be paused; empty: it goes on."""
        failed = self._failed[rollout.number]
        failed.add(phone.number)
        size = self._sizes.get(rollout.number) or 1
        if len(failed) < min(FAILURES, size) or len(failed) <= self._around.terms.stop_at_failures * size:
            return ""
        return f"{len(failed)} of {size} phones of wave {rollout.wave + 1} failed"

    @staticmethod
    def is_right_already(rollout: RollOut, binding: Binding | None) -> bool:
        """Whether nothing is to be done for a phone."""
        is_tls = binding is not None and binding.came_over.transport.is_secure
        return is_tls and rollout.goal is not Goal.RESYNC

    def _hindrance(self, binding: Binding | None, *, is_open: bool) -> PhoneReason:
        if not is_open:
            return PhoneReason.OUTSIDE_HOURS
        if binding is None:
            return PhoneReason.NO_CONNECTION
        return PhoneReason.IN_A_CALL if self._busy.is_busy(binding) else PhoneReason.NONE
