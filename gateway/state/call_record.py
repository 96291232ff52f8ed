"""The record of a call while it lives and after: its ladder, its chain of reasons, its outcome.

A record holds no key, no credential and no body: the ladder has start lines only. It is bounded, so that a call
with endless re-INVITEs cannot grow it. It decides nothing. Text of peers loses its secrets and is made clean as it
enters (`fit`), for every file, page and table that a record is written to.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from operator import add, attrgetter
from typing import Any, Final, NamedTuple, cast

import attrs

from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean
from gateway.observe.redaction import redacted

LADDER_STEPS: Final = 200
"""Steps kept of one call; later ones are counted only."""
_FULL: Final = 2 * LADDER_STEPS - 1
LONGEST: Final = 300
"""Characters of a text that a peer wrote: a URI or a reason phrase may have thousands."""
REMEMBERED: Final = 1000
"""Short texts that are known to be fit as they are: a peer's reason phrases could be more."""
SHORT: Final = 60
"""Characters of such a text."""
LET_IN: Final = frozenset({"180", "181", "182", "183", "480", "486", "600", "603"})
"""Statuses of a callee that was reached: it rings, or does not want to."""


CALLEE_SAYS_NO: Final = frozenset({*range(300, 400), 404, 408, 410, 480, 484, 485, 486, 600, 603, 604, 607, 608})
"""Final statuses that speak of the callee, or of the number dialled, and not of a fault on the way."""


class CallResult(StrEnum):
    """The end of a call, for counts that tell whether calls work."""

    ANSWERED = "answered"
    CANCELLED = "cancelled"
    """The caller gave up first."""
    CALLEE = "callee"
    """The callee said no, or nobody has that number."""
    FAILED = "failed"


def fit(text: str) -> str:
    """A peer's text as a record keeps it, cut. Secrets are taken out first: an escape in the middle would hide one."""
    if text.isascii() and text.lstrip("+").isalnum():  # a number, or a plain name: any secret has another sign by it
        return text[:LONGEST]
    return clean(redacted(text)[:LONGEST])


_FIT: Final[dict[str, str]] = {}


def fit_again(text: str) -> str:
    """The same for texts that come with each call: a method, a status and its reason, a step of a chain. Those that
    `fit` has once left as they were are remembered, so that nothing with a secret in it is."""
    if text in _FIT:
        return _FIT[text]  # the one of before, so that all records share it
    fitted = fit(text)
    if fitted == text and len(text) <= SHORT:
        if len(_FIT) >= REMEMBERED:
            _FIT.clear()
        _FIT[text] = text
    return fitted


class LegName(StrEnum):
    """The two legs of a call."""

    CALLER = "caller"
    CALLEE = "callee"


class CallDirection(StrEnum):
    """Which way a call runs, seen from the phones."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    INTERNAL = "internal"


class Passage(StrEnum):
    """Which way a message went, seen from the gateway."""

    RECEIVED = "received"
    SENT = "sent"


class LadderStep(NamedTuple):
    """One message of a ladder. A tuple, since each message of each call makes one, and few are ever looked at."""

    at: float
    """Seconds since the epoch."""
    leg: LegName
    passage: Passage
    what: str
    """The method, or status and reason phrase: never a header or a body."""
    fork: int = 0
    """The number of the phone, from 1, where several of one user ring; else 0."""


Passed = tuple[LegName, Passage, str, int]
"""A step but for its time."""


class _Passages(dict[Passed, Passed]):
    """Makes one of those that are equal: most steps of most calls are."""

    def __missing__(self, passed: Passed) -> Passed:
        leg, passage, what, fork = passed
        fitted = leg, passage, fit_again(what), fork
        if fitted == passed and len(what) <= SHORT:
            if len(self) >= REMEMBERED:
                self.clear()
            self[fitted] = fitted
        return fitted


_PASSAGES: Final = _Passages()


class ChainStep(StrEnum):
    """The questions that a leg's chain answers, in order."""

    ADMITTED = "admitted"
    OFFERED = "offered"
    POLICY = "policy"
    ANSWERED = "answered"
    OUTCOME = "outcome"


_OFFERED: Final = ChainStep.OFFERED


@attrs.frozen
class ChainLink:
    """One step of the explanation. Its text is for people and holds no key, address of a phone, or credential."""

    leg: str
    step: ChainStep
    what: str = attrs.field(converter=fit_again)
    code: str = ""


@attrs.define(on_setattr=attrs.setters.NO_OP)
class CallRecord:
    """One call as operators see it. Texts of peers are made fit at the making, and by the setter of `ending`: a hook on
    each attribute that is set would cost more than the attributes."""

    id: str
    direction: CallDirection
    domain: str
    _caller: str = attrs.field(converter=fit_again)
    _callee: str = attrs.field(converter=fit_again)
    started_at: float
    """Seconds since the epoch, as the two below."""
    answered_at: float | None = None
    ended_at: float | None = None
    seconds: float = 0.0
    """The answered length, once it has ended: time that passed, even where the clock of the other times was set."""
    state: str = "routing"
    verdict: str = ""
    reason: str = ""
    """The stable code that explains the verdict, such as CLEAR_PEER_NO_TLS."""
    _cause: str = attrs.field(default="", converter=fit_again)
    _ending: str = attrs.field(default="", converter=fit_again)
    status: int | None = None
    """The final status that the caller was given."""
    _steps: list[Any] = attrs.Factory(list)
    """Of the ladder: the time of each, and the rest of it, in turns. Two words and a number a step, of each call."""
    steps_left_out: int = 0
    chain: list[ChainLink] = attrs.Factory(list)
    tls: dict[str, str] = attrs.Factory(dict)
    """The TLS version and cipher suite of each leg that had one, in our words."""
    media: dict[str, Json] | None = None
    """The relay's counters at the end of the call."""
    is_caller_known: bool = False
    """Whether the caller is registered, or a proved peer of the provider's."""
    provider: str = ""
    """The name of the provider that the call goes to or comes from."""
    is_emergency: bool = False
    """Whether an emergency number was dialled."""
    mos: float | None = None
    """The mean opinion score of the direction that was heard worse, 1 to 5; None where none is known."""
    caller_number: str = attrs.field(default="", converter=fit_again)
    """The caller's number in E.164, or its user part where that is none."""
    callee_number: str = attrs.field(default="", converter=fit_again)
    """The same of the number dialled, or of the phone that was called."""

    # Read by C: each of these is looked at several times a call.
    caller = cast(str, property(attrgetter("_caller"), doc="The calling party."))
    callee = cast(str, property(attrgetter("_callee"), doc="The called party."))

    @property
    def ladder(self) -> list[LadderStep]:
        """The messages that went by, as far as they are kept."""
        return [LadderStep(*step) for step in self.steps()]

    def steps(self) -> list[tuple[float, LegName, Passage, str, int]]:
        """The same without names: each call is written down several times."""
        return [*map(add, zip(self._steps[::2], strict=True), self._steps[1::2])]

    def resume_ladder(self, steps: Iterable[LadderStep]) -> None:
        """Go on with the messages that another process has seen."""
        self._steps = [part for step in steps for part in (step.at, _PASSAGES[step[1:]])]

    @property
    def ending(self) -> str:
        """The cause or party that ended the call."""
        return self._ending

    @ending.setter
    def ending(self, why: str) -> None:
        self._ending = fit_again(why)

    @property
    def cause(self) -> str:
        """The reason of this one call, in words: with the address, name or answer that it was about."""
        return self._cause

    @cause.setter
    def cause(self, why: str) -> None:
        self._cause = fit(why)

    @property
    def is_vouched(self) -> bool:
        """Whether somebody who is known let the call in: its caller is known, or its callee was reached."""
        return (
            self.is_caller_known
            or self.answered_at is not None
            or any(leg is LegName.CALLEE and what[:3] in LET_IN for leg, _, what, _ in self._steps[1::2])
        )

    @property
    def result(self) -> CallResult:
        """How it came out, once it has ended. A code says that something failed, with any status."""
        if self.answered_at is not None:
            return CallResult.ANSWERED
        if self.status == 487:
            return CallResult.CANCELLED
        return CallResult.CALLEE if self.status in CALLEE_SAYS_NO and not self.reason else CallResult.FAILED

    def note_terms(self, leg: LegName, terms: str) -> None:
        """Note the TLS version and cipher suite of a leg's hop, if it has any; of one that came again, both."""
        before = self.tls.get(str(leg), "")
        if terms and terms not in before:
            self.tls[str(leg)] = f"{before}, then {terms}" if before else terms

    def add_step(self, at: float, leg: LegName, passage: Passage, what: str, fork: int = 0) -> None:
        """Note that a message went by: a method, or a status and its reason; `fork` is the number of the phone, where
        several ring."""
        steps = self._steps
        if steps[_FULL:]:
            self.steps_left_out += 1
        else:
            steps += (at, _PASSAGES[leg, passage, what, fork])

    def add_reason(self, link: ChainLink) -> None:
        """Add a link to the chain that explains the verdict; of one attempt, none is there twice."""
        for one in reversed(self.chain):
            if one.what == link.what and one == link:
                return
            if one.step is _OFFERED and one.leg == link.leg:
                break  # where this attempt began
        self.chain.append(link)

    def put_reason(self, link: ChainLink, former: ChainLink | None) -> None:
        """Add a link in the place of one that it goes on from, if there is one."""
        if former in self.chain:
            self.chain[self.chain.index(former)] = link
        else:
            self.chain.append(link)

    def summary(self) -> dict[str, Json]:
        """The call in a line, for lists."""
        return {
            "id": self.id,
            "direction": str(self.direction),
            "domain": self.domain,
            "caller": self.caller,
            "callee": self.callee,
            "state": self.state,
            "verdict": self.verdict,
            "reason": self.reason,
            "cause": self.cause,
            "provider": self.provider,
            "emergency": self.is_emergency,
            "started_at": self.started_at,
            "answered_at": self.answered_at,
            "ended_at": self.ended_at,
            "seconds": self.seconds,
            "status": self.status,
            "ending": self.ending,
            "mos": self.mos,
            "caller_number": self.caller_number,
            "callee_number": self.callee_number,
        }

    def as_json(self) -> dict[str, Json]:
        """Everything, with the ladder and the chain."""
        chain: list[Json] = [
            {"leg": str(link.leg), "step": link.step, "what": link.what, "code": link.code} for link in self.chain
        ]
        ladder: list[Json] = [
            {"at": at, "leg": str(leg), "direction": str(passage), "what": what}
            if not fork
            else {"at": at, "leg": str(leg), "direction": str(passage), "what": what, "fork": fork}
            for at, leg, passage, what, fork in self.steps()
        ]
        return {
            **self.summary(),
            "ladder": ladder,
            "steps_left_out": self.steps_left_out,
            "chain": chain,
            "media": self.media,
            "tls": {**self.tls},
        }
