"""Bans outlive the process: each change goes into a file at once, and comes back with the time that is left.

    Bans -listener-> keep(ban) -> bans.sqlite (at once)          start: recall() -> Bans.restore, before a port is open

The time that is left is counted by the seconds that pass, never by a clock that was set meanwhile. Beside its times
each ban keeps the moment of writing by two clocks: seconds since the machine was started, and since the epoch. In the
same run of the machine the first says exactly how long ago that was. After another start of the machine only the second
can; where it says less than nothing, the ban begins its rest anew.

Here: the values of the file. Not here: the file itself (state/table.py), the bans (bans.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs
from twisted.internet.defer import Deferred

from gateway.base.clock import passed
from gateway.observe.events import fit_text
from gateway.security.defence.bans import CAPACITY, EVIDENCE, USERS, WEEK, Ban, BanAction, BanState
from gateway.state.table import KeptTable, Value

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
LONGEST: Final = 366 * 86_400.0
"""Seconds of a ban at most."""


def this_boot() -> str:
    """Names this run of the machine; empty where the system does not tell."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@attrs.frozen
class Moment:
    """A moment by two clocks."""

    now: float
    """Seconds since the epoch, by the clock of the process that wrote it."""
    passed: float
    """Seconds since the machine was started."""
    boot: str

    def as_seen(self, today: Moment) -> float:
        """The same moment by the clock of the process that reads it."""
        is_same_run = bool(self.boot) and self.boot == today.boot
        ago = today.passed - self.passed if is_same_run else today.now - self.now
        return today.now - max(0.0, ago)


class KeptBans:
    """The file of all bans. ``now`` gives seconds since the epoch that pass evenly, as bans are counted by."""

    def __init__(
        self,
        table: KeptTable,
        now: Callable[[], float],
        passed: Callable[[], float] = passed,
        boot: Callable[[], str] = this_boot,
    ) -> None:
        self._table = table
        self._now = now
        self._passed = passed
        self._boot = boot()

    def keep(self, ban: Ban) -> None:
        """A listener of bans: keep this one as it is now, in the place of the one before of its source.

        An attacker may also be able to end the process: so it is written before anything else happens.
        """
        value: Value = {**ban.as_json(), "written": attrs.asdict(self._moment())}
        self._table.put_at_once(ban.source, ban.until if ban.ended is None else ban.ended, value)

    def recall(self) -> Deferred[list[Ban]]:
        """The bans of before, those that ended within a week among them, oldest first. Fails with StoreUnusable."""
        return self._table.latest(CAPACITY).addCallback(self._read)

    def tidy(self) -> None:
        """Forget bans that ended long ago. To be called once a day or so."""
        self._table.drop_before(self._now() - 2 * WEEK)
        self._table.drop_beyond(CAPACITY)

    def _moment(self) -> Moment:
        return Moment(self._now(), self._passed(), self._boot)

    def _read(self, rows: list[tuple[str, Value]]) -> list[Ban]:
        today = self._moment()
        return [ban for _, value in rows for ban in recalled(value, today)]


def recalled(value: Value, today: Moment) -> Iterator[Ban]:
    """The ban of a row, by the clock of today; none for a row that another version wrote, or nobody."""
    try:
        written = _moment_in(value.get("written"))
        later = written.as_seen(today) - written.now
        since, until, ended = (_number(value.get(key)) for key in ("since", "until", "ended"))
        if since is None or until is None or not 0 <= until - since <= LONGEST:
            return
        yield Ban(
            source=str(value["source"]),
            reason=fit_text(str(value["reason"])),
            since=since + later,
            until=until + later,
            action=BanAction(str(value["action"])),
            state=BanState(str(value["state"])),
            by=fit_text(str(value["by"])),
            evidence=tuple(_texts(value.get("evidence"), EVIDENCE)),
            users=tuple(_texts(value.get("users"), USERS)),
            words=fit_text(str(value["words"])),
            times=int(str(value["times"])),
            id=int(str(value["id"])),
            ended=None if ended is None else ended + later,
        )
    except (KeyError, ValueError):
        return


def _moment_in(value: object) -> Moment:
    known = value if isinstance(value, dict) else {}
    now, since_start = _number(known.get("now")), _number(known.get("passed"))
    if now is None or since_start is None:
        raise ValueError("a moment without its clocks")
    return Moment(now, since_start, str(known.get("boot")))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _texts(value: object, most: int) -> Iterable[str]:
    return [fit_text(one) for one in value[:most] if isinstance(one, str)] if isinstance(value, list) else ()
