"""A user's own account: password, second factor, sessions. Every form asks for the session, and for the password where
it takes a proof away.

Here: forms and answers. Not here: the rules (`changes`), other users' accounts (`account_api`). Each change of a proof
ends all sessions of the user and begins a new one for this browser.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.accounts import second_factor
from gateway.admin.accounts.changes import AccountChanges, user_row
from gateway.admin.accounts.door import SECOND_FACTOR
from gateway.admin.accounts.log_in import LoggedIn, LogIn, LogInRefused
from gateway.admin.accounts.log_in_pages import LogInNotes, said
from gateway.admin.accounts.passwords import SHORTEST
from gateway.admin.accounts.proofs import SESSION_COOKIE, set_cookie
from gateway.admin.accounts.users import User
from gateway.admin.hardening import Rejected, see_other, source_of
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import Caller, NotChanged, Role, caller_of
from gateway.admin.pages.desk import Desk
from gateway.admin.routes import HttpRoute

_ACCOUNT: Final = "/account"
_OFFERED_SECONDS: Final = 600.0
"""A key for an app waits so long for its first code."""


@attrs.frozen
class AccountPages:
    """The answers, and the routes that lead to them."""

    log_in: LogIn
    changes: AccountChanges
    desk: Desk
    notes: LogInNotes
    needs_second: frozenset[Role]
    """Roles that may not remove their second factor."""
    _offered: dict[str, tuple[bytes, float]] = attrs.field(factory=dict, init=False)
    """Keys that wait for their first code, and until when, by user."""

    def routes(self) -> tuple[HttpRoute, ...]:
        """All routes."""

        def form(path: str, answer: Callable[..., bytes | Awaitable[bytes]]) -> HttpRoute:
            return HttpRoute("POST", path, answer, Role.VIEWER, is_form=True)

        return (
            HttpRoute("GET", _ACCOUNT, self.account, Role.VIEWER),
            HttpRoute("GET", SECOND_FACTOR, self.offer_second, Role.VIEWER),
            form(SECOND_FACTOR, self.set_second),
            form(f"{SECOND_FACTOR}/remove", self.remove_second),
            form(f"{_ACCOUNT}/password", self.set_password),
            form(f"{_ACCOUNT}/end-sessions", self.end_others),
        )

    async def account(self, request: IRequest) -> bytes:
        """The account of the user with this session."""
        return await self._account(request, self._user(request))

    async def set_password(self, request: IRequest) -> bytes:
        """Change the password: the present one, and the new one twice."""
        form, user = form_of(request), self._user(request)
        new = form.get("new", "")
        if new != form.get("again", ""):
            return await self._account(request, user, "The new passwords are not the same.", 400)
        problem = await self._unproved(request, user, form.get("current", ""))
        if problem:
            return await self._account(request, user, problem)
        try:
            changed = await self.changes.set_password(user.name, new, caller_of(request).author)
        except NotChanged as error:
            return await self._account(request, user, str(error), error.status)
        self._begin_again(request, changed)
        return await self._account(request, changed, done="The password is changed, and your other sessions are over.")

    async def offer_second(self, request: IRequest) -> bytes:
        """A new key for an app."""
        user = self._user(request)
        if user.second_factor is not None:
            return see_other(request, _ACCOUNT)
        now, secret = self.changes.now(), second_factor.new_secret()
        for name in [name for name, (_, ends_at) in self._offered.items() if ends_at <= now]:
            del self._offered[name]
        self._offered[user.name] = secret, now + _OFFERED_SECONDS
        return await self._offer(request, user, secret)

    async def set_second(self, request: IRequest) -> bytes:
        """Set up the second factor, by the first code of the key that was offered."""
        form, user = form_of(request), self._user(request)
        secret, ends_at = self._offered.get(user.name, (b"", 0.0))
        if not secret or self.changes.now() >= ends_at or user.second_factor is not None:
            return see_other(request, SECOND_FACTOR)
        if not self.log_in.takes_code(user.name, secret, form.get("code", "")):
            problem = "That is not the code of this key now. Is the clock of your telephone right?"
            return await self._offer(request, user, secret, problem)
        del self._offered[user.name]
        codes = await self.changes.set_second_factor(user.name, secret, caller_of(request).author)
        self._begin_again(request, self._user(request))
        return await self.desk.draw(request, "accounts/recovery_codes.html", "", {"codes": codes})

    async def remove_second(self, request: IRequest) -> bytes:
        """Remove the second factor, for the password."""
        form, user = form_of(request), self._user(request)
        if user.role in self.needs_second:
            return await self._account(request, user, "This gateway wants a second factor of your role.", 403)
        problem = await self._unproved(request, user, form.get("current", ""))
        if problem:
            return await self._account(request, user, problem)
        changed = await self.changes.remove_second_factor(user.name, caller_of(request).author)
        self._begin_again(request, changed)
        return await self._account(request, changed, done="Log-ins ask for your password alone from now on.")

    def end_others(self, request: IRequest) -> bytes:
        """End every session of the user but this one, which gets a new id."""
        user = self._user(request)
        self.changes.end_sessions(user.name, caller_of(request).author)
        self._begin_again(request, user)
        return see_other(request, _ACCOUNT)

    def _user(self, request: IRequest) -> User:
        """The user of the session. Raises Rejected for tokens and users of this machine, which have no account."""
        caller: Caller = caller_of(request)
        user = self.changes.register.user(caller.user) if caller.user else None
        if user is None:
            raise Rejected(403, "An account is of a user that has logged in.")
        return user

    async def _unproved(self, request: IRequest, user: User, password: str) -> str:
        """The reason why a password is not taken for the user's; empty where it is."""
        source = source_of(request)
        try:
            await self.log_in.confirm(user, password, source)
        except LogInRefused as refusal:
            self.notes.refused(refusal, source)
            return said(request, refusal.result)
        return ""

    def _begin_again(self, request: IRequest, user: User) -> None:
        """A new session for this browser, and none but it."""
        begun: LoggedIn = self.log_in.begin_again(user, source_of(request))
        set_cookie(request, SESSION_COOKIE, begun.identifier)

    async def _account(
        self, request: IRequest, user: User, problem: str = "", status: int = 0, done: str = ""
    ) -> bytes:
        if status:
            request.setResponseCode(status)
        sessions = [one for one in self.changes.open_sessions() if one["user"] == user.name]
        told = {"user": user_row(user), "sessions": sessions, "shortest": SHORTEST, "problem": problem, "done": done}
        return await self.desk.draw(request, "accounts/account.html", "", told)

    async def _offer(self, request: IRequest, user: User, secret: bytes, problem: str = "") -> bytes:
        if problem:
            request.setResponseCode(400)
        address, typed = self.changes.app_address(user.name, secret), second_factor.typed(secret)
        is_limited = caller_of(request).is_limited
        told = {"address": address, "secret": typed, "problem": problem, "is_limited": is_limited}
        return await self.desk.draw(request, "accounts/second_factor.html", "", told)
