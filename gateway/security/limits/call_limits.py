"""Limits of calls: asked before a call is anything, told of all that becomes of it.

    INVITE of a phone -> check -+-> Permit -> begin(call) -> answered(call) -> ended(call)
                                |                `-> undone(call): it was challenged, and comes again
                                `-> OverLimit: 403, with nothing begun
    REFER, or a phone's 302 -> check -> begin -> unseen: the provider makes that call, and nobody here sees its end

The order is a security order. The caller is settled before (ingress/sender_rights.py): the user that counts is the one
that registered over the flow, else the source. The check comes before media, the provider and the tables of calls are
touched, and begins nothing: of several limits each is asked before one is counted in, so a call that one of them
refuses has used up nothing of another. Emergency numbers and calls that are up never come here.

Every limit that fits counts; a hold refuses at any hour, until an operator lifts it. A clock that is set moves hours
and days, and nothing else (base/clock.py). Not here: the counts (tally.py), where they are kept (tally_book.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Final, NoReturn

import attrs
from twisted.logger import Logger

from gateway.base.clock import Clock
from gateway.base.telephone_numbers import TelephoneNumber
from gateway.config.tables.limit_table import CallLimit, LimitAction
from gateway.observe.events import EventName
from gateway.observe.line_limit import LineLimit
from gateway.observe.metrics import Metrics
from gateway.security.limits.rules import DomainRules, LimitCount, LimitedCaller, LimitRule
from gateway.security.limits.tally import LimitTally
from gateway.security.limits.tally_book import TallyBook
from gateway.security.wrong_passwords import BoundedMemory
from gateway.sip.errors import Refused
from gateway.state.reasons import Reason

log = Logger()

UNSEEN_SECONDS: Final = 3600.0
"""A call that the provider made for a phone counts as one of so long: nobody here sees its end."""
TOLD_AGAIN: Final = 600.0
"""Seconds until the same count of the same caller is told of again."""
SHOWN: Final = 500
"""Tallies in one answer."""
_REMEMBERED: Final = 10_000
_STATUS: Final = 403
_PHRASE: Final = "Call Limit"
_FIELDS: Final = (("Reason", f'SIP;cause={_STATUS};text="{_PHRASE} ({Reason.CALL_LIMIT_REACHED})"'),)


class OverLimit(Refused):
    """A call that a limit refuses. The caller is told that, and not which limit; `cause` is for our people."""

    code: Final = Reason.CALL_LIMIT_REACHED

    def __init__(self, cause: str) -> None:
        super().__init__(_STATUS, _PHRASE, _FIELDS)
        self.cause = cause


@attrs.frozen
class Permit:
    """A call may begin: it counts in these tallies."""

    caller: LimitedCaller
    number: TelephoneNumber
    tallies: tuple[tuple[LimitRule, LimitTally], ...] = ()


@attrs.frozen
class LimitStanding:
    """How one caller stands with one limit."""

    caller: str
    """The address of record, or the source."""
    limit: CallLimit
    held_at: float | None
    """Since when it is held, seconds since the epoch."""
    counts: tuple[LimitCount, ...]


class CallLimits:
    """The limits of one gateway."""

    def __init__(self, limits: Iterable[CallLimit], clock: Clock, metrics: Metrics, book: TallyBook) -> None:
        self._clock = clock
        self._metrics = metrics
        self.book = book
        self._limits = tuple(limits)
        self._rules: dict[str, DomainRules] = {}
        self._begun: dict[str, Permit] = {}
        self._transferred: set[str] = set()
        """Calls that were begun here, and may go on at the provider after their end here."""
        self._ending: dict[str, dict[str, float]] = {}
        """By limit: calls, and when each is to be ended; in the order of their answers."""
        self._told: BoundedMemory[tuple[str, ...], float] = BoundedMemory(_REMEMBERED)
        self._lines = LineLimit(clock.seconds)

    def adopt(self, limits: Iterable[CallLimit]) -> None:
        """Go by other limits from now on; counts under the same name go on."""
        self._limits, self._rules = tuple(limits), {}

    @property
    def limits(self) -> tuple[CallLimit, ...]:
        """The limits in force."""
        return self._limits

    def may_reach(self, domain: str, number: TelephoneNumber) -> bool:
        """Whether any limit of a domain, given in lower case, may be about calls to a number."""
        rules = self._rules.get(domain)
        if rules is None:
            rules = self._rules[domain] = DomainRules.of(self._limits, domain)
        return rules.may_reach(number)

    def check(self, caller: LimitedCaller, number: TelephoneNumber) -> Permit:
        """The permit for one more call of a caller to a number. Raises OverLimit."""
        if not self.may_reach(caller.domain, number):
            return Permit(caller, number)
        fitting = [rule for rule in self._rules[caller.domain].rules if rule.fits(caller, number)]
        now, wall = self._clock.now(), self._clock.wall()
        tallies = []
        for rule in fitting:
            tally, moment = self.book.of(rule.limit, caller), rule.local(wall)
            tally.turn(now, moment.toordinal())
            if tally.held_at is not None:
                self._refuse(rule, caller, "is held until an operator lifts it")
            if rule.holds_at(moment):
                full = rule.full(tally, number.text, now)
                if full is not None:
                    self._reached(rule, tally, Permit(caller, number), full)
                tallies.append((rule, tally))
        return Permit(caller, number, tuple(tallies))

    def begin(self, call_id: str, permit: Permit) -> None:
        """A permitted call begins."""
        if not permit.tallies:
            return
        now = self._clock.now()
        self._begun[call_id] = permit
        for rule, tally in permit.tallies:
            tally.begin(call_id, permit.number.text, now)
            near = rule.nearly_full(tally, now)
            if near is not None:
                self._tell(EventName.FRAUD_LIMIT_WARNED, rule, permit, near)
        self._changed(permit)

    def resume(self, call_id: str, caller: LimitedCaller, number: TelephoneNumber, ago: tuple[float, float]) -> None:
        """A call of another process goes on, that began and was answered so many seconds ago: it is up, and counts as
        begun no second time."""
        if not self.may_reach(caller.domain, number):
            return
        now, (began, answered) = self._clock.now(), ago
        fitting = [rule for rule in self._rules[caller.domain].rules if rule.fits(caller, number)]
        tallies = tuple((rule, self.book.of(rule.limit, caller)) for rule in fitting)
        self._begun[call_id] = permit = Permit(caller, number, tallies)
        for rule, tally in tallies:
            tally.resume(call_id, number.text, now - began, now - answered, now)
            minutes = rule.limit.end_calls_after_minutes
            if minutes is not None:
                ending = self._ending.setdefault(rule.limit.name, {})
                ending[call_id] = now - answered + minutes * 60
                self._ending[rule.limit.name] = dict(sorted(ending.items(), key=itemgetter(1)))
        self._changed(permit)

    def answered(self, call_id: str) -> None:
        """A call is answered; nothing happens for one that no limit counts."""
        if call_id not in self._begun:
            return
        permit = self._begun[call_id]
        now = self._clock.now()
        for rule, tally in permit.tallies:
            tally.answered(call_id, now)
            minutes = rule.limit.end_calls_after_minutes
            if minutes is not None:
                self._ending.setdefault(rule.limit.name, {})[call_id] = now + minutes * 60
        self._changed(permit)

    def ended(self, call_id: str) -> None:
        """A call is over; one that was transferred goes on elsewhere."""
        if call_id in self._transferred:
            self.unseen(call_id)
        elif call_id in self._begun:
            self._leave(call_id, lambda tally: tally.ended(call_id, self._clock.now()))

    def undone(self, call_id: str) -> None:
        """A call was none: its caller is asked for a password and comes again, or nobody took the transfer."""
        self._leave(call_id, lambda tally: tally.undone(call_id))

    def unseen(self, call_id: str) -> None:
        """A call goes on where nobody sees its end: it counts for an hour more."""
        self.answered(call_id)
        until = self._clock.now() + UNSEEN_SECONDS
        self._leave(call_id, lambda tally: tally.ended(call_id, self._clock.now(), until))

    def transferred(self, call_id: str) -> bool:
        """The provider is asked to join a party of this call with another: it may go on when it has ended here. Whether
        that is news."""
        is_news = call_id in self._begun and call_id not in self._transferred
        if is_news:
            self._transferred.add(call_id)
        return is_news

    def stayed(self, call_id: str) -> None:
        """The provider has not done it: the call ends when it ends here."""
        self._transferred.discard(call_id)

    def are_to_one_number(self, call_id: str, other_id: str) -> bool:
        """Whether two calls that are counted are to the same number."""
        one, other = self._begun.get(call_id), self._begun.get(other_id)
        return one is not None and other is not None and one.number.text == other.number.text

    def overdue(self) -> list[str]:
        """The ids of calls that are to be ended by now, each told once."""
        now, due = self._clock.now(), []
        for calls in self._ending.values():
            while calls and next(iter(calls.values())) <= now:
                call_id = next(iter(calls))
                del calls[call_id]
                due.append(call_id)
        return due

    def standings(self, caller: str | None = None) -> list[LimitStanding]:
        """How each caller stands, those that are held first, then the latest: SHOWN at most; or one caller alone."""
        now, wall = self._clock.now(), self._clock.wall()
        found = self.book.notable(SHOWN) if caller is None else self.book.of_caller(caller)
        standings = []
        for (_, name), tally in found:
            rule = LimitRule(tally.limit)
            tally.turn(now, rule.local(wall).toordinal())
            standings.append(LimitStanding(name, tally.limit, tally.held_at, tuple(rule.counts(tally, now))))
        return standings

    def named(self, text: str) -> list[str]:
        """The callers that a person may mean: an address of record with or without sip:, a user part, or a source."""
        text, names = text.casefold(), {name: None for (_, name), _ in self.book.all()}
        exact = [name for name in (text, f"sip:{text}") if name in names]
        return exact or [name for name in names if name.startswith(f"sip:{text}@")]

    def lift(self, name: str) -> int:
        """Let a caller call again, and count anew; how many of its limits were counting."""
        found = self.book.of_caller(name)
        for (limit, caller), tally in found:
            tally.lift()
            self.book.changed(tally.limit, LimitedCaller(caller, "", is_proved=False), tally)
            log.info("limit {limit}: {caller} counts anew", limit=limit, caller=caller)
        return len(found)

    def _leave(self, call_id: str, leave: Callable[[LimitTally], None]) -> None:
        permit = self._begun.pop(call_id, None)
        self._transferred.discard(call_id)
        if permit is None:
            return
        for rule, tally in permit.tallies:
            leave(tally)
            self._ending.get(rule.limit.name, {}).pop(call_id, None)
        self._changed(permit)

    def _changed(self, permit: Permit) -> None:
        for rule, tally in permit.tallies:
            self.book.changed(rule.limit, permit.caller, tally)

    def _reached(self, rule: LimitRule, tally: LimitTally, permit: Permit, full: LimitCount) -> None:
        """A limit is reached: its action is taken. Raises OverLimit."""
        if rule.limit.then is LimitAction.HOLD:
            tally.held_at = self._clock.wall()
            self.book.changed(rule.limit, permit.caller, tally)
            self._tell(EventName.FRAUD_LIMIT_HELD, rule, permit, full)
        else:
            self._tell(EventName.FRAUD_LIMIT_REACHED, rule, permit, full)
        if rule.limit.then is not LimitAction.REPORT:
            self._refuse(rule, permit.caller, f"has {full}")

    def _refuse(self, rule: LimitRule, caller: LimitedCaller, why: str) -> NoReturn:
        self._metrics.limit_refusals.labels(rule.limit.name).inc()
        raise OverLimit(f"limit {rule.limit.name}: {caller.name} {why}")

    def _tell(self, name: EventName, rule: LimitRule, permit: Permit, found: LimitCount) -> None:
        """Tell of a count, once in ten minutes each; of a stranger's, a few and then one now and then."""
        caller, limit, now = permit.caller, rule.limit, self._clock.seconds()
        key = (str(name), limit.name, caller.name, found.measure)
        before = self._told.get(key)
        if before is not None and now - before < TOLD_AGAIN and name is not EventName.FRAUD_LIMIT_HELD:
            return
        self._told.put(key, now)
        if not caller.is_proved and self._lines.more(caller.name) is None:
            return
        self._metrics.events.note(
            name,
            source=caller.source,
            domain=caller.domain,
            who=caller.name,
            limit=limit.name,
            measure=found.measure,
            count=found.count,
            most=found.most,
            action=str(limit.then),
            number=permit.number.text,
        )
        log.warn(
            "limit {limit}: {who} has {found} ({then})",
            limit=limit.name,
            who=caller.name,
            found=str(found),
            then=limit.then,
        )
