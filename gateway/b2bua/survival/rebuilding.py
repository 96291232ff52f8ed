"""Calls of the process before, rebuilt: both legs, their timers, the media that a relay still carries.

    journal -> FrozenCall -+-> Call, up again                          UP
                           +-> ended at once on both sides, recorded   ENDING
                           +-> BYE on both sides, nothing else         RECORDED
               FrozenOpening -> ended on both sides (given_up), recorded
                           `-> left, with the reason in the log: of a domain, provider or listener that is no more,
                               or written by another version

It is done before the listeners give their first message, so that no request of these calls finds nobody. Refreshes that
are due are spread: they would all leave at once. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.b2bua.call import Call
from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.border import border_at, uncharged
from gateway.b2bua.legs.leg import LegServices, LegSpec
from gateway.b2bua.local.phones_protection import PhonesProtection
from gateway.b2bua.protection import Protection
from gateway.b2bua.survival.frozen_call import FrozenCall
from gateway.b2bua.survival.frozen_leg import FrozenLeg
from gateway.b2bua.survival.frozen_opening import FrozenAnswer, FrozenOpening
from gateway.b2bua.survival.given_up import GivenUp
from gateway.b2bua.survival.kept_legs import KeptCallee, KeptCaller, KeptWays, NotRebuilt, thawed_leg
from gateway.b2bua.survival.learning import renew_soon
from gateway.config.model import Domain, Provider
from gateway.routing.router import Route, Router
from gateway.security.policy.peer_memory import Peer
from gateway.security.policy.verdict import Verdict
from gateway.state.call_record import CallDirection, CallRecord
from gateway.state.ended_calls import EndedCalls

log = Logger()

SPREAD_FROM: Final = 1.0
SPREAD_OVER: Final = 2.0
"""Seconds after the start in which refreshes that are due leave, for a few calls."""
A_SECOND: Final = 200
"""Of many calls, refreshes that leave in a second at most."""

HUNG_UP: Final = "hung up while the gateway was killed"
GIVEN_UP: Final = "not put through: the gateway was ended before the answer"


@attrs.define
class Rebuilt:
    """The calls of the process before, by how they go on."""

    up: list[Call] = attrs.Factory(list)
    left: list[CallRecord] = attrs.Factory(list)
    """Those that were up, and cannot be gone on with."""
    over: set[str] = attrs.Factory(set)
    """The ids of those that were being set up or hung up, and are over."""
    recorded: set[str] = attrs.Factory(set)
    """Of these, those that had their record."""
    given_up: set[str] = attrs.Factory(set)
    """Of these, those that were being set up."""


@attrs.frozen
class Rebuilding:
    """Rebuilds calls. `is_recorded` tells whether a call has its record in the CDR file."""

    services: LegServices
    calls: Calls
    router: Router
    ways: KeptWays
    ended: EndedCalls
    is_recorded: Callable[[str], bool]

    def rebuild(self, kept: Mapping[str, tuple[bytes, ...]], now: float) -> Rebuilt:
        """Take up the calls of a journal; `now` is its time. Never raises for one of them."""
        rebuilt = Rebuilt()
        for index, (call_id, pieces) in enumerate(kept.items()):
            frozen = FrozenCall.of(pieces, now)
            opening = FrozenOpening.of(pieces) if frozen is None else None
            if frozen is not None:
                self._take_up(frozen, self._wait(index, len(kept)), rebuilt)
            elif opening is not None:
                rebuilt.given_up.add(call_id)
                rebuilt.over.add(call_id)
                self._give_up(opening)
            else:
                log.warn("call {call_id} is not gone on with: another version has kept it", call_id=call_id)
        return rebuilt

    def _take_up(self, frozen: FrozenCall, wait: float, rebuilt: Rebuilt) -> None:
        """Go on with a call that was up, or with its end."""
        call_id = frozen.record.id
        if frozen.is_recorded or self.is_recorded(call_id):
            rebuilt.recorded.add(call_id)
            rebuilt.over.add(call_id)
            if not frozen.is_ending:
                return  # the file comes from a backup
        call = self._resumed(frozen, wait, is_over=call_id in rebuilt.over)
        if call is not None:
            self._put(call, frozen, wait, rebuilt)
        elif call_id not in rebuilt.over:
            rebuilt.left.append(frozen.record)
        self._turn_away(frozen.record, frozen.strays)

    def _resumed(self, frozen: FrozenCall, wait: float, *, is_over: bool) -> Call | None:
        """The call; None for one that cannot be gone on with, and the log says why."""
        try:
            return self._call(frozen, wait, is_over=is_over)
        except NotRebuilt as error:
            log.warn("call {call_id} is not gone on with: {reason}", call_id=frozen.record.id, reason=str(error))
        except Exception:
            log.failure("call {call_id} is not gone on with", call_id=frozen.record.id)
        return None

    def _put(self, call: Call, frozen: FrozenCall, wait: float, rebuilt: Rebuilt) -> None:
        if frozen.is_ending:
            rebuilt.over.add(call.id)
            call.end(HUNG_UP)
        else:
            rebuilt.up.append(call)
            renew_soon(call, wait)

    def _give_up(self, opening: FrozenOpening) -> None:
        """End a call that was being set up, and keep its record."""
        record = opening.record
        try:
            GivenUp(self.services, self.ways, self._provider(record)).end(opening)
        except NotRebuilt as error:
            log.warn("call {call_id} is not ended: {reason}", call_id=record.id, reason=str(error))
        except Exception:
            log.failure("call {call_id} is not ended", call_id=record.id)
        self._turn_away(record, opening.strays)
        if opening.is_recorded or self.is_recorded(record.id):
            return
        record.state, record.verdict, record.status, record.ending = "ended", Verdict.UNANSWERED, 500, GIVEN_UP
        record.ended_at = self.services.wall()
        if self.ended.takes(record, opening.asked.way.key.source):
            self.ended.keep(record)

    def _turn_away(self, record: CallRecord, strays: Iterable[FrozenAnswer]) -> None:
        """Hang up callees that answered when nobody waited for it. None of them costs the call or another one."""
        for stray in strays:
            try:
                GivenUp(self.services, self.ways, self._provider(record)).turn_away(stray)
            except NotRebuilt as error:
                reason = str(error)
                log.warn(
                    "call {call_id}: an answer too late is not hung up: {reason}", call_id=record.id, reason=reason
                )
            except Exception:
                log.failure("call {call_id}: an answer too late is not hung up", call_id=record.id)

    def _wait(self, index: int, count: int) -> float:
        return SPREAD_FROM + max(SPREAD_OVER, count / A_SECOND) * (index + 1) / count

    def _call(self, frozen: FrozenCall, wait: float, *, is_over: bool) -> Call:
        record, route, services = frozen.record, self._route(frozen), self.services
        ways = [self.ways.of(leg.way, route.provider) for leg in (frozen.caller, frozen.callee)]
        answered_ago = frozen.answered_ago
        began_ago = answered_ago + max((record.answered_at or record.started_at) - record.started_at, 0.0)
        seconds = services.clock.seconds()
        trunk = self.ways.trunk
        if route.is_local:
            protection: Protection = PhonesProtection(record, route, trunk.memory, services.clock)
        else:
            phone = Peer(frozen.protection["phone"])
            protection = Protection(record, route, "", phone, trunk.memory, services.clock)
        protection.resume(frozen.protection, began_ago)
        milestones = self.ended.milestones_of(record, seconds - began_ago)
        milestones.resume(seconds - answered_ago)
        call = Call(record, protection, services, _RECORDED if is_over else self.calls, milestones)
        border = border_at(route, services.own_hosts)
        borders = (attrs.evolve(border, route=route.back) if route.is_local else border, border)
        specs = [
            LegSpec(leg.name, leg.side, leg.wish, leg.user, own, reopen, leg.fork)
            for leg, own, (_, reopen) in zip((frozen.caller, frozen.callee), borders, ways, strict=True)
        ]
        call.caller = KeptCaller(specs[0], ways[0][0], services, call)
        callee = KeptCallee(specs[1], ways[1][0], services, call, frozen.callee.dialog.remote_tag)
        call.callee = callee
        self._answer_challenges(call, callee, route)
        for leg, kept in ((call.caller, frozen.caller), (callee, frozen.callee)):
            thawed_leg(leg, kept, wait)
        call.media_path.resume(frozen.told)
        call.resume(answered_ago)
        if not is_over:
            self.calls.resume(call)
            self._count(call, route, frozen.caller, (began_ago, answered_ago))
        return call

    def _domain(self, record: CallRecord) -> Domain:
        domain = self.router.domain_named(record.domain)
        if domain is None or domain.name != record.domain:
            raise NotRebuilt(f"there is no domain {record.domain} any more")
        return domain

    def _provider(self, record: CallRecord) -> Provider:
        provider = self.router.provider_of(self._domain(record))
        if record.direction is CallDirection.INTERNAL:
            return provider  # it has no part in it
        if provider.name != record.provider:
            raise NotRebuilt(f"the domain {record.domain} has another provider than {record.provider} now")
        return provider

    def _route(self, frozen: FrozenCall) -> Route:
        caller, callee = frozen.caller.way.phone, frozen.callee.way.phone
        domain, provider = self._domain(frozen.record), self._provider(frozen.record)
        terms = (domain, provider, frozen.request_uri, callee, frozen.is_emergency, caller, frozen.is_urgent)
        return Route(*terms, numbers=self.router.numbers_of(domain))

    def _answer_challenges(self, call: Call, callee: KeptCallee, route: Route) -> None:
        """Let the leg toward the provider answer its challenges, as the one before could."""
        answering = self.ways.trunk.answering
        if route.is_local:
            return
        if route.binding is not None:
            call.caller.credentials.answers = answering.for_called(route.domain, route.provider, route.binding.user)
        elif route.caller is not None:
            callee.credentials.answers = answering.for_called(route.domain, route.provider, route.caller.user)

    def _count(self, call: Call, route: Route, caller: FrozenLeg, ago: tuple[float, float]) -> None:
        """Let the limits of calls count it as up."""
        direction = call.record.direction
        if direction is not CallDirection.INBOUND and not route.is_emergency:
            limited = call.caller.spec.border.limited_caller(call.caller.flow)
            number = route.domain.number(call.record.callee_number)
            is_inside = direction is CallDirection.INTERNAL
            self.services.limits.resume(call.id, limited, uncharged(number) if is_inside else number, ago)


class _Recorded:
    """The table of a call with its record written, and its media given back elsewhere."""

    def call_settled(self, call: Call) -> None:
        """It was, in another process."""

    def call_ended(self, call: Call) -> None:
        """Nothing is left to do."""


_RECORDED: Final = _Recorded()
