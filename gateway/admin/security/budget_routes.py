"""The API of fallback budgets: how each stands.

    GET /api/v1/budgets            every domain that has one, the worst first
    GET /api/v1/budgets/{domain}   one of them

Not here: counting and judging (`security.budget`).
"""

from __future__ import annotations

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import read_query, said
from gateway.admin.v1.questions import Nothing
from gateway.admin.v1.resources import sent
from gateway.config.model import FallbackSpent
from gateway.security.budget.budgets import Budgets, by_domain
from gateway.security.budget.standing import BudgetLevel, BudgetStanding


@attrs.frozen
class BurnAnswer:
    """How fast a budget is spent, in one window: 1 makes it last 30 days."""

    window: str = said("5m, 30m, 1h, 6h or 3d.")
    burn: float | None = said("None: no call ended in it.", None)


@attrs.frozen
class BudgetAnswer:
    """The fallback budget of a domain."""

    domain: str = said("The domain.")
    level: BudgetLevel = said("good, burns, burns_fast or spent.")
    budget: float = said("The share of its calls that may fall back, 0 to 1.")
    floor: int = said("Calls that may in any case.")
    when_spent: str = said("alert or require.")
    kept: int = said("Calls of the last 30 days that were encrypted to the provider.")
    spent: int = said("Calls of these days that went on with less.")
    excused: int = said("The same of those that were meant to: the policy is off, or an emergency number.")
    allowed: int = said("Calls of 30 days that may go on with less.")
    left: int = said("Of these, calls that have not.")
    burns: tuple[BurnAnswer, ...] = said("How fast it is spent.")
    seconds_left: int | None = said("Until it is spent at the pace of the last 3 days; None: never.", None)


@attrs.frozen
class BudgetRoutes:
    """The routes of budgets."""

    budgets: Budgets

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        path = f"{PREFIX}budgets"
        every, one = tuple[BudgetAnswer, ...], BudgetAnswer
        return (
            HttpRoute("GET", path, self.all, Role.VIEWER, query=Nothing, schema=every),
            HttpRoute("GET", f"{path}/{{domain}}", self.one, Role.VIEWER, query=Nothing, schema=one),
        )

    def all(self, request: IRequest) -> bytes:
        """The fallback budgets, the worst first."""
        read_query(Nothing, request, 0)
        spent = self.budgets.consequences()
        answers = [_answer(domain, one, spent[domain]) for domain, one in by_domain(self.budgets.standings())]
        return sent(request, [attrs.asdict(one) for one in answers])

    def one(self, request: IRequest, domain: str) -> bytes:
        """The fallback budget of a domain."""
        read_query(Nothing, request, 0)
        name = domain.lower().rstrip(".")
        standing = self.budgets.standings().get(name)
        if standing is None:
            raise Rejected(404, f"There is no domain {domain[:80]} with a fallback budget.")
        return sent(request, attrs.asdict(_answer(name, standing, self.budgets.consequences()[name])))


def _answer(domain: str, standing: BudgetStanding, when_spent: FallbackSpent) -> BudgetAnswer:
    month, seconds = standing.month, standing.seconds_left
    return BudgetAnswer(
        domain,
        standing.level,
        standing.budget.share,
        standing.budget.floor,
        str(when_spent),
        month.kept,
        month.spent,
        month.excused,
        standing.allowed,
        standing.left,
        tuple(BurnAnswer(name, None if burn is None else round(burn, 2)) for name, burn in standing.burns.items()),
        None if seconds is None else round(seconds),
    )
