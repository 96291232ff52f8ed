"""Bans: each source that is turned away, or would be, with the reason, the time and the evidence: the table of them.

    judge, operator, list -> ban(Ban) -+-> listeners: the sets of sockets and kernel (doors.py), the file, events
                                       `-> current(), of(source), the escalation of the next one
    operator -> approve(id), lift(source)            clock -> expire()

Here: the values, their states and their times. Pure: ``now`` gives seconds since the epoch that pass evenly, and no
other effect than a listener's happens. Not here: the judgement (judge.py), the effect on sockets (doors.py), the file
that they outlive a restart in. That file keeps each value that a listener is told, by its source, and gives all of them
to `restore` before a port is open: lifted and expired ones too, since they tell which sources are spared, and how long
the next ban of each is.

                  ban()                        expire()
    WOULD_BE (report mode only) ----------------------------------.
    WAITING (an operator has to approve) --approve()--> ACTIVE ---+-> EXPIRED, remembered for a week
        `---------------- lift() ----------------------> LIFTED, its source spared for a day

A source that `may_ban` says no to is never in the table, wherever the ban comes from: the one promise that all others
rest on. A later ban of a source takes the place of an earlier one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.base.json_codec import Json

log = Logger()

HOUR: Final = 3600.0
WEEK: Final = 7 * 24 * HOUR
GRACE: Final = 24 * HOUR
"""Seconds that a source is spared by the judge after an operator lifted its ban."""
PATIENCE: Final = 24 * HOUR
"""Seconds that a ban waits for an operator."""
CAPACITY: Final = 65_536
"""Bans that are remembered, as many as a set of nftables holds; of those that no operator ordered or approved the one
that has not changed for longest goes first."""
_LOOKS: Final = 16
"""Bans that are looked at for one that may go."""
_AT_ONCE: Final = 500
"""Bans that end in one look: of very many that are over at the same time the others end at the next ones."""
EVIDENCE: Final = 20
"""Lines of evidence that a ban keeps at most, the latest."""
USERS: Final = 20
"""Users that it names at most."""
DEFENCE: Final = "defence"
"""The name that the gateway's own bans are by."""
OPERATOR: Final = "operator"
"""The reason of a ban that an operator ordered."""


class BanState(StrEnum):
    """The state of a ban."""

    ACTIVE = "active"
    """In force."""
    WAITING = "waiting"
    """It is in force once an operator has approved it: honest phones would suffer."""
    WOULD_BE = "would_be"
    """The same without effect: the gateway only reports."""
    LIFTED = "lifted"
    """An operator ended it."""
    EXPIRED = "expired"
    """Its time is over."""


class BanAction(StrEnum):
    """The way in which a source is turned away."""

    DROP = "drop"
    """By this process, before parsing and at accept."""
    NFTABLES = "nftables"
    """By the kernel, and by this process as well."""

    @classmethod
    def of(cls, ban_by: str) -> BanAction:
        """That of the key `ban_by`."""
        return cls.NFTABLES if ban_by == "nftables" else cls.DROP


OPEN: Final = frozenset({BanState.ACTIVE, BanState.WAITING, BanState.WOULD_BE})
"""States of bans that are not over."""


@attrs.frozen
class Ban:
    """One ban. Its texts are fit to be shown: cut, without secrets, without control characters."""

    source: str
    """As `base.rate.source_of` writes it: an IPv4 address, or the /64 of an IPv6 address."""
    reason: str
    """The kind of observation that weighed most (`evidence.Kind`), `operator`, or the name of a list: few values."""
    since: float
    """Seconds since the epoch: when it began, or began to wait."""
    until: float
    """When it ends. Of a waiting one: since + the seconds that it is going to have."""
    action: BanAction = BanAction.DROP
    state: BanState = BanState.ACTIVE
    by: str = DEFENCE
    """`defence`, or the operator that ordered or approved it."""
    evidence: tuple[str, ...] = ()
    """Lines that say when, over which transport, and which start line; at most EVIDENCE, the oldest first."""
    users: tuple[str, ...] = ()
    """Users that were tried; at most USERS. One that is not known here is told as a hash."""
    words: str = ""
    """An operator's reason."""
    times: int = 1
    """The number of bans of this source within a week: each is four times as long as the one before. One that only
    would be does not count."""
    id: int = 0
    """Given by `Bans.ban`: names it for `approve`."""
    ended: float | None = None
    """When it was lifted or expired."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.until - self.since

    @property
    def is_over(self) -> bool:
        """Whether it was lifted or has expired."""
        return self.state not in OPEN

    def as_json(self) -> dict[str, Json]:
        """The ban as files and the API give it: every field by its name."""
        told: dict[str, Json] = {**attrs.asdict(self)}
        return {**told, "evidence": list(self.evidence), "users": list(self.users)}


class NeverBanned(Exception):
    """The source is one that is never banned: str() says so to an operator."""


class NoSuchBan(Exception):
    """No ban that is not over has this source or id."""


Listener = Callable[[Ban], None]
"""Takes each ban that was made or changed, as it is now. It must be quick, and not ban by itself."""


class Bans:
    """All bans, by source. ``may_ban`` says whether a source may be banned at all."""

    def __init__(self, now: Callable[[], float], may_ban: Callable[[str], bool], capacity: int = CAPACITY) -> None:
        self._now = now
        self._may_ban = may_ban
        self._capacity = capacity
        self._bans: dict[str, Ban] = {}
        self.counts: Counter[tuple[BanState, BanAction]] = Counter()
        """How many there are of each kind: to walk over all of them would take tens of milliseconds."""
        self._due: list[tuple[float, str]] = []
        """When something becomes of each source's ban, as a heap: so that a look costs nothing while nothing is due.
        Entries of earlier bans of a source are passed over."""
        self._listeners: list[Listener] = []
        self._last_id = 0
        self.is_restoring = False
        """Whether the listeners are told of bans that they were told of before a restart."""

    def listen(self, listener: Listener) -> None:
        """Tell this one of each change from now on."""
        self._listeners.append(listener)

    def restore(self, bans: Iterable[Ban], may_ban: Callable[[str], bool] | None = None) -> None:
        """Take up the bans of before a restart, as far as they may be. Listeners are told of each, so that
        it is in force again, and that it is no news (`is_restoring`)."""
        self.is_restoring = True
        for ban in bans:
            if self._is_remembered(ban) and (may_ban or self._may_ban)(ban.source):
                self._last_id = max(self._last_id, ban.id)
                self._put(ban)
        self.is_restoring = False
        self.expire()

    def ban(self, ban: Ban) -> Ban:
        """Put a ban in force, or let it wait, as its state says; the ban with its id. Raises NeverBanned."""
        if not self._may_ban(ban.source):
            raise NeverBanned(
                f"{ban.source} is never banned: an own address, a provider's, one of never_ban, or of all neighbours"
            )
        self._last_id += 1
        times = self.times(ban.source) + (ban.state is not BanState.WOULD_BE)
        evidence, users = ban.evidence[-EVIDENCE:], ban.users[:USERS]
        return self._put(attrs.evolve(ban, id=self._last_id, times=times, evidence=evidence, users=users))

    def approve(self, number: int, by: str) -> Ban:
        """Put the waiting ban of an id in force, for its whole length from now on. Raises NoSuchBan, NeverBanned."""
        waiting = next((one for one in self._bans.values() if one.id == number), None)
        if waiting is None or waiting.state is not BanState.WAITING:
            raise NoSuchBan(f"no ban {number} waits for approval")
        if not self._may_ban(waiting.source):
            raise NeverBanned(f"{waiting.source} is never banned")
        now = self._now()
        approved = attrs.evolve(waiting, state=BanState.ACTIVE, since=now, until=now + waiting.seconds, by=by)
        return self._put(approved)

    def lift(self, source: str, by: str) -> Ban:
        """End the ban of a source, which is spared for a day. Raises NoSuchBan."""
        ban = self._bans.get(source)
        if ban is None or ban.is_over:
            raise NoSuchBan(f"{source} is not banned")
        return self._put(attrs.evolve(ban, state=BanState.LIFTED, ended=self._now(), by=by))

    def expire(self) -> None:
        """End bans when their time is over, and forget those that ended long ago. To be called every few seconds."""
        now = self._now()
        for _ in range(_AT_ONCE):
            if not self._due or self._due[0][0] > now:
                return
            _, source = heappop(self._due)
            ban = self._bans.get(source)
            if ban is None or self._changes_at(ban) > now:
                continue
            if ban.is_over:
                self._take(source)
            else:
                self._put(attrs.evolve(ban, state=BanState.EXPIRED, ended=self._ends(ban)))

    def end_own(self) -> bool:
        """End the defence's own bans that are in force, some hundred of them; whether there were any."""
        own = (ban for ban in self._bans.values() if ban.state is BanState.ACTIVE and ban.by == DEFENCE)
        found = [*islice(own, _AT_ONCE)]
        for ban in found:
            self._put(attrs.evolve(ban, state=BanState.EXPIRED, ended=self._now()))
        return bool(found)

    def current(self) -> tuple[Ban, ...]:
        """Those that are not over, the latest last."""
        return tuple(ban for ban in self._bans.values() if not ban.is_over)

    def of(self, source: str) -> Ban | None:
        """The ban of a source that is not over."""
        ban = self._bans.get(source)
        return None if ban is None or ban.is_over else ban

    def count(self, state: BanState) -> int:
        """How many are in a state."""
        return sum(self.counts[state, action] for action in BanAction)

    def is_spared(self, source: str) -> bool:
        """Whether an operator has lifted a ban of this source within a day: the judge leaves it alone."""
        ban = self._bans.get(source)
        return ban is not None and ban.state is BanState.LIFTED and self._now() - (ban.ended or 0.0) < GRACE

    def times(self, source: str) -> int:
        """How often a source was banned within a week; a ban that an operator lifted does not count."""
        ban = self._bans.get(source)
        return 0 if ban is None or ban.state is BanState.LIFTED or not self._is_remembered(ban) else ban.times

    def __len__(self) -> int:
        return len(self._bans)

    def _ends(self, ban: Ban) -> float:
        return ban.since + PATIENCE if ban.state is BanState.WAITING else ban.until

    def _changes_at(self, ban: Ban) -> float:
        """When it expires, or is forgotten."""
        return self._ends(ban) if ban.ended is None else ban.ended + WEEK

    def _plan(self, ban: Ban) -> None:
        heappush(self._due, (self._changes_at(ban), ban.source))
        if len(self._due) > 2 * len(self._bans) + _LOOKS:
            self._due = [(self._changes_at(one), source) for source, one in self._bans.items()]
            heapify(self._due)

    def _is_remembered(self, ban: Ban) -> bool:
        return ban.ended is None or self._now() - ban.ended < WEEK

    def _put(self, ban: Ban) -> Ban:
        self._take(ban.source)
        if len(self._bans) >= self._capacity:
            self._forget_one()
        self._bans[ban.source] = ban
        self.counts[ban.state, ban.action] += 1
        self._plan(ban)
        self._tell(ban)
        return ban

    def _take(self, source: str) -> Ban | None:
        ban = self._bans.pop(source, None)
        if ban is not None:
            self.counts[ban.state, ban.action] -= 1
        return ban

    def _forget_one(self) -> None:
        """Make room; where the ban that goes is not over, its source is let in. A peer with many addresses to be banned
        must not end an operator's ban by that."""
        for _ in range(_LOOKS):
            source, first = next(iter(self._bans.items()))
            if first.is_over or first.by == DEFENCE:
                break
            self._bans[source] = self._bans.pop(source)
        gone = self._take(next(iter(self._bans)))
        if gone is not None and not gone.is_over:
            self._tell(attrs.evolve(gone, state=BanState.EXPIRED, ended=self._now()))

    def _tell(self, ban: Ban) -> None:
        for listener in self._listeners:
            try:
                listener(ban)
            except Exception:
                log.failure("a listener of bans failed")
