"""The judge: points for all that is observed, and the bans that follow.

    Observation -> trust of its source -+- NEVER   -> nothing
                                        +- KNOWN   -> its users alone: ten that fail ask an operator for a ban
                                        `- UNKNOWN -+- proved   -> points -> throttled, banned
                                                    `- unproved -> points -> throttled

The order is a security order. Trust comes first, so that no evidence, however much and however forged, is ever weighed
against a provider. Proved and unproved points are kept in two tables of which only the first leads to a ban: a packet
over UDP can bear any address, and must not have its owner shut out. All tables are bounded; beyond, new sources are
judged no more, and their packets are still dropped by rate and look (sieve.py).

A ban takes `ban_minutes`, four times as long each time within a week, and `ban_most_days` at most. In the mode "report"
it is a ban that would be. Not here: telling people (defence_news.py), which reads the same observations and bans.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Final, Protocol

from gateway.base.rate import source_of
from gateway.config.tables.defence_table import DefenceTerms
from gateway.observe.observations import Kind, Observation
from gateway.security.defence.bans import Ban, BanAction, Bans, BanState, NeverBanned
from gateway.security.defence.evidence import EvidenceLines
from gateway.security.defence.mode import Mode, ModeNow
from gateway.security.defence.scores import HALF_LIFE, Scores, UsersTried
from gateway.security.defence.trust import DAY, Trust, Trusts

POINTS: Final = {
    Kind.DIGEST_FAILED: 5.0,
    Kind.USER_UNKNOWN: 3.0,
    Kind.SCAN: 50.0,
    Kind.MALFORMED: 2.0,
    Kind.FLOOD: 5.0,
    Kind.STRANGER: 1.0,
    Kind.TLS_FAILED: 1.0,
    Kind.CERTIFICATE: 5.0,
    Kind.ADMIN_LOGIN: 10.0,
    Kind.PROVISIONING: 5.0,
}
MANY: Final = 20.0
"""Points for a wrong password from the fourth user on, and for an unknown user from the tenth on."""
FAILING_USERS: Final = 4
UNKNOWN_USERS: Final = 10
SUFFERING_USERS: Final = 10
"""Users that fail from a known source before an operator is asked."""
FAN_OUT: Final = 20
"""Users tried from an unknown source before more are a scan."""
FAN_OUT_SECONDS: Final = 120.0
FAILING_SECONDS: Final = 600.0
SOURCES: Final = 5_000
"""Of which users are counted."""
MOST_TIMES: Final = 10


class JudgeClock(Protocol):
    """The two times of a judge."""

    def seconds(self) -> float:
        """Of decay and windows; never goes back."""

    def now(self) -> float:
        """Of bans: seconds since the epoch, passing evenly."""


class Judge:
    """Weighs observations. A reader of `Observations`."""

    def __init__(
        self, terms: DefenceTerms, mode: ModeNow, trusts: Trusts, bans: Bans, evidence: EvidenceLines, clock: JudgeClock
    ) -> None:
        self._mode = mode
        self._trusts = trusts
        self._bans = bans
        self._evidence = evidence
        self._clock = clock
        self._terms = terms
        self._proved = Scores(terms.sources)
        self._unproved = Scores(terms.sources)
        self._tried = {is_proved: UsersTried(FAN_OUT_SECONDS, SOURCES) for is_proved in (True, False)}
        """By whether they were tried over connections; over all ways under False."""
        self._unknown = UsersTried(FAN_OUT_SECONDS, SOURCES)
        self._failing = UsersTried(FAILING_SECONDS, SOURCES)
        self._others: dict[Kind, Callable[[str, Observation], None]] = {
            Kind.CHALLENGED: self._challenged,
            Kind.ANSWERED: self._answered,
            Kind.GRANTED: self._granted,
        }

    def adopt(self, terms: DefenceTerms) -> None:
        """Go by other terms; the number of sources stays until a restart."""
        self._terms = terms

    def observed(self, seen: Observation) -> None:
        """Weigh one observation."""
        if self._mode.mode is Mode.OFF:
            return
        source, other = source_of(seen.host), self._others.get(seen.kind)
        if other is not None:
            other(source, seen)
            return
        trust = self._trusts.of(source)
        if trust is Trust.NEVER:
            return
        self._evidence.note(source, seen)
        (self._judge_users if trust is Trust.KNOWN else self._judge_source)(source, seen)

    def is_throttled(self, source: str, *, is_proved: bool) -> bool:
        """Whether an unknown source has so many points that it may send next to nothing. One that is proved by its
        connection is judged by proved points alone: the others may be a forger's."""
        now = self._clock.seconds()
        unproved = 0.0 if is_proved else self._unproved.points(source, now)
        return self._proved.points(source, now) + unproved >= self._terms.throttle_at

    def slowed_for(self, source: str) -> tuple[float, bool]:
        """Seconds that a source is slowed for from now on, if nothing else is observed, and whether proved points do it
        alone. It is 0 of a source with few points, and of one that is trusted or banned."""
        if self._mode.mode is Mode.OFF:
            return 0.0, False
        proved, unproved = self.points(source)
        enough = float(self._terms.throttle_at)
        if (
            proved + unproved < enough
            or self._trusts.of(source) is not Trust.UNKNOWN
            or self._bans.of(source) is not None
        ):
            return 0.0, False
        return HALF_LIFE * log2((proved + unproved) / enough), proved >= enough

    def is_scanning(self, source: str, user: str, most: int = FAN_OUT, *, is_proved: bool) -> bool:
        """Whether an unknown source that asks for a user has tried so many others that it is looking for one; of one
        that is proved by its connection those count that it tried so."""
        tried = self._tried[is_proved]
        return tried.count(source, self._clock.seconds()) >= most and not tried.has(source, user)

    def points(self, source: str) -> tuple[float, float]:
        """The proved and the unproved points of a source now."""
        now = self._clock.seconds()
        return self._proved.points(source, now), self._unproved.points(source, now)

    def __len__(self) -> int:
        return len(self._proved) + len(self._unproved)

    def _challenged(self, source: str, seen: Observation) -> None:
        """A user that was asked for a password: nothing bad, until there are many."""
        if self._trusts.of(source) is Trust.UNKNOWN:
            self._note_tried(source, seen, self._clock.seconds())

    def _answered(self, source: str, seen: Observation) -> None:
        for tried in self._tried.values():
            tried.forget(source, seen.who)

    def _granted(self, source: str, seen: Observation) -> None:
        self._answered(source, seen)
        self._trusts.known.granted(source)

    def _judge_users(self, source: str, seen: Observation) -> None:
        """Of a known source only many users that fail say that it is more than a phone that is set up wrong, and then
        an operator decides. Each by itself is stopped by `guesses.py`."""
        if seen.kind is not Kind.DIGEST_FAILED or not seen.is_proved:
            return
        if self._failing.note(source, seen.who, self._clock.seconds()) >= SUFFERING_USERS:
            self._ban(source, str(seen.kind), BanState.WAITING)

    def _judge_source(self, source: str, seen: Observation) -> None:
        now = self._clock.seconds()
        points = self._weight(source, seen, now)
        if not seen.is_proved:
            self._unproved.add(source, "", points, now)
            return
        account = self._proved.add(source, str(seen.kind), points, now)
        if account is not None and account.points >= self._terms.ban_at:
            self._ban(source, account.reason, BanState.ACTIVE)

    def _weight(self, source: str, seen: Observation, now: float) -> float:
        """The points of one observation: more, where many users were tried and each try is proved."""
        if seen.kind is Kind.USER_UNKNOWN:
            self._note_tried(source, seen, now)
            many = seen.is_proved and self._unknown.note(source, seen.who, now) >= UNKNOWN_USERS
            return MANY if many else POINTS[seen.kind]
        if seen.kind is Kind.DIGEST_FAILED:
            many = seen.is_proved and self._failing.note(source, seen.who, now) >= FAILING_USERS
            return MANY if many else POINTS[seen.kind]
        return POINTS[seen.kind]

    def _note_tried(self, source: str, seen: Observation, now: float) -> None:
        for is_proved in {False, seen.is_proved}:
            self._tried[is_proved].note(source, seen.who, now)

    def _ban(self, source: str, reason: str, state: BanState) -> None:
        """Pass a sentence, unless there is one, or an operator has just lifted one."""
        is_report = self._mode.mode is not Mode.DEFEND
        before = self._bans.of(source)
        is_sentenced = before is not None and (is_report or before.state is not BanState.WOULD_BE)
        if is_sentenced or self._bans.is_spared(source):
            return
        since = self._clock.now()
        ban = Ban(
            source,
            reason,
            since,
            since + self._seconds(source),
            BanAction.of(self._terms.ban_by),
            BanState.WOULD_BE if is_report else state,
            evidence=self._evidence.lines(source),
            users=self._evidence.users(source),
        )
        self._proved.forget(source)
        try:
            self._bans.ban(ban)
        except NeverBanned:  # it became one, or is this machine
            return

    def _seconds(self, source: str) -> float:
        """The length of the next ban of a source."""
        times = min(self._bans.times(source), MOST_TIMES)
        return float(min(self._terms.ban_minutes * 60.0 * 4**times, self._terms.ban_most_days * DAY))
