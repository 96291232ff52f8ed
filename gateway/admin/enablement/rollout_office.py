"""The office of roll-outs: wishes of operators are checked, planned and carried out.

    RolloutWish -> checked -> phones gathered, a few in each turn -> RolloutPlan (dry run, with a probe of the provider)
                                                                 `-> kept -> domain switched -> begun

A house may have thousands of phones, and calls must not wait while they are gathered: ``rest`` is awaited every few of
them. Here: the checks and the order of things. Not here: HTTP (rollout_routes.py, resync_routes.py), the course
(registrar/enablement).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from gateway.admin.enablement.named_phones import AT_ONCE, NamedPhones
from gateway.admin.hardening import Rejected
from gateway.admin.turns import pieces
from gateway.b2bua.probe.jobs.probe_order import ProbeRefused
from gateway.b2bua.probe.outlook.call_outlook import CallOutlook
from gateway.b2bua.probe.outlook.domain_outlook import DomainOutlook, Outlooks, Reckoning
from gateway.config.model import Domain, Listener, PhonesSecurity, Security, Side
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.book import RollOutBook
from gateway.registrar.enablement.order_exchange import OrderOutcome
from gateway.registrar.enablement.phone_orders import OTHER
from gateway.registrar.enablement.roll_out import Goal, PhoneList, RollOut, RolloutPhone, RolloutStage, is_meant
from gateway.registrar.enablement.rollouts import NotPossible, RollOuts
from gateway.registrar.enablement.surroundings import RolloutSurroundings
from gateway.registrar.sightings import HARDWARE, key_of
from gateway.state.audit import Author

LATEST: Final = timedelta(days=366)
PHONES: Final = 50_000
"""Phones of one roll-out at most."""


@attrs.frozen
class RolloutWish:
    """A roll-out that somebody wants."""

    domain: str
    security: Security | None = None
    """The domain's security from now on; None: as it is."""
    phones: PhonesSecurity | None = None
    """The goal of the phones' own leg; None: as the file says."""
    only: str = ""
    at: str = ""
    resync: bool = False
    """Phones fetch their files, and that is all."""
    reboot: bool = False


@attrs.frozen
class PhoneOutlook:
    """A phone of a plan, and its prospects."""

    phone: RolloutPhone
    order: str
    """The Event that it would be sent; empty: none is needed."""
    words: str
    call: CallOutlook | None
    """The verdict of its calls; None: it is registered no more."""


@attrs.frozen
class RolloutPlan:
    """A roll-out that was not begun."""

    domain: Domain
    goal: Goal | None
    """None: the phones' leg stays as it is."""
    security: Security
    phones: tuple[PhoneOutlook, ...]
    outlook: DomainOutlook
    reckoning: Reckoning


@attrs.frozen
class OrderedPhone:
    """A phone that was ordered by hand, and the outcome."""

    binding: Binding
    make: str
    outcome: OrderOutcome


@attrs.frozen
class OfficeMeans:
    """The means of the office besides roll-outs."""

    rest: Callable[[], Awaitable[None]]
    """Gives a moment to calls."""
    outlooks: Outlooks
    """Tell the verdicts that calls would get."""


class RolloutOffice:
    """Carries out wishes."""

    def __init__(self, rollouts: RollOuts, book: RollOutBook, around: RolloutSurroundings, means: OfficeMeans) -> None:
        self.rollouts = rollouts
        self._book = book
        self._around = around
        self._rest = means.rest
        self._named = NamedPhones(around, means.rest)
        self._outlooks = means.outlooks

    async def plan(self, wish: RolloutWish) -> RolloutPlan:
        """The roll-out as it would be. Raises Rejected."""
        domain = self._domain(wish.domain)
        goal = self._goal(wish, domain)
        phones = await self._phones(wish, domain)
        security = wish.security or domain.security
        try:
            outlook = await self._outlooks.look(attrs.evolve(domain, security=security))
        except ProbeRefused as refused:
            raise Rejected(refused.status, str(refused)) from None
        reckoning, outlooks = Reckoning(goal in (Goal.TLS, Goal.TLS_REQUIRED)), []
        async for piece in pieces(phones, AT_ONCE, self._rest):
            outlooks += [self._outlook(phone, goal, outlook, reckoning) for phone in piece]
        return RolloutPlan(domain, goal, security, tuple(outlooks), outlook, reckoning)

    async def begin(self, wish: RolloutWish, who: Author) -> RollOut | None:
        """Begin a roll-out; None where the wish is about the provider's leg alone. Raises Rejected."""
        domain = self._domain(wish.domain)
        goal = self._goal(wish, domain)
        self._check_free(domain)
        before = domain.security
        if goal is None:
            self._switch(domain, wish.security, who)
            return None
        at = self._moment(wish.at)
        phones = await self._phones(wish, domain)
        if not phones:
            raise Rejected(409, f"No phone of {domain.name} is registered that the roll-out could be about.")
        rollout = RollOut(
            self.rollouts.list.reserve(), domain.name.lower(), goal, str(who), self._around.clock.now(), at=at or 0.0
        )
        rollout.stage = RolloutStage.RUNNING if at is None else RolloutStage.PLANNED
        rollout.reboot, rollout.phones = wish.reboot, phones
        for index, phone in enumerate(phones):
            if index % AT_ONCE == 0:
                await self._rest()
            self._book.keep_phone(rollout, phone)
        try:
            self._check_free(domain)  # somebody may have been faster
            if self._switch(domain, wish.security, who):
                rollout.security_before = str(before)
            self.rollouts.begin(rollout)
        except (Rejected, NotPossible) as error:
            self._book.drop(rollout)
            raise error if isinstance(error, Rejected) else Rejected(409, str(error)) from None
        return rollout

    def found(self, number: str) -> RollOut:
        """A roll-out by its number. Raises Rejected."""
        rollout = self.rollouts.list.find(int(number)) if number.isdecimal() and len(number) < 9 else None
        if rollout is None:
            raise Rejected(404, f"There is no roll-out {number[:20]}.")
        return rollout

    def phone_of(self, rollout: RollOut, name: str) -> RolloutPhone:
        """A phone of a roll-out by its number there, user, address or device. Raises Rejected."""
        wanted = name.removeprefix("sip:").lower()
        found = [one for one in rollout.phones if wanted == str(one.number)]
        found = found or [one for one in rollout.phones if wanted in _names(one)]
        if not found:
            raise Rejected(404, f"Roll-out {rollout.number} has no phone {name[:80]}.")
        if len(found) > 1:
            numbers = ", ".join(str(one.number) for one in found[:5])
            raise Rejected(409, f"{name[:80]} may be each of the phones {numbers}: name it by its number.")
        return found[0]

    async def order(self, name: str, *, reboot: bool) -> list[OrderedPhone]:
        """Order one phone, or each of one address of record, by hand. Raises Rejected."""
        bindings = await self._named.bindings(name)
        if not bindings:
            raise Rejected(404, f"No phone {name[:80]} is registered.")
        try:
            asked = [(one, self.rollouts.order_now(one, reboot=reboot)) for one in bindings]
        except NotPossible as error:
            raise Rejected(409, str(error)) from None
        return [
            OrderedPhone(binding, self._around.makes.of(binding.user_agent).name, await done) for binding, done in asked
        ]

    def _domain(self, name: str) -> Domain:
        wanted = name.lower().rstrip(".")
        for domain in self._around.settings.current.domains:
            if domain.name.lower() == wanted:
                return domain
        raise Rejected(404, f"There is no domain {name[:80]}.")

    def _goal(self, wish: RolloutWish, domain: Domain) -> Goal | None:
        if wish.resync:
            return Goal.RESYNC
        wanted = domain.phones_security if wish.phones is None else wish.phones
        if wanted is PhonesSecurity.OFF:
            if wish.security is None:
                raise Rejected(400, f'Nothing is to be done: {domain.name} has phones_security = "off".')
            return None
        if not any(one.side is Side.PHONES and one.transport == "tls" for one in self._listeners):
            raise Rejected(409, 'Phones find no TLS here: a [[listener]] with side = "phones" and transport = "tls".')
        if wanted is PhonesSecurity.REQUIRED and domain.phones_security is not PhonesSecurity.REQUIRED:
            told = f'[[domain]] {domain.name} has phones_security = "{domain.phones_security}" in the file'
            raise Rejected(409, f'{told}: set it to "required", reload, and begin then.')
        return Goal.TLS_REQUIRED if wanted is PhonesSecurity.REQUIRED else Goal.TLS

    @property
    def _listeners(self) -> tuple[Listener, ...]:
        return self._around.settings.current.listeners

    def _check_free(self, domain: Domain) -> None:
        rollout = self.rollouts.list.open_of(domain.name)
        if rollout is not None:
            raise Rejected(409, f"Roll-out {rollout.number} of {domain.name} is not over: stop it first, or wait.")

    def _switch(self, domain: Domain, security: Security | None, who: Author) -> bool:
        """Set the domain's security; whether that changed it."""
        if security is None or security is domain.security:
            return False
        try:
            self._around.settings.switch(domain.name, security, who, "enabled")
        except OSError as error:
            raise Rejected(500, f"{domain.name} cannot be switched: {error.strerror}.") from None
        return True

    async def _phones(self, wish: RolloutWish, domain: Domain) -> list[RolloutPhone]:
        found, name, count = PhoneList(self._around.makes), domain.name.lower(), 0
        async for binding in self._named.all():
            if binding.domain == name and is_meant(binding, wish.only):
                found.add(binding)
                count += 1
        if count > PHONES:
            raise Rejected(409, f"{count} registrations are too many for one roll-out ({PHONES}): narrow it by only.")
        await self._rest()
        return found.in_waves(self._around.terms)

    def _outlook(
        self, phone: RolloutPhone, goal: Goal | None, outlook: DomainOutlook, reckoning: Reckoning
    ) -> PhoneOutlook:
        bindings = [one for address in phone.addresses for one in self._around.store.find(address)]
        binding = next((one for one in bindings if key_of(one) == phone.key), None)
        if binding is None:
            return PhoneOutlook(phone, "", "It is registered no more.", None)
        call = outlook.of(binding)
        reckoning.add(call, is_short=outlook.is_short(binding))
        order, words = self._prospects(phone, binding, goal)
        return PhoneOutlook(phone, order, words, call)

    def _prospects(self, phone: RolloutPhone, binding: Binding, goal: Goal | None) -> tuple[str, str]:
        """The Event that a phone would be sent, and words about it."""
        if goal is None:
            return "", "Its own leg stays as it is."
        if binding.came_over.transport.is_secure and goal is not Goal.RESYNC:
            return "", "It is registered over TLS already."
        make = self._around.makes.of(binding.user_agent)
        order = make.order(reboot=self._around.terms.reboot == "always").event
        words = f"It will be asked to fetch its file ({order})."
        if make.name == OTHER:
            words = f"Its make is not known: it will be asked ({order}), and may pass over it."
        elif self._around.sender.password_of(phone.address.rpartition("@")[2], _user(phone)) is None:
            words += " The gateway holds no password of this user, should it ask for one."
        return order, words

    def _moment(self, text: str) -> float | None:
        """The time of a wish: seconds since the epoch, None for at once. Raises Rejected."""
        if not text:
            return None
        zone = None if self._around.terms.timezone is None else ZoneInfo(self._around.terms.timezone)
        now = datetime.fromtimestamp(self._around.clock.wall(), UTC).astimezone(zone)
        try:
            at = _time_of(text, now)
        except (ValueError, OverflowError):
            raise Rejected(400, f"{text[:40]} is no time such as 22:00 or 2026-12-01T22:00.") from None
        if not now < at <= now + LATEST:
            raise Rejected(400, f"{text[:40]} is not within the year to come.")
        return at.timestamp()


def _time_of(text: str, now: datetime) -> datetime:
    """A time as people write it: 22:00 is the next one. Raises ValueError."""
    if len(text) == 5:
        clock = datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - only its hour and minute are taken
        at = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        return at if at > now else at + timedelta(days=1)
    given = datetime.fromisoformat(text)
    return given if given.tzinfo is not None else given.replace(tzinfo=now.tzinfo)


def _names(phone: RolloutPhone) -> set[str]:
    names = {address.removeprefix("sip:").lower() for address in phone.addresses}
    users = {name.rpartition("@")[0] for name in names}
    return names | users | {phone.key.lower(), phone.key.removeprefix(HARDWARE).lower()}


def _user(phone: RolloutPhone) -> str:
    return phone.address.removeprefix("sip:").rpartition("@")[0]
