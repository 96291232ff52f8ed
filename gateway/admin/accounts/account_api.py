"""Users, sessions and tokens under /api/v1, for gatewayctl and programs: of administrators alone.

Here: routes, the changes that they take and the values that they answer. Not here: the rules (`changes`), pages
(`account_pages`), the document made of these classes (`v1/document`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from gateway.admin.accounts import second_factor
from gateway.admin.accounts.changes import AccountChanges, user_row
from gateway.admin.hardening import Rejected
from gateway.admin.http_bodies import as_json
from gateway.admin.inspection import NotChanged, Role, Row, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import read_change, read_query, said
from gateway.admin.v1.questions import NoChange, Nothing
from gateway.state.audit_chain import AuditJudgement

_NAME: Final = "Small letters, digits and . _ @ -, 63 at most."
_ROLE: Final = "viewer, operator or admin."
_PASSWORD: Final = "12 to 256 characters, and none of the common ones."  # noqa: S105 - a rule


class Factor(StrEnum):
    """A second factor as it shall be."""

    SET = "set"
    NONE = "none"


@attrs.frozen
class NewUser:
    """A user to be made."""

    name: str = said(_NAME)
    role: str = said(_ROLE)
    password: str = said(_PASSWORD)


@attrs.frozen
class RoleChange:
    """Another role."""

    role: str = said(_ROLE)


@attrs.frozen
class PasswordChange:
    """Another password."""

    password: str = said(_PASSWORD)


@attrs.frozen
class FactorChange:
    """A second factor, new or removed."""

    to: Factor = said("A new one, or none.")


@attrs.frozen
class NewToken:
    """A token to be made."""

    name: str = said(_NAME)
    role: str = said(_ROLE)
    days: int | None = said("How long it counts; the longest that is allowed unless told.", None, 1, 3650)


@attrs.frozen
class MeAnswer:
    """The author of a request."""

    name: str
    role: str
    source: str


@attrs.frozen
class UserAnswer:
    """A user. Times are seconds since the epoch."""

    name: str
    role: str
    enabled: bool
    second_factor: bool
    recovery_codes: int
    sessions: int
    created_at: float


@attrs.frozen
class SessionAnswer:
    """A session that is open."""

    name: str
    user: str
    source: str
    began_at: float
    seen_at: float
    is_limited: bool


@attrs.frozen
class TokenAnswer:
    """A token, without itself."""

    name: str
    role: str
    created_by: str
    created_at: float
    expires_at: float
    has_expired: bool
    last_used_at: float | None


@attrs.frozen
class NewTokenAnswer:
    """A token that was made: it is told this once."""

    name: str
    role: str
    token: str


@attrs.frozen
class EndedAnswer:
    """How many sessions were ended."""

    sessions_ended: int


class AccountApi:
    """The answers, and the routes that lead to them; `run` gives the result of work in a thread."""

    def __init__(
        self, changes: AccountChanges, run: Callable[[Callable[[], AuditJudgement]], Deferred[AuditJudgement]]
    ) -> None:
        self._changes = changes
        self._run = run
        self._is_looking = False

    def routes(self) -> tuple[HttpRoute, ...]:
        """All routes."""
        user, admin, one = "users/{name}", Role.ADMIN, UserAnswer
        return (
            _read("me", self.me, MeAnswer, Role.VIEWER),
            _read("users", self.users, tuple[UserAnswer, ...], admin),
            _change("users", self.add_user, one, NewUser),
            _change(f"{user}/role", self.set_role, one, RoleChange),
            _change(f"{user}/enable", self.enable, one, NoChange),
            _change(f"{user}/disable", self.disable, one, NoChange),
            _change(f"{user}/password", self.set_password, one, PasswordChange),
            _change(f"{user}/end-sessions", self.end_sessions, EndedAnswer, NoChange),
            _change(f"{user}/second-factor", self.set_second_factor, dict[str, object], FactorChange),
            _read("sessions", self.sessions, tuple[SessionAnswer, ...], admin),
            _change("sessions/{name}/end", self.end_session, EndedAnswer, NoChange),
            _read("tokens", self.tokens, tuple[TokenAnswer, ...], admin),
            _change("tokens", self.add_token, NewTokenAnswer, NewToken),
            _change("tokens/{name}/revoke", self.revoke_token, dict[str, object], NoChange),
            _read("audit/verify", self.verify_audit, AuditJudgement, Role.OPERATOR),
        )

    async def me(self, request: IRequest) -> Row:
        """The author of this request, as the gateway sees it."""
        caller = caller_of(request)
        return {"name": caller.name, "role": caller.role.title, "source": caller.source}

    async def users(self, request: IRequest) -> list[Row]:
        """All users."""
        return self._changes.users()

    async def add_user(self, request: IRequest, asked: NewUser) -> Row:
        """Make a user. The first one ends the time in which the gateway's own machine needs no log-in."""
        author = caller_of(request).author
        return user_row(await self._changes.add_user(asked.name, asked.role, asked.password, author))

    async def set_role(self, request: IRequest, asked: RoleChange, name: str) -> Row:
        """Give a user another role; it counts at once."""
        return user_row(await self._changes.set_role(name, asked.role, caller_of(request).author))

    async def enable(self, request: IRequest, asked: NoChange, name: str) -> Row:
        """Let a user log in again."""
        return user_row(await self._changes.set_enabled(name, caller_of(request).author, is_enabled=True))

    async def disable(self, request: IRequest, asked: NoChange, name: str) -> Row:
        """Let a user log in no more, and end its sessions."""
        return user_row(await self._changes.set_enabled(name, caller_of(request).author, is_enabled=False))

    async def set_password(self, request: IRequest, asked: PasswordChange, name: str) -> Row:
        """Give a user another password, and end its sessions."""
        return user_row(await self._changes.set_password(name, asked.password, caller_of(request).author))

    async def end_sessions(self, request: IRequest, asked: NoChange, name: str) -> Row:
        """End all sessions of a user."""
        return {"sessions_ended": self._changes.end_sessions(name, caller_of(request).author)}

    async def set_second_factor(self, request: IRequest, asked: FactorChange, name: str) -> Row:
        """Set up a user's second factor, or remove it. The key and the recovery codes are told once."""
        author = caller_of(request).author
        if asked.to is Factor.NONE:
            return user_row(await self._changes.remove_second_factor(name, author))
        secret = second_factor.new_secret()
        codes = await self._changes.set_second_factor(name, secret, author)
        return {
            "address": self._changes.app_address(name, secret),
            "secret": second_factor.typed(secret),
            "recovery_codes": [*codes],
        }

    async def sessions(self, request: IRequest) -> list[Row]:
        """All sessions that are open, the latest in use first."""
        return self._changes.open_sessions()

    async def end_session(self, request: IRequest, asked: NoChange, name: str) -> Row:
        """End one session, by its name in the list."""
        self._changes.end_session(name, caller_of(request).author)
        return {"sessions_ended": 1}

    async def tokens(self, request: IRequest) -> list[Row]:
        """All tokens."""
        return self._changes.tokens()

    async def add_token(self, request: IRequest, asked: NewToken) -> Row:
        """Make a token. It is told once."""
        shown = await self._changes.add_token(asked.name, asked.role, asked.days, caller_of(request).author)
        return {"name": asked.name, "role": asked.role, "token": shown}

    async def revoke_token(self, request: IRequest, asked: NoChange, name: str) -> Row:
        """Take a token's right at once."""
        await self._changes.revoke_token(name, caller_of(request).author)
        return {"name": name}

    async def verify_audit(self, request: IRequest) -> Row:
        """Whether the chain of the audit is whole. The file may be long: a thread looks at it, once at a time."""
        if self._is_looking:
            raise Rejected(429, "The audit is being looked at: ask again in a moment.")
        self._is_looking = True
        try:
            found = await self._run(self._changes.audit.verified())
        except OSError as error:
            raise NotChanged(f"The audit cannot be read: {error.strerror}", status=409) from None
        finally:
            self._is_looking = False
        return {**attrs.asdict(found), "faults": [*found.faults]}


Answer = Callable[..., Awaitable[Any]]


def _read(path: str, method: Answer, schema: object, role: Role) -> HttpRoute:
    async def answer(request: IRequest) -> bytes:
        read_query(Nothing, request, 0.0)
        return as_json(request, await method(request))

    answer.__doc__ = method.__doc__
    return HttpRoute("GET", PREFIX + path, answer, role, query=Nothing, schema=schema)


def _change(path: str, method: Answer, schema: object, change: type[attrs.AttrsInstance]) -> HttpRoute:
    async def answer(request: IRequest, **names: str) -> bytes:
        read_query(Nothing, request, 0.0)
        return as_json(request, await method(request, read_change(change, request), **names))

    answer.__doc__ = method.__doc__
    return HttpRoute("POST", PREFIX + path, answer, Role.ADMIN, change=change, schema=schema)
