"""The fallback budgets of all domains: calls are counted as they end, and somebody is told when too many fall back.

    event call.ended -> outcome_of -> DomainCounts.add
    every CHECK_SECONDS: standing -> events budget.*, the switch
    start: counts of the history (30 days by hour, two hours by minute) -> recall

Verdicts of ended calls are counted in no other place than the event of their end, so nothing waits for a budget.
A domain that asks for it (`fallback_spent = "require"`) is switched to required when its budget is spent, in the name
of AUTHOR, and back when calls in clear have grown old enough. An operator's switch wins: it is left as it is.

Time is the steady clock's, so that a clock that is set moves no window. Not here: the judgement (standing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.config.model import Configuration, Domain, FallbackSpent, Security
from gateway.config.switches import Settings
from gateway.observe.events import EventName, GatewayEvent
from gateway.observe.figures import DomainBudget, Sample
from gateway.observe.metrics import Metrics
from gateway.security.budget.outcomes import BETWEEN_PHONES, BudgetOutcome, outcome_of
from gateway.security.budget.past_calls import PastCalls, SomeCalls
from gateway.security.budget.standing import (
    BURN_WINDOWS,
    HOUR,
    MINUTE,
    WINDOW,
    BudgetLevel,
    BudgetStanding,
    FallbackBudget,
    standing,
)
from gateway.security.budget.windows import SlidingCounts

log = Logger()

CHECK_SECONDS: Final = 10.0
"""Between two looks at every budget."""
TOLD_AGAIN: Final = float(HOUR)
"""Seconds until a level that was left is told again when it comes back."""
AUTHOR: Final = "fallback budget"
"""Of switches that are made here."""

EVENTS: Final = {
    BudgetLevel.BURNS: EventName.BUDGET_BURNS,
    BudgetLevel.BURNS_FAST: EventName.BUDGET_BURNS_FAST,
    BudgetLevel.SPENT: EventName.BUDGET_SPENT,
}
_STATES: Final = {
    BudgetLevel.BURNS: "will not last",
    BudgetLevel.BURNS_FAST: "is being spent fast",
    BudgetLevel.SPENT: "is spent",
}
_ORDER: Final = tuple(BudgetLevel)
_OUTCOME_WORDS: Final = {outcome: outcome.name.lower() for outcome in BudgetOutcome}
_WIDTHS: Final = {name: seconds // MINUTE for name, seconds in BURN_WINDOWS.items()}


class DomainCounts:
    """The calls of one domain in each window."""

    def __init__(self) -> None:
        self._minutes = SlidingCounts(MINUTE, tuple(_WIDTHS.values()))
        self._hours = SlidingCounts(HOUR, (WINDOW // HOUR,))

    def add(self, outcome: BudgetOutcome, at: float) -> None:
        """Count a call that has just ended."""
        self._minutes.add(outcome, at)
        self._hours.add(outcome, at)

    def recall_hour(self, calls: SomeCalls) -> None:
        """Count calls of an hour of the history."""
        self._hours.add(calls.outcome, calls.at, calls.calls)

    def recall_minute(self, calls: SomeCalls) -> None:
        """Count calls of a minute of the history."""
        self._minutes.add(calls.outcome, calls.at, calls.calls)

    def standing(self, budget: FallbackBudget, now: float) -> BudgetStanding:
        """How a budget stands."""
        sums = self._minutes.sums(now)
        month = self._hours.sums(now)[WINDOW // HOUR]
        return standing(budget, {name: sums[width] for name, width in _WIDTHS.items()}, month)


@attrs.define
class _Told:
    """The last word about a domain's budget."""

    level: BudgetLevel = BudgetLevel.GOOD
    at: dict[BudgetLevel, float] = attrs.field(factory=dict)
    """When each level was told."""
    is_overruled: bool = False
    """An operator switched the domain back although its budget is spent."""


class Budgets:
    """Counts, tells, and switches where a domain asks for it. ``now`` never goes back: seconds since the epoch."""

    def __init__(self, settings: Settings, metrics: Metrics, now: Callable[[], float], timers: IReactorTime) -> None:
        self._settings = settings
        self._metrics = metrics
        self._now = now
        self._counts: dict[str, DomainCounts] = {}
        self._told: dict[str, _Told] = {}
        self._round = LoopingCall(self.check)
        self._round.clock = timers

    def start(self, past: PastCalls) -> None:
        """Take over the calls of the history, count those that end from now on, and look at the budgets.

        A level that a budget has already was told before the start. Where there is no switch by now, none is wanted."""
        for hour in past.hours:
            self._counts_of(hour.domain).recall_hour(hour)
        for minute in past.minutes:
            self._counts_of(minute.domain).recall_minute(minute)
        self.adopt(self._settings.current)
        for domain in self._budgeted():
            told = self._told_of(domain)
            told.level = self.standing(domain).level
            told.is_overruled = told.level is BudgetLevel.SPENT
        self._metrics.events.subscribe(self._noticed)
        self._metrics.asked.add(self._samples)
        self._round.start(CHECK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._round.running:
            self._round.stop()
        self._metrics.events.unsubscribe(self._noticed)

    def adopt(self, configuration: Configuration) -> None:
        """Every domain has its series from the start: an increase is seen from the first call on."""
        for domain in configuration.domains:
            for word in _OUTCOME_WORDS.values():
                self._metrics.budget_calls.labels(domain.name, word)

    def standings(self) -> dict[str, BudgetStanding]:
        """Each budget, by its domain."""
        return {domain.name: self.standing(domain) for domain in self._budgeted()}

    def standing(self, domain: Domain) -> BudgetStanding:
        """How the budget of a domain that has one stands."""
        return self._counts_of(domain.name).standing(_budget(domain), self._now())

    def consequences(self) -> dict[str, FallbackSpent]:
        """The consequence that each budget has once it is spent, by its domain."""
        return {domain.name: domain.fallback_spent for domain in self._budgeted()}

    def figures(self) -> tuple[DomainBudget, ...]:
        """Each budget in plain numbers, the worst first."""
        return tuple(
            DomainBudget(domain, str(one.level), one.month.spent, one.month.counted, one.allowed, one.left)
            for domain, one in by_domain(self.standings())
        )

    def check(self) -> None:
        """Look at every budget, and tell of those that have become worse."""
        for domain in self._budgeted():
            try:
                self._check(domain, self.standing(domain))
            except Exception:  # the guard: budgets go on being looked at
                log.failure("the fallback budget of {domain} cannot be looked at", domain=domain.name)

    def _check(self, domain: Domain, found: BudgetStanding) -> None:
        told, before = self._told_of(domain), self._told_of(domain).level
        told.level = found.level
        if _ORDER.index(found.level) > _ORDER.index(before):
            self._tell(domain, found, told)
        self._follow(domain, found, told)

    def _tell(self, domain: Domain, found: BudgetStanding, told: _Told) -> None:
        if self._now() - told.at.get(found.level, -TOLD_AGAIN) < TOLD_AGAIN:
            return
        told.at[found.level] = self._now()
        burns: dict[str, Any] = {
            f"burn_{name}": None if burn is None else round(burn, 1) for name, burn in found.burns.items()
        }
        self._metrics.events.note(
            EVENTS[found.level],
            domain=domain.name,
            spent=found.month.spent,
            allowed=found.allowed,
            left=found.left,
            **burns,
        )
        log.warn(
            "{domain}: the fallback budget {state}: {spent} calls of {counted} in 30 days went on with less than TLS "
            "and SRTP, {allowed} may",
            domain=domain.name,
            state=_STATES[found.level],
            spent=found.month.spent,
            counted=found.month.counted,
            allowed=found.allowed,
        )

    def _follow(self, domain: Domain, found: BudgetStanding, told: _Told) -> None:
        """Switch a domain that asks for it, and back."""
        switch = self._settings.security_of(domain.name)
        is_ours = switch is not None and switch.who == AUTHOR
        if found.level is not BudgetLevel.SPENT:
            told.is_overruled = False
            if is_ours:
                self._switch(domain, None, "the fallback budget is no longer spent")
        elif domain.fallback_spent is FallbackSpent.REQUIRE and not is_ours and not told.is_overruled:
            told.is_overruled = True  # a switch back from now on is meant
            if domain.security is Security.PREFERRED:
                self._switch(domain, Security.REQUIRED, "the fallback budget is spent")

    def _switch(self, domain: Domain, security: Security | None, because: str) -> None:
        try:
            self._settings.switch(domain.name, security, AUTHOR, because)
        except OSError as error:
            log.error("{domain} cannot be switched: {reason}", domain=domain.name, reason=error.strerror)

    def _noticed(self, number: int, event: GatewayEvent) -> None:
        """A subscriber of events: see observe.events."""
        if event.name is not EventName.CALL_ENDED:
            return
        fields = event.fields
        if fields.get("direction") == BETWEEN_PHONES:
            return
        is_emergency = bool(fields.get("emergency"))
        outcome = outcome_of(str(fields.get("verdict")), str(fields.get("reason")), is_emergency=is_emergency)
        if outcome is not None:
            self._counts_of(event.domain).add(outcome, self._now())
            self._metrics.budget_calls.labels(event.domain, _OUTCOME_WORDS[outcome]).inc()

    def _samples(self) -> Iterator[Sample]:
        """The figures of a scrape."""
        for domain in self._budgeted():
            found = self.standing(domain)
            yield Metrics.budget_ratio, (domain.name,), found.budget.share
            yield Metrics.budget_left, (domain.name,), found.allowed - found.month.spent

    def _budgeted(self) -> list[Domain]:
        return [domain for domain in self._settings.current.domains if domain.fallback_budget is not None]

    def _counts_of(self, domain: str) -> DomainCounts:
        name = domain.lower()
        counts = self._counts.get(name)
        if counts is None:  # a month of hours takes longer to make than a call: not with each
            counts = self._counts[name] = DomainCounts()
        return counts

    def _told_of(self, domain: Domain) -> _Told:
        return self._told.setdefault(domain.name.lower(), _Told())


def _budget(domain: Domain) -> FallbackBudget:
    return FallbackBudget(domain.fallback_budget or 0.0, domain.fallback_floor)


def by_domain(standings: Mapping[str, BudgetStanding]) -> list[tuple[str, BudgetStanding]]:
    """The worst first."""
    return sorted(standings.items(), key=lambda one: (-_ORDER.index(one[1].level), one[0]))
