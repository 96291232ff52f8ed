"""Reports of the posture: made on demand and by themselves, kept, compared, signed.

    report() --> facts -> assessed -> report_of     each [posture] every: kept in posture.sqlite, `posture.worse` told
                    `-> one of a minute ago serves all readers of pages

Here: the making and keeping. Not here: the facts (posture_gathering), the judgement (security/posture), HTTP
(posture_routes). One report is made at a time, and the next waits: so many readers cost no more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, cast

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from gateway.admin.security.posture_gathering import DAY, HasUsers, PostureGathering
from gateway.base.json_codec import Json
from gateway.config.tables.posture_table import Posture
from gateway.observe.events import EventName, Events
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.security.posture.advisories import Advisories, our_advisories
from gateway.security.posture.assessment import Assessment, assessed
from gateway.security.posture.report import NoReport, Report, checked_report, is_worse, report_of
from gateway.security.posture.signature import ReportKey
from gateway.state.table import KeptTable

log = Logger()

WINDOW: Final = 30 * DAY
"""The time that calls are counted for, unless somebody asks for another."""
FRESH_SECONDS: Final = 60.0
"""For which a reader of the page gets the report that another one was given."""


@attrs.frozen
class PostureQuestion:
    """The report that is wanted."""

    since: float | None = None
    """Seconds since the epoch; None: 30 days."""
    domain: str = ""
    """In lower case; empty: all domains."""
    advisories: Advisories | None = None
    """Instead of those of the package."""


@attrs.frozen
class KeptReport:
    """A report that is kept, in short."""

    id: str
    at: float
    score: float
    grade: str


@attrs.define(eq=False)
class PostureReports:
    """Makes and keeps them."""

    gathering: PostureGathering
    table: KeptTable
    terms: Posture
    key: ReportKey
    events: Events
    now: Callable[[], float]
    """Seconds since the epoch, as people's clocks say."""
    has_users: HasUsers
    last: Report | None = attrs.field(default=None, init=False)
    """The latest that is kept."""
    kept: list[KeptReport] = attrs.field(factory=list, init=False)
    """The oldest first."""
    _whole: Assessment | None = attrs.field(default=None, init=False)
    _fresh: Report | None = attrs.field(default=None, init=False)
    _lock: DeferredLock = attrs.field(factory=DeferredLock, init=False)

    async def start(self) -> None:
        """Read those that are kept. Fails with StoreUnusable."""
        for key, value in await self.table.latest(self.terms.keep):
            try:
                report = checked_report(value)
            except NoReport:  # of another version
                continue
            self.kept.append(_short(key, report))
            self.last = report

    async def report(self, asked: PostureQuestion) -> Report:
        """A report of this moment, compared with the latest that is kept."""
        await self._lock.acquire()
        try:
            return await self._made(asked)
        finally:
            self._lock.release()

    async def fresh(self) -> Report:
        """A report on everything that is a minute old at most: one for all readers that wait for it."""
        if (found := self._still_fresh()) is not None:
            return found
        await self._lock.acquire()
        try:
            return self._still_fresh() or await self._made(PostureQuestion())
        finally:
            self._lock.release()

    def _still_fresh(self) -> Report | None:
        report = self._fresh
        is_fresh = report is not None and 0 <= self.now() - float(str(report["at"])) < FRESH_SECONDS
        return report if is_fresh else None

    async def keep_if_due(self) -> None:
        """Make a report and keep it, where it is time. Its author is the clock."""
        at = self.kept[-1].at if self.kept else None
        if not self.terms.is_due(at, self.now()):
            return
        report = await self.report(PostureQuestion())
        self.keep(report)

    def keep(self, report: Report) -> None:
        """Keep a report, and tell whether the posture is worse than in the one before."""
        at = float(str(report["at"]))
        key = f"{at:.3f}"
        self.table.put(key, at, report)
        self.table.drop_beyond(self.terms.keep)
        self.kept = [*self.kept, _short(key, report)][-self.terms.keep :]
        self.last = report
        delta = report.get("delta")
        if isinstance(delta, dict) and is_worse(delta):
            names = ", ".join(map(str, cast("list[Json]", delta["worse"])))
            log.warn("the security posture is worse than before: {checks}", checks=names)
            self.events.note(
                EventName.POSTURE_WORSE,
                score=float(str(report["score"])),
                change=float(str(delta["score"])),
                checks=names,
            )

    def find(self, name: str) -> Deferred[Report | None]:
        """A report that is kept; None where there is none of that id."""
        return self.table.find(name)

    def signed(self, report: Report) -> Json:
        """The signature of a report. Raises OSError where the key cannot be read or made."""
        return self.key.sign(report)

    def figures(self) -> Iterator[Sample]:
        """The latest report on everything; nothing before the first."""
        one = self._whole
        if one is not None:
            yield Metrics.posture_score, (), one.score
            yield Metrics.posture_time, (), one.facts.at
            for severity, number in one.counted().items():
                yield Metrics.posture_findings, (severity,), number

    async def _made(self, asked: PostureQuestion) -> Report:
        advisories = our_advisories() if asked.advisories is None else asked.advisories
        since = self.now() - WINDOW if asked.since is None else asked.since
        facts = await self.gathering.facts(since, asked.domain, self.has_users(), advisories)
        one = await self.gathering.aside(assessed, facts, advisories)
        report = await self.gathering.aside(report_of, one, self.last)
        if asked == PostureQuestion():
            self._whole, self._fresh = one, report
        return report


def _short(key: str, report: Report) -> KeptReport:
    return KeptReport(key, float(str(report.get("at") or 0)), float(str(report["score"])), str(report.get("grade"))[:2])
