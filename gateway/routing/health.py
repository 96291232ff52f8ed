"""Health of the providers' targets: OPTIONS to each of them from time to time (RFC 3261 section 11).

    every ping_seconds: each provider's URI -> targets -> OPTIONS -> any final answer but 503: up
                                                            `- none in ANSWER_WITHIN, or no way there: asked again
                                                               at once, and MISSES times: down
    a call that hears nothing -> unheard(flow): down
    order(targets): those that are up, then those that are down

A target that is down is asked more often, and is up again with its first answer. It is put last and not left out: when
all are down, a call still tries, and fails with the reason that it meets itself. A provider that wants no OPTIONS
is not asked, and nothing is said of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.tokens import new_token
from gateway.config.model import Provider
from gateway.observe.events import EventName, Events
from gateway.routing.answer_times import HEARD_WITHIN
from gateway.routing.locate import NotFound, all_of
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure
from gateway.transaction.pings import Pings, Send
from gateway.transport.flow import Flow, Target

log = Logger()

PERIOD_DOWN: Final = 5.0
"""Seconds between two questions to one that is down: also the round of this module."""
MISSES: Final = 2
"""Questions without answer, in a row, that make a target down."""
SLACK: Final = 0.5
"""Seconds: a question that is due so soon is asked in this round."""
FORGET_AFTER: Final = 600.0
"""Seconds after which a target that its name no longer leads to is forgotten."""

Find = Callable[[str], Deferred[list[Target]]]
Reach = Callable[[Provider, Target], Flow]
Spoke = Callable[[Provider, Target], None]


@attrs.define(eq=False)
class Standing:
    """How one target stands."""

    target: Target
    provider: str
    """The name of the provider that it was found for first."""
    seen: float
    """When its name last led to it; clock seconds, as below."""
    period: float = 0.0
    """Seconds between two questions while it is up."""
    asked: float = 0.0
    """When it was last asked."""
    next_question: float = 0.0
    misses: int = 0
    answered: float | None = None
    """When it last answered well."""
    is_up: bool = True
    is_waiting: bool = False
    changed: float | None = None
    """When it last went up or down, or was first asked."""
    why: str = ""
    """Why it did not answer the last question well, in words; empty where it did."""
    flow: Flow | None = None
    """The way of the last question."""

    @property
    def name(self) -> str:
        """The transport and address of the target."""
        return f"{self.target.transport} {self.target.address}"


class Health:
    """Asks the targets of all providers how they are."""

    UP, DOWN, KIND = EventName.PROVIDER_UP, EventName.PROVIDER_DOWN, "provider"
    """The events that tell of a change, and the word for whoever is asked."""

    def __init__(self, clock: IReactorTime, find: Find, reach: Reach, send: Send, spoke: Spoke, events: Events) -> None:
        """``spoke`` is called with each answer, be it a refusal: the target speaks the transport it was asked over."""
        self._clock = clock
        self._find = find
        self._reach = reach
        self._pings = Pings(clock, send)
        self._spoke = spoke
        self._events = events
        self._providers: tuple[Provider, ...] = ()
        self._standings: dict[Target, Standing] = {}
        self._began = 0.0
        self._nowhere: set[str] = set()
        """Names of providers that lead nowhere now."""
        self._round = LoopingCall(self._ask_all)
        self._round.clock = clock

    def start(self, providers: Iterable[Provider]) -> None:
        """Begin to ask. May be called again with other providers."""
        self._providers = tuple(provider for provider in providers if provider.ping_seconds)
        self._began = self._clock.seconds()
        names = {provider.name for provider in self._providers}
        self._standings = {target: one for target, one in self._standings.items() if one.provider in names}
        if not self._round.running:
            self._round.start(PERIOD_DOWN, now=True)

    def stop(self) -> None:
        """Ask no more."""
        if self._round.running:
            self._round.stop()
        self._pings.stop()

    def order(self, targets: Sequence[Target]) -> list[Target]:
        """The same targets, those that are down last."""
        return sorted(targets, key=self.is_down) if len(targets) > 1 else list(targets)

    def is_down(self, target: Target) -> bool:
        """Whether a target has not answered lately. One that was never asked is not."""
        standing = self._standings.get(target)
        return standing is not None and not standing.is_up

    def is_any_up(self, targets: Iterable[Target]) -> bool:
        """Whether one of these targets is known to answer. Of one that was never asked nothing is known."""
        standings = (self._standings.get(target) for target in targets)
        return any(one is not None and one.is_up and one.answered is not None for one in standings)

    def unheard(self, flow: Flow, seconds: float = HEARD_WITHIN) -> None:
        """A call got no sign of life over this flow for so long: its target is down until it answers the next question.
        An answer to a question since the silence began counts for more."""
        now = self._clock.seconds()
        for standing in self._standings.values():
            target = standing.target
            if (target.transport, target.address) != (flow.transport, flow.remote) or not standing.is_up:
                continue
            if standing.answered is None or now - standing.answered > seconds:
                standing.misses, standing.is_up, standing.next_question = MISSES, False, 0.0
                standing.changed, standing.why = now, "a call got no answer"
                self._went_down(standing)

    def standings(self) -> list[tuple[str, bool]]:
        """Each known target as text, and whether it is up."""
        return [(one.name, one.is_up) for one in self._standings.values()]

    def looked_at(self, provider: str) -> list[Standing]:
        """How each target of a provider stands, in no order."""
        return [one for one in self._standings.values() if one.provider == provider]

    def lost(self) -> set[str]:
        """The providers whose names lead nowhere now."""
        return set(self._nowhere)

    def silent_since(self) -> float | None:
        """Since when no target of any provider answers, clock seconds; None while one does, and where none is asked."""
        if not self._providers or any(number for (_, is_up), number in self.targets().items() if is_up):
            return None
        times = [one.answered for one in self._standings.values() if one.answered is not None]
        return max(times, default=self._began)

    def are_names_lost(self) -> bool:
        """Whether the name of no provider that is asked leads anywhere."""
        return bool(self._providers) and self._nowhere >= {one.name for one in self._providers}

    def target_hosts(self) -> set[str]:
        """The addresses of all targets, of every provider that is asked."""
        return {target.address.host for target in self._standings}

    def targets(self) -> dict[tuple[str, bool], int]:
        """How many targets of each provider are up (True), and how many down (False). Of a provider that is not found
        none is up, and of one that was not asked yet one is down. One that is never asked is left out."""
        known = self._standings.values()
        found = Counter((one.provider, one.is_up and one.provider not in self._nowhere) for one in known)
        for provider in self._providers:
            is_known = found[provider.name, True] or found[provider.name, False]
            found[provider.name, False] += 0 if is_known else 1
        keys = ((provider.name, is_up) for provider in self._providers for is_up in (True, False))
        return {key: found[key] for key in keys}

    def _ask_all(self) -> None:
        now = self._clock.seconds()
        for target, standing in tuple(self._standings.items()):
            if now - standing.seen > FORGET_AFTER:
                del self._standings[target]
        for provider in self._providers:
            found = all_of(self._find, (provider.uri, *provider.more_uris))
            found.addCallback(self._ask_each, provider).addErrback(self._not_found, provider)

    def _ask_each(self, targets: list[Target], provider: Provider) -> None:
        now = self._clock.seconds()
        if provider.name in self._nowhere:
            self._nowhere.discard(provider.name)
            log.info("{kind} {provider} is found again", kind=self.KIND, provider=provider.name)
            self._events.note(self.UP, who=provider.name, target=provider.uri)
        for target in targets:
            standing = self._standings.setdefault(target, Standing(target, provider.name, now))
            standing.seen, standing.period = now, provider.ping_seconds
            if not standing.is_waiting and now + SLACK >= standing.next_question:
                self._ask(standing, provider)

    def _ask(self, standing: Standing, provider: Provider) -> None:
        standing.is_waiting, standing.asked = True, self._clock.seconds()
        flow = standing.flow = self._reach(provider, standing.target)
        question = _question(standing.target, flow)
        self._pings.ask(
            question, flow, partial(self._answered, standing, provider), partial(self._unanswered, standing, provider)
        )

    def _not_found(self, failure: Failure, provider: Provider) -> None:
        if failure.check(NotFound) is None:
            log.failure("asking {kind} {provider} failed", failure, kind=self.KIND, provider=provider.name)
        elif provider.name not in self._nowhere:
            self._nowhere.add(provider.name)
            log.warn(
                "{kind} {provider} is not to be found: {why}", kind=self.KIND, provider=provider.name, why=failure.value
            )
            told = {"target": provider.uri, "why": f"it is not to be found: {failure.value}"}
            self._events.note(self.DOWN, who=provider.name, **told)

    def _answered(self, standing: Standing, provider: Provider, response: Response) -> None:
        """A target answered one question. 503 says that it wants no requests (RFC 3261 section 21.5.4)."""
        self._spoke(provider, standing.target)
        self._settle(standing, "it answers 503: it wants no requests" if response.status == 503 else "")

    def _unanswered(self, standing: Standing, provider: Provider, failure: TransactionFailure) -> None:
        """A target did not answer one question. It is asked again at once: a datagram may be lost, and a connection
        that broke is opened again."""
        self._settle(standing, "it does not answer" if failure.transport is None else failure.transport.reason)
        if self._round.running and standing.is_up and self._standings.get(standing.target) is standing:
            self._ask(standing, provider)

    def _settle(self, standing: Standing, why: str) -> None:
        """A question has its end: an answer, or the reason that there is none."""
        is_well, standing.why = not why, why
        standing.is_waiting = False
        was_up = standing.is_up
        standing.misses = 0 if is_well else standing.misses + 1
        standing.is_up = standing.misses < MISSES
        if standing.changed is None or was_up is not standing.is_up:
            standing.changed = self._clock.seconds()
        if is_well:
            standing.answered = self._clock.seconds()
        standing.next_question = standing.asked + standing.period if is_well else 0.0
        if was_up and not standing.is_up:
            self._went_down(standing)
        elif standing.is_up and not was_up:
            log.info("{target} answers again", target=standing.target.address)
            self._events.note(self.UP, who=standing.provider, target=standing.name)

    def _went_down(self, standing: Standing) -> None:
        log.warn("{target} does not answer and is used last", target=standing.target.address)
        told = {"target": standing.name, "why": standing.why}
        self._events.note(self.DOWN, who=standing.provider, **told)


def _question(target: Target, flow: Flow) -> Request:
    host = f"[{target.name}]" if ":" in target.name else target.name
    us = f"sip:{flow.advertised}"
    headers = Headers(
        (
            ("Max-Forwards", "70"),
            ("From", f"<{us}>;tag={new_token()}"),
            ("To", f"<sip:{host}>"),
            ("Call-ID", new_token() + new_token()),
            ("CSeq", "1 OPTIONS"),
            ("Contact", f"<{us};transport={flow.transport.value}>"),
            ("Accept", "application/sdp"),
        )
    )
    return Request("OPTIONS", f"sip:{host};transport={flow.transport.value}", headers)
