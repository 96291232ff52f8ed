"""The API of orders by hand: one phone is told to fetch its configuration, or all of a domain.

    POST /api/v1/resync     {"phone": "101", "reboot": false} -> the outcome, up to 64 s later
                            {"domain": "example.com"}         -> a roll-out without another goal, which is followed

Not here: roll-outs (rollout_routes.py), the orders themselves (registrar/enablement).
"""

from __future__ import annotations

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.enablement.rollout_office import OrderedPhone, RolloutOffice, RolloutWish
from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import read_change, said
from gateway.admin.v1.resources import sent
from gateway.registrar.enablement.phone_reasons import RESULT_WORDS
from gateway.state.audit import AuditLog


@attrs.frozen
class ResyncChange:
    """A phone, or a domain, that is to fetch its configuration."""

    phone: str = said("A user, as 101 or 101@example.com, or a hardware address.", "")
    domain: str = said("A domain: all its phones, in waves.", "")
    reboot: bool = said("Whether they are to start again.", False)


@attrs.frozen
class ResyncedPhoneAnswer:
    """A phone that was ordered."""

    address_of_record: str = said("Its address of record.")
    contact: str = said("Where it is.")
    make: str = said("Its make in the list of orders, or other.")
    result: str = said(
        "accepted, not_understood, not_now, no_password, wrong_password, unreadable, silent or unreachable."
    )
    words: str = said("The same for people, with the remedy.")
    detail: str = said("The phone's own words.")


@attrs.frozen
class ResyncAnswer:
    """The outcome of an order."""

    phones: tuple[ResyncedPhoneAnswer, ...] = said("The phones that were ordered by hand.", ())
    rollout: int | None = said("The number of the roll-out that goes through a domain.", None)


class ResyncRoutes:
    """The route of orders by hand."""

    def __init__(self, office: RolloutOffice, audit: AuditLog) -> None:
        self._office = office
        self._audit = audit

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        path = f"{PREFIX}resync"
        return (HttpRoute("POST", path, self.resync, Role.OPERATOR, change=ResyncChange, schema=ResyncAnswer),)

    async def resync(self, request: IRequest) -> bytes:
        """Tell a phone, or all of a domain, to fetch their configuration."""
        change, who = read_change(ResyncChange, request), caller_of(request).author
        if bool(change.phone) is bool(change.domain):
            raise Rejected(400, "A phone or a domain is to be named, one of them.")
        if change.domain:
            wish = RolloutWish(change.domain, resync=True, reboot=change.reboot)
            rollout = await self._office.begin(wish, who)
            number = None if rollout is None else rollout.number
            self._audit.write(who, "resync", domain=change.domain, rollout=number, reboot=change.reboot)
            return sent(request, attrs.asdict(ResyncAnswer(rollout=number)))
        self._audit.write(who, "resync", peer=change.phone, reboot=change.reboot)
        ordered = await self._office.order(change.phone, reboot=change.reboot)
        return sent(request, attrs.asdict(ResyncAnswer(tuple(map(_answer, ordered)))))


def _answer(one: OrderedPhone) -> ResyncedPhoneAnswer:
    result, binding = one.outcome.result, one.binding
    words = RESULT_WORDS[result]
    told = f"{words.words} {words.remedy}".rstrip()
    return ResyncedPhoneAnswer(binding.aor, binding.contact, one.make, str(result), told, one.outcome.detail)
