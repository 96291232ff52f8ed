"""The API of limits of calls: the limits, how each user stands with them, and an end to a hold.

    GET  /api/v1/limits?user=101      the limits; the users that are held or counted, or one alone
    POST /api/v1/limits/lift          {"user": "101@example.com"}: let it call again, and count anew

Not here: the counts (`security.limits`), the page (limit_pages.py).
"""

from __future__ import annotations

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_change, read_query, said
from gateway.admin.v1.resources import sent
from gateway.config.tables.limit_table import CallLimit
from gateway.security.limits.call_limits import CallLimits, LimitStanding
from gateway.state.audit import AuditLog, Author


@attrs.frozen
class LimitsAsked:
    """The users that are wanted."""

    user: str | None = said("A user, as 101 or 101@example.com, or the address of a caller without a name.", None)


@attrs.frozen
class LimitTermsAnswer:
    """A limit of calls."""

    name: str = said("Its name.")
    domains: tuple[str, ...] = said("Domains that it holds in; empty: all.")
    users: tuple[str, ...] = said("Users that it is about, with * and ?.")
    to: tuple[str, ...] = said("Classes of destinations, or how numbers begin; empty: all.")
    hours: tuple[str, ...] = said("Hours of the week; empty: always.")
    then: str = said("report, refuse or hold.")


@attrs.frozen
class LimitCountAnswer:
    """One count of a user."""

    measure: str = said("The key of the limit.")
    count: int = said("How much there is.")
    most: int = said("How much is allowed.")


@attrs.frozen
class LimitedUserAnswer:
    """How a user stands with a limit."""

    user: str = said("Its address of record, or the source of a caller that is not registered.")
    limit: str = said("The name of the limit.")
    held: bool = said("Whether its calls are refused until an operator lifts it.")
    held_at: Moment | None = said("Since when.", None)
    counts: tuple[LimitCountAnswer, ...] = said("Each count.", ())


@attrs.frozen
class LimitsAnswer:
    """Limits of calls, and the users that they count."""

    limits: tuple[LimitTermsAnswer, ...] = said("Those in force.")
    users: tuple[LimitedUserAnswer, ...] = said("Those held first, then those that called last; 500 at most.")


@attrs.frozen
class LiftChange:
    """A user that is to call again."""

    user: str = said("A user, as 101 or 101@example.com, or the address of a caller without a name.")


@attrs.frozen
class LiftAnswer:
    """A user that counts anew."""

    user: str = said("Its address of record, or its source.")
    limits: int = said("Limits that counted it.")


class LimitRoutes:
    """The routes of limits of calls."""

    def __init__(self, limits: CallLimits, audit: AuditLog) -> None:
        self._limits = limits
        self._audit = audit

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        path = f"{PREFIX}limits"
        return (
            HttpRoute("GET", path, self.all, Role.VIEWER, query=LimitsAsked, schema=LimitsAnswer),
            HttpRoute("POST", f"{path}/lift", self.lift, Role.OPERATOR, change=LiftChange, schema=LiftAnswer),
        )

    def all(self, request: IRequest) -> bytes:
        """The limits of calls, and how users stand with them."""
        wanted = read_query(LimitsAsked, request, 0).user
        found = self._limits.standings(None if wanted is None else named(self._limits, wanted))
        terms = tuple(map(_terms, self._limits.limits))
        return sent(request, attrs.asdict(LimitsAnswer(terms, tuple(map(_standing, found)))))

    def lift(self, request: IRequest) -> bytes:
        """Let a user call again, and count anew."""
        change = read_change(LiftChange, request)
        name = named(self._limits, change.user)
        counted = lifted(self._limits, self._audit, name, caller_of(request).author)
        return sent(request, attrs.asdict(LiftAnswer(name, counted)))


def named(limits: CallLimits, text: str) -> str:
    """The one caller that a text means. Raises Rejected 404 and 409."""
    found = limits.named(text)
    if not found:
        raise Rejected(404, f"No limit counts {text[:80]}.")
    if len(found) > 1:
        raise Rejected(409, f"{text[:80]} may be each of {', '.join(sorted(found)[:5])}.")
    return found[0]


def lifted(limits: CallLimits, audit: AuditLog, name: str, author: Author) -> int:
    """Lift a caller, with an entry in the audit; how many limits counted it."""
    audit.write(author, "limit lifted", user=name)
    return limits.lift(name)


def _terms(limit: CallLimit) -> LimitTermsAnswer:
    hours = tuple(map(str, limit.hours))
    return LimitTermsAnswer(limit.name, limit.domains, limit.users, tuple(map(str, limit.to)), hours, str(limit.then))


def _standing(one: LimitStanding) -> LimitedUserAnswer:
    counts = tuple(LimitCountAnswer(count.measure, count.count, count.most) for count in one.counts)
    at = None if one.held_at is None else Moment(one.held_at)
    return LimitedUserAnswer(one.caller, one.limit.name, one.held_at is not None, at, counts)
