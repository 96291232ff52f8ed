"""The pages of roll-outs: all that are remembered, and one with its phones as they change.

    GET  /rollouts                        the list
    GET  /rollouts/7                      one: how far it is, its phones, and the way out of each failure
    GET  /rollouts/7/stop                 or roll-back: the question, in numbers
    POST /rollouts/7/pause                resume, stop, retry, roll-back; phone -> 303 to the page

Events of the gateway have the page drawn again while it is looked at. A roll-out has up to 50,000 phones, and calls
must not wait while they are counted: AT_ONCE are, in each turn. Not here: the API (rollout_routes.py), the course
(registrar/enablement).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, islice
from typing import Final

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.enablement.rollout_office import RolloutOffice
from gateway.admin.enablement.rollout_routes import RolloutRoutes
from gateway.admin.hardening import Rejected, see_other
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import Role, caller_of
from gateway.admin.pages.desk import LIKINGS, Desk, cleaned
from gateway.admin.pages.phrases import count
from gateway.admin.routes import HttpRoute
from gateway.admin.turns import pieces
from gateway.registrar.enablement.phone_reasons import WORDS, PhoneReason
from gateway.registrar.enablement.roll_out import Goal, RollOut, RolloutPhone, RolloutStage
from gateway.registrar.enablement.rollout_table import ASKED, NEED_A_LOOK, TABLE, PhoneEvent, PhoneState

PAGE: Final = "/rollouts"
ROWS: Final = 200
"""Phones on a page at most, those first that need a look."""
LISTED: Final = 50
"""Roll-outs in the list."""
AT_ONCE: Final = 500
"""Phones that are counted in one turn: a quarter of a millisecond."""

_RIGHT: Final = (PhoneState.CONFIRMED, PhoneState.RETURNED)
_FIRST: Final = (*NEED_A_LOOK, PhoneState.NOTIFIED, PhoneState.ACCEPTED, PhoneState.FETCHED, PhoneState.ROLLING_BACK)
_RANKS: Final = {state: rank for rank, state in enumerate(_FIRST)}
_GOALS: Final = {
    Goal.TLS: "phones come over TLS",
    Goal.TLS_REQUIRED: "phones come over TLS, and in clear no more",
    Goal.RESYNC: "phones fetch their configuration",
}
_STAGES: Final = {
    RolloutStage.PLANNED: "unknown",
    RolloutStage.RUNNING: "up",
    RolloutStage.PAUSED: "degraded",
    RolloutStage.STOPPED: "down",
    RolloutStage.ROLLING_BACK: "degraded",
    RolloutStage.DONE: "up",
}
_BUTTONS: Final = {
    RolloutStage.PLANNED: ("resume", "stop"),
    RolloutStage.RUNNING: ("pause", "stop"),
    RolloutStage.PAUSED: ("resume", "stop"),
    RolloutStage.STOPPED: ("retry",),
    RolloutStage.ROLLING_BACK: ("stop",),
    RolloutStage.DONE: ("retry",),
}
_WORDS: Final = {"pause": "Pause", "resume": "Go on", "stop": "Stop", "retry": "Try again", "roll-back": "Roll back"}
_QUESTIONS: Final = ("stop", "roll-back")
"""Changes that are asked about first."""


@attrs.frozen
class RolloutPages:
    """The answers, and the routes that lead to them."""

    office: RolloutOffice
    changes: RolloutRoutes
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (
            HttpRoute("GET", PAGE, self.all, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("GET", f"{PAGE}/{{number}}", self.one, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("GET", f"{PAGE}/{{number}}/{{action}}", self.ask, Role.OPERATOR, drawn_by=LIKINGS),
            HttpRoute("POST", f"{PAGE}/{{number}}/{{action}}", self.change, Role.OPERATOR, is_form=True),
        )

    async def all(self, request: IRequest) -> bytes:
        """The roll-outs that are remembered."""
        rows = [_summary(one, await self._count(one)) for one in islice(self.office.rollouts.list, LISTED)]
        return await self.desk.draw(request, "rollouts/all.html", "Roll-outs", cleaned({"rows": rows}))

    async def one(self, request: IRequest, number: str) -> bytes:
        """One roll-out, with its phones."""
        rollout = self.office.found(number)
        counts = await self._count(rollout)
        await self.desk.turns.next()
        more = {"may_change": caller_of(request).may_operate}
        return await self.desk.draw(
            request, "rollouts/one.html", "Roll-outs", {**rollout_view(rollout, counts), **more}
        )

    async def ask(self, request: IRequest, number: str, action: str) -> bytes:
        """The question before phones are left out or led back: the effects, in numbers. Raises Rejected."""
        rollout = self.office.found(number)
        if action not in _QUESTIONS or action not in _buttons(rollout):
            raise Rejected(404, f"There is nothing to ask about {action[:20]} of this roll-out.")
        counts = await self._count(rollout)
        view = {
            "rollout": cleaned(_summary(rollout, counts)),
            "action": action,
            "words": _WORDS[action],
            "effects": cleaned(_effects(rollout, action, counts)),
        }
        return await self.desk.draw(request, "rollouts/ask.html", "Roll-outs", view)

    def change(self, request: IRequest, number: str, action: str) -> bytes:
        """Carry out a change; then the page. Raises Rejected."""
        name, who = form_of(request).get("phone", ""), caller_of(request).author
        rollout, _ = self.changes.carry_out(action, number, name, who)
        return see_other(request, f"{PAGE}/{rollout.number}")

    async def _count(self, rollout: RollOut) -> PhoneCounts:
        """Count its phones, some in each turn."""
        counts = PhoneCounts()
        async for piece in pieces(rollout.phones, AT_ONCE, self.desk.turns.next):
            counts.add(piece)
        return counts


@attrs.frozen
class PhoneCounts:
    """The phones of a roll-out, counted, and those that its page shows."""

    states: Counter[PhoneState] = attrs.field(factory=Counter)
    reasons: set[PhoneReason] = attrs.field(factory=set)
    ranked: list[list[RolloutPhone]] = attrs.field(factory=lambda: [[] for _ in range(len(_FIRST) + 1)])
    """Those that need a look first; ROWS of each rank at most."""

    def add(self, phones: Sequence[RolloutPhone]) -> None:
        """Count some more."""
        self.states.update(phone.state for phone in phones)
        self.reasons.update({phone.reason for phone in phones})
        for phone in phones:
            of_rank = self.ranked[_RANKS.get(phone.state, len(_FIRST))]
            if len(of_rank) < ROWS:
                of_rank.append(phone)

    @property
    def right(self) -> int:
        """Those that are as wanted."""
        return self.of(*_RIGHT)

    def of(self, *states: PhoneState) -> int:
        """Those in one of these states."""
        return sum(self.states[state] for state in states)


def rollout_view(rollout: RollOut, counts: PhoneCounts) -> dict[str, object]:
    """The values of the page of one roll-out."""
    shown = [*islice(chain.from_iterable(counts.ranked), ROWS)]
    reasons = sorted(reason for reason in counts.reasons if WORDS[reason].remedy)
    return {
        "rollout": cleaned(_summary(rollout, counts)),
        "sentence": _sentence(rollout, counts),
        "states": [(_spelt(state), counts.states[state]) for state in PhoneState if counts.states[state]],
        "right": counts.right,
        "rows": cleaned([_row(one) for one in shown]),
        "more": len(rollout.phones) - len(shown),
        "remedies": [{"code": str(one), "words": WORDS[one].words, "remedy": WORDS[one].remedy} for one in reasons],
        "buttons": [(name, _WORDS[name], name in _QUESTIONS) for name in _buttons(rollout)],
    }


def _effects(rollout: RollOut, action: str, counts: PhoneCounts) -> list[str]:
    """The effects of a change in numbers, a sentence each."""
    return _when_stopped(counts) if action == "stop" else _when_rolled_back(rollout, counts)


def _when_stopped(counts: PhoneCounts) -> list[str]:
    asked, waiting = counts.of(*ASKED), counts.of(PhoneState.WAITING)
    told = [f"{_phones(waiting)} that {'waits for its' if waiting == 1 else 'wait for their'} turn will not be asked."]
    if asked:
        told.append(f"{_phones(asked)} with an order {'is' if asked == 1 else 'are'} followed to the end.")
    return [*told, "Phones that have changed stay as they are. Try again asks those that were left out."]


def _when_rolled_back(rollout: RollOut, counts: PhoneCounts) -> list[str]:
    after = {state: TABLE[state, event][1] for state, event in TABLE if event is PhoneEvent.ROLL_BACK}
    quiet = counts.of(*(state for state in after if after[state] is PhoneState.ROLLED_BACK))
    ordered, told = counts.of(*after) - quiet, []
    if ordered:
        told.append(f"{_phones(ordered)} that {_was(ordered)} asked will be asked to go back.")
    if quiet:
        told.append(f"{_phones(quiet)} that {_was(quiet)} never asked will not be.")
    if rollout.security_before:
        told.append(f"The domain is switched back to {rollout.security_before}.")
    return [*told, "From then on these phones may register in clear again. Calls that are up go on."]


def _phones(number: int) -> str:
    return count(number, "phone")


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _spelt(state: PhoneState | RolloutStage) -> str:
    return str(state).replace("_", " ")


def _buttons(rollout: RollOut) -> Sequence[str]:
    can_go_back = rollout.goal is not Goal.RESYNC and rollout.stage not in (
        RolloutStage.ROLLING_BACK,
        RolloutStage.PLANNED,
    )
    return (*_BUTTONS[rollout.stage], *(("roll-back",) if can_go_back else ()))


def _sentence(rollout: RollOut, counts: PhoneCounts) -> str:
    bad = counts.of(*NEED_A_LOOK)
    told = f"{counts.right:,} of {_phones(len(rollout.phones))} are as wanted"
    told += f", {bad:,} need a look." if bad else "."
    if rollout.stage is RolloutStage.PAUSED:
        told += f" It is paused: {rollout.why}."
    return str(cleaned(told))


def _summary(rollout: RollOut, counts: PhoneCounts) -> dict[str, object]:
    return {
        "number": rollout.number,
        "domain": rollout.domain,
        "goal": _GOALS[rollout.goal],
        "stage": _spelt(rollout.stage),
        "shape": _STAGES[rollout.stage],
        "who": rollout.who,
        "began": rollout.began,
        "wave": rollout.wave + 1,
        "waves": rollout.waves,
        "phones": len(rollout.phones),
        "right": counts.right,
        "bad": counts.of(*NEED_A_LOOK),
    }


def _row(phone: RolloutPhone) -> dict[str, object]:
    words = WORDS[phone.reason]
    shape = "down" if phone.state in NEED_A_LOOK else "up" if phone.state in _RIGHT else "unknown"
    return {
        "number": phone.number,
        "name": phone.address.removeprefix("sip:"),
        "model": phone.model or phone.make,
        "wave": phone.wave + 1,
        "state": _spelt(phone.state),
        "shape": shape,
        "words": words.words,
        "detail": phone.detail,
        "since": phone.since,
        "is_bad": phone.state in NEED_A_LOOK,
    }
