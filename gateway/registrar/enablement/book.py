"""The roll-outs in the file `rollouts.sqlite`: one row each, and one for each of their phones.

    keep(roll-out), keep_phone(roll-out, phone) -> row "000001", row "000001/000042" -> (restart) -> read -> RollOut...

KEPT rows are kept; of more, whole roll-outs go, the oldest first. A row that cannot be read is passed over, and its
roll-out goes on without that phone. Not here: the meaning of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from twisted.logger import Logger

from gateway.registrar.enablement.roll_out import RollOut, RolloutPhone
from gateway.state.table import KeptTable, Value

log = Logger()

KEPT: Final = 100_000


class RollOutBook:
    """The rows. ``now`` gives seconds since the epoch."""

    def __init__(self, table: KeptTable, now: Callable[[], float]) -> None:
        self._table = table
        self._now = now

    def is_kept(self, rollout: RollOut, phone: RolloutPhone) -> bool:
        """Whether the latest state of a phone is in the file."""
        return self._table.is_kept(_key(rollout, phone))

    def keep(self, rollout: RollOut) -> None:
        """Keep a roll-out at once, without its phones."""
        self._table.put_at_once(f"{rollout.number:06}", self._now(), rollout.as_json())

    def keep_phone(self, rollout: RollOut, phone: RolloutPhone) -> None:
        """Keep one phone."""
        self._table.put(_key(rollout, phone), self._now(), phone.as_json())

    def hurry(self) -> None:
        """Write at once all that was kept: it must be known after a kill."""
        self._table.hurry()

    def drop(self, rollout: RollOut) -> None:
        """Keep nothing of a roll-out."""
        self._table.drop(f"{rollout.number:06}")
        for phone in rollout.phones:
            self._table.drop(_key(rollout, phone))


def read(rows: Iterable[tuple[str, Value]]) -> list[RollOut]:
    """The roll-outs in the file's rows, the oldest first, with their phones in order."""
    found: dict[str, RollOut] = {}
    phones: list[tuple[str, RolloutPhone]] = []
    for key, value in rows:
        number, _, place = key.partition("/")
        try:
            if place:
                phones.append((number, RolloutPhone.read(value)))
            else:
                found[number] = RollOut.read(value)
        except (ValueError, KeyError, TypeError) as error:
            log.warn("row {key} of the roll-outs cannot be read: {reason}", key=key, reason=error)
    for number, phone in sorted(phones, key=lambda item: (item[0], item[1].number)):
        if number in found:
            found[number].phones.append(phone)
    return [found[number] for number in sorted(found)]


def _key(rollout: RollOut, phone: RolloutPhone) -> str:
    return f"{rollout.number:06}/{phone.number:06}"
