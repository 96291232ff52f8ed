"""The API of roll-outs: planned, begun, seen, paused, resumed, stopped, tried again, rolled back.

    POST /api/v1/rollouts                       {"domain": "example.com", "dry_run": true}: the plan; else it begins
    GET  /api/v1/rollouts                       all that are remembered, the latest first, without their phones
    GET  /api/v1/rollouts/7?state=failed        one, with a page of its phones
    POST /api/v1/rollouts/7/pause               resume, stop, retry, roll-back; {"phone": "101"} for one alone

The author of each change stands in the audit. Not here: the checks (rollout_office.py), the course
(registrar/enablement), the page (rollout_pages.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.enablement.plan_answers import OutlookAnswer, PlannedPhoneAnswer, outlook_of, planned
from gateway.admin.enablement.rollout_office import RolloutOffice, RolloutWish
from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_change, read_query, said
from gateway.admin.v1.questions import Nothing
from gateway.admin.v1.resources import sent
from gateway.config.model import PhonesSecurity, Security
from gateway.config.switches import NoSuchDomain
from gateway.registrar.enablement.phone_reasons import WORDS
from gateway.registrar.enablement.roll_out import RollOut, RolloutPhone
from gateway.registrar.enablement.rollout_table import PhoneState
from gateway.registrar.enablement.rollouts import NotPossible
from gateway.state.audit import AuditLog, Author

Work = Callable[[RollOut, RolloutPhone | None, Author], int]
"""Carries out a change of a roll-out, or of one phone of it, for its author; how many phones it is about."""
MOST = 500
"""Roll-outs in a list."""


@attrs.frozen
class RolloutChange:
    """A roll-out to begin."""

    domain: str = said("The domain.")
    security: Security | None = said("Its security from now on; left out: as it is.", None)
    phones: PhonesSecurity | None = said("The goal of the phones' own leg; left out: as the file says.", None)
    only: str = said("A glob: the users, or user@domain, that it is about; empty: all.", "")
    at: str = said("Its begin: 22:00, or 2026-12-01T22:00; empty: at once.", "")
    dry_run: bool = said("Whether only the plan is wanted.", False)

    def wish(self) -> RolloutWish:
        """The wish of the office."""
        return RolloutWish(self.domain, self.security, self.phones, self.only, self.at)


@attrs.frozen
class OneRolloutQuery:
    """The phones of a roll-out that are wanted."""

    state: PhoneState | None = said("Those in a state.", None)
    limit: int = said("Phones in the answer.", 200, 0, 1_000)
    after: int = said("Those after a phone, by its number.", 0, 0)


@attrs.frozen
class RolloutPhoneChange:
    """The phone of a roll-out that a change is about."""

    phone: str = said("Its user, address, device, or number there; empty: all.", "")


@attrs.frozen
class RolloutPhoneAnswer:
    """A phone of a roll-out."""

    number: int = said("Its place in the roll-out.")
    address_of_record: str = said("The first of its addresses.")
    device: str = said("Its device, as the inventory names it.")
    make: str = said("Its make in the list of orders, or other.")
    model: str = said("Its model, as it says.")
    wave: int = said("Its wave, from 1.")
    state: PhoneState = said("Its state.")
    reason: str = said("Why it is there, as a code; empty: nothing is to be said.")
    words: str = said("The same for people.")
    remedy: str = said("The way out.")
    detail: str = said("The phone's own words.")
    since: Moment | None = said("Since when it is in this state.")
    attempts: int = said("Orders that it was sent.")


@attrs.frozen
class RolloutAnswer:
    """A roll-out."""

    number: int = said("Its number.")
    domain: str = said("Its domain.")
    goal: str = said("tls, tls_required, or resync: files are fetched, and that is all.")
    stage: str = said("planned, running, paused, stopped, rolling_back or done.")
    why: str = said("Why it is paused or stopped.")
    who: str = said("Its author.")
    began: Moment = said("When it was ordered.")
    at: Moment | None = said("When the first phone may be asked.")
    wave: int = said("The wave under way, from 1.")
    waves: int = said("How many there are.")
    phones: int = said("How many phones it is about.")
    states: dict[str, int] = said("How many of them are in each state.")
    rows: tuple[RolloutPhoneAnswer, ...] = said("A page of its phones.", ())


@attrs.frozen
class BegunAnswer:
    """A plan, or a roll-out that has begun."""

    domain: str = said("The domain.")
    security: str = said("Its security, once it has begun.")
    rollout: RolloutAnswer | None = said("The roll-out; null for a plan, or where phones are left alone.", None)
    plan: tuple[PlannedPhoneAnswer, ...] = said("The phones of a plan, 1,000 at most.", ())
    outlook: OutlookAnswer | None = said("The calls of a plan's phones as they would be; null where it begins.", None)


@attrs.frozen
class RolloutDone:
    """The effect of a change."""

    rollout: RolloutAnswer = said("The roll-out.")
    phones: int = said("Phones that the change is about.")


class RolloutRoutes:
    """The routes of roll-outs."""

    def __init__(self, office: RolloutOffice, audit: AuditLog, wall: Callable[[], float]) -> None:
        self._office = office
        self._audit = audit
        self._wall = wall
        self._actions: Mapping[str, Work] = {
            "pause": self.pause,
            "resume": self.resume,
            "stop": self.stop,
            "retry": self.retry,
            "roll-back": self.roll_back,
        }

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        path, every = f"{PREFIX}rollouts", tuple[RolloutAnswer, ...]
        return (
            HttpRoute("GET", path, self.all, Role.VIEWER, query=Nothing, schema=every),
            HttpRoute("POST", path, self.begin, Role.OPERATOR, change=RolloutChange, schema=BegunAnswer),
            HttpRoute("GET", f"{path}/{{number}}", self.one, Role.VIEWER, query=OneRolloutQuery, schema=RolloutAnswer),
            *(self._change(name, work) for name, work in self._actions.items()),
        )

    def all(self, request: IRequest) -> bytes:
        """The roll-outs that are remembered, the latest first."""
        read_query(Nothing, request, 0)
        return sent(request, [attrs.asdict(_answer(one)) for one in islice(self._office.rollouts.list, MOST)])

    def one(self, request: IRequest, number: str) -> bytes:
        """One roll-out, with its phones."""
        wanted, rollout = read_query(OneRolloutQuery, request, self._wall()), self._office.found(number)
        rows = (one for one in rollout.phones if one.number > wanted.after and wanted.state in (None, one.state))
        page = tuple(map(phone_answer, islice(rows, wanted.limit)))
        return sent(request, attrs.asdict(attrs.evolve(_answer(rollout), rows=page)))

    async def begin(self, request: IRequest) -> bytes:
        """Begin a roll-out, or see the plan of one."""
        change, who = read_change(RolloutChange, request), caller_of(request).author
        if change.dry_run:
            plan = await self._office.plan(change.wish())
            self._audit.write(who, "probe", kind="domain", domain=plan.domain.name, security=str(plan.security))
            phones = tuple(map(planned, plan.phones[:1_000]))
            answer = BegunAnswer(plan.domain.name, str(plan.security), plan=phones, outlook=outlook_of(plan))
            return sent(request, attrs.asdict(answer))
        rollout = await self._office.begin(change.wish(), who)
        number = None if rollout is None else rollout.number
        said_of = {"security": None if change.security is None else str(change.security), "only": change.only}
        self._audit.write(who, "rollout", domain=change.domain, rollout=number, **said_of)
        security = str(change.security or "")
        begun = None if rollout is None else _answer(rollout)
        return sent(request, attrs.asdict(BegunAnswer(change.domain, security, begun)))

    def pause(self, rollout: RollOut, phone: RolloutPhone | None, who: Author) -> int:
        """Ask no further phone until it is resumed."""
        _for_all(phone)
        self._office.rollouts.pause(rollout, f"by {who}")
        return len(rollout.phones)

    def resume(self, rollout: RollOut, phone: RolloutPhone | None, who: Author) -> int:
        """Go on, or begin before the time; failures are counted anew."""
        _for_all(phone)
        self._office.rollouts.resume(rollout)
        return len(rollout.phones)

    def stop(self, rollout: RollOut, phone: RolloutPhone | None, who: Author) -> int:
        """Ask no further phone, for good."""
        _for_all(phone)
        self._office.rollouts.stop(rollout, f"by {who}")
        return len(rollout.phones)

    def retry(self, rollout: RollOut, phone: RolloutPhone | None, who: Author) -> int:
        """Ask phones again that failed, were not reached or left out."""
        return self._office.rollouts.retry(rollout, rollout.phones if phone is None else [phone])

    def roll_back(self, rollout: RollOut, phone: RolloutPhone | None, who: Author) -> int:
        """Lead phones back; all of them, and the domain's security as well, where no phone is named."""
        return self._office.rollouts.roll_back(rollout, None if phone is None else [phone], who)

    def carry_out(self, action: str, number: str, name: str, who: Author) -> tuple[RollOut, int]:
        """Carry out a change of a roll-out, or of the phone of it that a name means, with an entry in the audit: the
        roll-out, and how many phones the change is about. Raises Rejected."""
        rollout = self._office.found(number)
        phone = self._office.phone_of(rollout, name) if name else None
        work = self._actions.get(action)
        if work is None:
            raise Rejected(404, f"There is no change {action[:20]} of roll-outs.")
        try:
            phones = work(rollout, phone, who)
        except (NotPossible, NoSuchDomain) as error:
            raise Rejected(409, str(error)) from None
        except OSError as error:
            raise Rejected(500, f"{rollout.domain} cannot be switched: {error.strerror}.") from None
        about = None if phone is None else phone.address
        self._audit.write(who, f"rollout {action}", domain=rollout.domain, rollout=rollout.number, peer=about)
        return rollout, phones

    def _change(self, action: str, work: Work) -> HttpRoute:
        def answer(request: IRequest, number: str) -> bytes:
            change, who = read_change(RolloutPhoneChange, request), caller_of(request).author
            rollout, phones = self.carry_out(action, number, change.phone, who)
            return sent(request, attrs.asdict(RolloutDone(_answer(rollout), phones)))

        answer.__doc__ = work.__doc__
        path = f"{PREFIX}rollouts/{{number}}/{action}"
        return HttpRoute("POST", path, answer, Role.OPERATOR, change=RolloutPhoneChange, schema=RolloutDone)


def _for_all(phone: RolloutPhone | None) -> None:
    if phone is not None:
        raise Rejected(400, "That is about the whole roll-out: name no phone.")


def _answer(rollout: RollOut) -> RolloutAnswer:
    return RolloutAnswer(
        rollout.number,
        rollout.domain,
        str(rollout.goal),
        str(rollout.stage),
        rollout.why,
        rollout.who,
        Moment(rollout.began),
        Moment(rollout.at) if rollout.at else None,
        rollout.wave + 1,
        rollout.waves,
        len(rollout.phones),
        {str(state): number for state, number in rollout.by_state().items()},
    )


def phone_answer(phone: RolloutPhone) -> RolloutPhoneAnswer:
    """A phone of a roll-out."""
    words = WORDS[phone.reason]
    return RolloutPhoneAnswer(
        phone.number,
        phone.address,
        phone.key,
        phone.make,
        phone.model,
        phone.wave + 1,
        phone.state,
        str(phone.reason),
        words.words,
        words.remedy,
        phone.detail,
        Moment(phone.since) if phone.since else None,
        phone.attempts,
    )
