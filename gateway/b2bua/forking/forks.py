"""The search for the callee among several phones of one user (RFC 3261 section 16.7, as a back-to-back user agent).

    groups of phones, best first -> a branch each, all of a group at once -> 2xx: the call's; the others are cancelled
          ^                                |-- 6xx: the end for all
          `-- none left, or its time over -'-- others: the best of them goes back, once no phone is left

Each phone has a leg, dialog and media of its own. The caller is told that some phone rings, once for each status, and
hears the early media of one: of the first that sends any, until its part has ended. Nothing of the other phones reaches
the relay. CANCEL tells the others why (RFC 3326): they show a call that was answered elsewhere and no missed one.

Here: the choice between the phones. Not here: one phone (branch), the rule for final answers (best).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall

from gateway.b2bua.across.offer_answer import presentable
from gateway.b2bua.call import Call
from gateway.b2bua.forking.best import PhoneOutcome, best
from gateway.b2bua.forking.branch import PhoneBranch, PhonePlace
from gateway.b2bua.forking.shared_offers import SharedOffers
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.leg import Fields
from gateway.b2bua.legs.media import has_sdp
from gateway.b2bua.setup import outcome
from gateway.b2bua.setup.first_request import Identity
from gateway.b2bua.setup.plan import Plan
from gateway.config.model import Forking
from gateway.media.relay import SdpWish
from gateway.registrar.binding import Binding
from gateway.routing.router import Route
from gateway.sip.message import Response
from gateway.state.call_record import ChainLink, ChainStep, LegName
from gateway.transport.flow import Flow

ELSEWHERE: Final = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
"""For the phones that ring when another has answered (RFC 3326 section 2)."""

LONGEST_MAKE: Final = 40
"""Characters of a phone's User-Agent in a record."""

Naming = Callable[[Binding], Identity]
"""The names of the gateway toward a phone."""

Planning = Callable[[Flow], Plan]
"""The plan by which the phone of a flow is reached."""


class RingingRoom(Protocol):
    """The room for phones that ring beside the first of their call, of all calls."""

    def take(self, wanted: int) -> int:
        """How many more phones may ring, up to `wanted`."""

    def give_back(self, count: int) -> None:
        """So many ring no longer."""


class Forks:
    """Rings the phones of one user for one call."""

    def __init__(
        self, call: Call, route: Route, phone_flow: Flow, naming: Naming, planning: Planning, room: RingingRoom
    ) -> None:
        """`phone_flow` reaches the first phone of the route."""
        self._call = call
        self._route = route
        self._phone_flow = phone_flow
        self._naming = naming
        self._planning = planning
        self._room = room
        self._beside = 0
        """Phones that take room of all calls."""
        self._offers = SharedOffers(call.media_path, call.caller)
        self._groups: list[list[PhoneBranch]] = []
        self._ringing: list[PhoneBranch] = []
        self._answers: list[PhoneOutcome] = []
        self._told: set[int] = set()
        """Provisional statuses that the caller has."""
        self._heard: CalleeLeg | None = None
        """The leg of the early media."""
        self._time: IDelayedCall | None = None
        self._is_over = False

    @property
    def call(self) -> Call:
        """The call that they ring for."""
        return self._call

    @property
    def id(self) -> str:
        """The call's name in logs."""
        return self._call.id

    def end(self, why: str, status: int = 500, fields: Fields = ()) -> None:
        """See `guarded`: end the call."""
        self._call.end(why, status, fields)

    def begin(self) -> None:
        """Ring the first phones."""
        reached = [*self._reached()]
        self._beside = self._room.take(len(reached) - 1)
        reached = reached[: 1 + self._beside]
        self._groups = self._grouped(reached)
        self._ring_next()

    def abandon(self, fields: Fields = ()) -> None:
        """Give up, or hang up, as the legs under way need."""
        self._stop_ringing(tuple(fields))
        if self._call.callee is not None:
            self._call.callee.abandon(fields)

    def offer(self, wish: SdpWish, then: Callable[[bytes], None]) -> None:
        """See `Ringing`."""
        self._offers.give(wish, then)

    def phone_progressed(self, leg: CalleeLeg, offered: bytes, response: Response) -> None:
        """Tell the caller, as far as it is news, and let it hear one phone."""
        shown = presentable(leg, offered, response)
        if (self._heard is None or self._heard.ended) and has_sdp(shown):
            self._heard = leg
        if self._heard is leg:
            self._told.add(response.status)
            outcome.progress(self._call, leg, shown)
        elif response.status not in self._told:
            self._told.add(response.status)
            outcome.ring(self._call, response)

    def phone_answered(self, phone: PhoneBranch, leg: CalleeLeg, response: Response) -> None:
        """This phone has the call, and no other."""
        self._note(phone, f"{response.status} {response.reason}")
        heard = self._heard
        self._stop_ringing(ELSEWHERE)
        if heard is not None and heard is not leg:
            # The caller may have got that phone's answer reliably, and hears of this one's by a re-INVITE then.
            leg.media.forks = {**heard.media.forks, **leg.media.forks}
        self._call.callee, leg.owner = leg, self._call
        outcome.accept(self._call, leg, response)

    def phone_refused(self, phone: PhoneBranch, answer: PhoneOutcome) -> None:
        """This phone is out: wait for the others, ring the next ones, or end the call."""
        if self._is_over:
            return
        self._note(phone, answer.words)
        self._answers.append(answer)
        if phone.leg is not None and phone.leg is self._heard:
            self._hear_nobody()
        if answer.status >= 600:
            self._decide()
        elif all(one.is_over for one in self._ringing):
            self._ring_next()

    def _reached(self) -> Iterator[tuple[Binding, Flow]]:
        """The phones that are connected, and the flow to each."""
        route, phones = self._route, self._call.services.phones
        if route.binding is not None:
            yield route.binding, self._phone_flow
        for binding in route.others:
            flow = phones.reach(binding)
            if flow is not None:
                yield binding, flow

    def _grouped(self, reached: Sequence[tuple[Binding, Flow]]) -> list[list[PhoneBranch]]:
        """A branch for each phone; those that ring together are in one group."""
        branches = []
        for number, (binding, flow) in enumerate(reached, 1):
            border = attrs.evolve(self._call.caller.spec.border, route=self._route.to(binding))
            place = PhonePlace(number, border, flow, self._naming(binding), self._planning(flow))
            branches.append((binding, PhoneBranch(self, place)))
            make = binding.user_agent[:LONGEST_MAKE] or "of no known make"
            what = f"the call, as phone {number} of {len(reached)} ({make})"
            self._call.record.add_reason(ChainLink(LegName.CALLEE, ChainStep.OFFERED, what))
        if self._route.domain.fork is Forking.SEQUENTIAL:
            return [[branch] for _, branch in branches]
        return [[branch for _, branch in group] for _, group in groupby(branches, lambda pair: pair[0].q)]

    @guarded
    def _time_over(self) -> None:
        """These phones have rung for long enough."""
        self._time = None
        for branch in self._ringing:
            if not branch.is_over:
                branch.end("No phone answered in time", 408)

    def _ring_next(self) -> None:
        """Ring the phones of the next group; without one, the call ends by the best of their answers."""
        self._stop_time()
        if not self._groups:
            self._decide()
            return
        self._ringing = self._groups.pop(0)
        if self._groups:
            clock, seconds = self._call.services.clock, self._route.domain.fork_seconds
            self._time = clock.callLater(seconds, self._time_over)
        for branch in [*self._ringing]:
            if not self._is_over:
                branch.begin()

    def _decide(self) -> None:
        """No phone will answer: the best of their answers goes back."""
        answers = self._answers
        self._stop_ringing((("Reason", f"SIP;cause={answers[-1].status}"),))
        chosen = best(answers)
        self._call.callee = chosen.leg
        outcome.refuse(self._call, chosen.refusal, chosen.response)

    def _hear_nobody(self) -> None:
        """The phone that was heard is out: another may be heard."""
        self._heard = None
        if self._call.exchange is not None:
            self._call.exchange.fail()
            self._call.exchange = None

    def _stop_ringing(self, fields: Fields) -> None:
        self._is_over = True
        self._stop_time()
        self._offers.forget()
        ringing = [branch for branch in self._ringing if not branch.is_over]
        self._ringing, self._groups, self._answers, self._heard = [], [], [], None
        for branch in ringing:
            branch.abandon(fields)
        self._room.give_back(self._beside)
        self._beside = 0

    def _stop_time(self) -> None:
        if self._time is not None and self._time.active():
            self._time.cancel()
        self._time = None

    def _note(self, phone: PhoneBranch, words: str) -> None:
        self._call.record.add_reason(ChainLink(LegName.CALLEE, ChainStep.ANSWERED, f"{words} (phone {phone.number})"))
