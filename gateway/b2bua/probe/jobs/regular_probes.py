"""Probes of providers that are made from time to time, kept with their verdicts, and compared: `probe_hours`.

    look (each minute) -> a provider is due -> Probes -> row in probes.sqlite -> judged -> posture.probe_changed
                                                                                       `-> again in CONFIRM_SECONDS

They look and call nobody, learn nothing and ask as no user. One is made at a time. Of each provider the latest rows
come back after a start, so a restart neither forgets the verdicts of before nor probes at once. Not here: one probe
(probes.py), the comparison (expectations.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

import attrs
from twisted.logger import Logger

from gateway.b2bua.probe.jobs.expectations import Change, Expected, VerdictsSoFar, expected_of, judged
from gateway.b2bua.probe.jobs.probe_order import ProbeKind, ProbeOrder, ProbeRefused
from gateway.b2bua.probe.probes import ProbeJob, Probes
from gateway.b2bua.probe.sentences import ProbeResult
from gateway.config.model import Provider
from gateway.observe.events import EventName, Events
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.state.table import KeptTable, Value

log = Logger()

KEPT: Final = 2_000
"""Probes in the file, of all providers."""
CONFIRM_SECONDS: Final = 600.0
"""After a worse verdict, until it is looked at again."""


@attrs.frozen
class PastProbe:
    """A regular probe that was made."""

    provider: str
    at: float
    """Seconds since the epoch."""
    result: str
    sentence: str
    verdicts: Expected
    change: str
    """See Change."""
    counted: Expected
    """The verdicts that later ones are measured by."""

    def as_json(self) -> Value:
        """The row of the file."""
        return cast("Value", attrs.asdict(self))


class RegularProbes:
    """Makes and keeps them. ``providers`` gives those in force, ``now`` seconds since the epoch."""

    def __init__(
        self,
        probes: Probes,
        table: KeptTable,
        events: Events,
        providers: Callable[[], tuple[Provider, ...]],
        now: Callable[[], float],
    ) -> None:
        self._probes = probes
        self._table = table
        self._events = events
        self._providers = providers
        self._now = now
        self._past: deque[PastProbe] = deque(maxlen=KEPT)
        self._latest: dict[str, PastProbe] = {}
        self._began = now()
        self._is_at_work = False
        self._is_over = False

    def stop(self) -> None:
        """Make and keep no more."""
        self._is_over = True

    def recall(self, rows: Iterable[tuple[str, Value]]) -> None:
        """Take the probes of before; a row of another version is left out."""
        for key, value in rows:
            try:
                self._take(_read(value))
            except (KeyError, TypeError, ValueError) as error:
                log.warn("row {key} of the regular probes cannot be read: {reason}", key=key, reason=error)

    def latest(self, provider: str, limit: int) -> list[PastProbe]:
        """Those of a provider, or of all (empty), the latest first."""
        found = [one for one in reversed(self._past) if not provider or one.provider == provider]
        return found[:limit]

    def figures(self) -> Iterator[Sample]:
        """The latest result of each provider that is to be probed, and when it was found."""
        for provider in self._providers():
            if provider.probe_hours:
                past = self._latest.get(provider.name)
                for result in ProbeResult:
                    is_it = past is not None and past.result == result
                    yield Metrics.regular_probe, (provider.name, str(result)), float(is_it)
                if past is not None:
                    yield Metrics.regular_probe_time, (provider.name,), past.at

    async def look(self) -> None:
        """Probe the provider that has waited for longest, where one is due."""
        if self._is_at_work or self._is_over:
            return
        due = [one for one in self._providers() if self._is_due(one)]
        if not due:
            return
        provider = min(due, key=lambda one: self._last_at(one))
        self._is_at_work = True
        try:
            job = await self._probes.done(ProbeOrder(ProbeKind.PROVIDER, provider.name))
        except ProbeRefused as refused:  # an operator was faster, or too many run: at the next look
            log.debug("{provider} is not probed now: {reason}", provider=provider.name, reason=str(refused))
            return
        finally:
            self._is_at_work = False
        if not self._is_over:  # one that ended with the gateway says nothing of the provider
            self._keep(provider.name, job)

    def _is_due(self, provider: Provider) -> bool:
        """A clock that was set back makes none wait longer than its hours."""
        wait = provider.probe_hours * 3_600.0
        last = self._latest.get(provider.name)
        if last is not None and last.change == Change.DOUBTED:
            wait = min(wait, CONFIRM_SECONDS)
        return wait > 0 and abs(self._now() - self._last_at(provider)) >= wait

    def _last_at(self, provider: Provider) -> float:
        last = self._latest.get(provider.name)
        return self._began - 3_600.0 * provider.probe_hours if last is None else last.at

    def _keep(self, provider: str, job: ProbeJob) -> None:
        before = self._latest.get(provider)
        standing = None if before is None else VerdictsSoFar(before.counted, before.change == Change.DOUBTED)
        seen = {} if job.result is ProbeResult.FAILED else expected_of(job.facts)
        change, after, about = judged(standing, seen)
        result = str(job.result)
        past = PastProbe(provider, self._now(), result, job.sentence, seen, str(change), dict(after.expected))
        self._take(past)
        self._table.put(f"{provider} {past.at:.3f}", past.at, past.as_json())
        self._table.drop_beyond(KEPT)
        self._tell(past, change, about, {} if standing is None else standing.expected)

    def _take(self, past: PastProbe) -> None:
        self._past.append(past)
        self._latest[past.provider] = past

    def _tell(self, past: PastProbe, change: Change, about: tuple[str, ...], before: Expected) -> None:
        if change not in (Change.WORSE, Change.BETTER):
            return
        told = ", ".join(f"{name}: {past.verdicts[name]} (before: {before[name]})" for name in about)
        log.warn("calls to {provider} would be {change}: {told}", provider=past.provider, change=change, told=told)
        name = EventName.POSTURE_PROBE_CHANGED if change is Change.WORSE else EventName.POSTURE_PROBE_BETTER
        self._events.note(name, who=past.provider, domains=told, sentence=past.sentence)


def _read(row: Value) -> PastProbe:
    known = {field.name for field in attrs.fields(PastProbe)}
    values: dict[str, Any] = {key: value for key, value in row.items() if key in known}
    if not isinstance(values["verdicts"], dict) or not isinstance(values["counted"], dict):
        raise TypeError("its verdicts are none")
    return attrs.evolve(PastProbe(**values), at=float(values["at"]), change=str(Change(values["change"])))
