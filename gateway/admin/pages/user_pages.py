"""Users, their sessions and tokens as pages, and the changes of a user: of administrators alone.

    GET  /users, /new-user, /users/NAME -> People -> view -> Desk.draw
    POST /users                         -> People.add_user -> 303 to its page
    POST /users/NAME/CHANGE             -> People -> 303 to its page, which says so

Not here: the rules of each change and its place in the audit (`accounts.changes`), a user's own account, the right to a
route. Each page of a user says first what a change will do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol
from urllib.parse import quote

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.accounts.passwords import SHORTEST
from gateway.admin.hardening import Rejected, see_other
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import NotChanged, Role, Row, caller_of
from gateway.admin.pages.desk import Desk, cleaned, cleaned_rows, query_of
from gateway.admin.pages.phrases import count
from gateway.admin.routes import HttpRoute
from gateway.state.audit import Author

_USERS: Final = "/users"
_NEW: Final = "/new-user"
ROLES: Final = {
    "viewer": "Reads everything, changes nothing.",
    "operator": "Also switches domains, ends calls, and traces messages without their secrets.",
    "admin": "Also reloads the configuration, and decides about users, sessions and tokens.",
}
DONE: Final = {
    "added": "The user is made, and can log in.",
    "role": "The role is changed. It counts from the next request on.",
    "enable": "The user can log in again.",
    "disable": "The user cannot log in any more, and its sessions are over.",
    "second-factor": "The second factor is removed, and the sessions are over. Log-ins ask for the password alone.",
    "end-sessions": "The sessions are over.",
}
"""By the word in the address that a change leads to."""


class People(Protocol):
    """Everybody that may use the interface: rows without a secret. Each change raises NotChanged."""

    def users(self) -> list[Row]:
        """All users."""

    def tokens(self) -> list[Row]:
        """All tokens."""

    def open_sessions(self) -> list[Row]:
        """All sessions, the latest in use first."""

    def add_user(self, name: str, role: str, password: str, author: Author) -> Awaitable[object]:
        """Make a user."""

    def set_role(self, name: str, role: str, author: Author) -> Awaitable[object]:
        """Give a user another role."""

    def set_enabled(self, name: str, author: Author, *, is_enabled: bool) -> Awaitable[object]:
        """Let a user log in, or not any more."""

    def remove_second_factor(self, name: str, author: Author) -> Awaitable[object]:
        """Ask a user for its password alone."""

    def end_sessions(self, name: str, author: Author) -> object:
        """End all sessions of a user."""


@attrs.frozen
class UserPages:
    """The answers, and the routes that lead to them."""

    people: People
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""

        def form(path: str, answer: Callable[..., bytes | Awaitable[bytes]]) -> HttpRoute:
            return HttpRoute("POST", path, answer, Role.ADMIN, is_form=True)

        one = f"{_USERS}/{{name}}"
        return (
            HttpRoute("GET", _USERS, self.users, Role.ADMIN),
            HttpRoute("GET", _NEW, self.new_user, Role.ADMIN),
            HttpRoute("GET", one, self.user, Role.ADMIN),
            form(_USERS, self.add),
            form(f"{one}/role", self.set_role),
            form(f"{one}/enable", self.enable),
            form(f"{one}/disable", self.disable),
            form(f"{one}/second-factor", self.remove_second_factor),
            form(f"{one}/end-sessions", self.end_sessions),
        )

    async def users(self, request: IRequest) -> bytes:
        """Users, their sessions, and tokens."""
        people = self.people
        rows = (cleaned_rows(one) for one in (people.users(), people.open_sessions(), people.tokens()))
        return await self.desk.draw(request, "users.html", "Users", users_view(*rows))

    async def new_user(self, request: IRequest) -> bytes:
        """The form for a new user."""
        return await self._new_user(request, {})

    async def add(self, request: IRequest) -> bytes:
        """Make a user; then its page. A mistake leads back to the form, with all that was typed but passwords."""
        form = form_of(request)
        name, password = form.get("name", "").strip(), form.get("password", "")
        if password != form.get("again", ""):
            return await self._new_user(request, form, "The passwords are not the same.")
        try:
            await self.people.add_user(name, form.get("role", ""), password, caller_of(request).author)
        except NotChanged as error:
            return await self._new_user(request, form, str(error), error.status)
        return _changed(request, name, "added")

    async def user(self, request: IRequest, name: str) -> bytes:
        """One user, with its changes."""
        for row in self.people.users():
            if row["name"] == name:
                sessions = [one for one in self.people.open_sessions() if one["user"] == name]
                view = user_view(cleaned(row), cleaned_rows(sessions), caller_of(request).user)
                notice = DONE.get(query_of(request).get("done", ""), "")
                return await self.desk.draw(request, "user.html", "Users", {**view, "notice": notice})
        raise Rejected(404, f"There is no user {name}.")

    async def set_role(self, request: IRequest, name: str) -> bytes:
        """Give a user another role."""
        await self.people.set_role(name, form_of(request).get("role", ""), caller_of(request).author)
        return _changed(request, name, "role")

    async def enable(self, request: IRequest, name: str) -> bytes:
        """Let a user log in again."""
        await self.people.set_enabled(name, caller_of(request).author, is_enabled=True)
        return _changed(request, name, "enable")

    async def disable(self, request: IRequest, name: str) -> bytes:
        """Let a user log in no more."""
        await self.people.set_enabled(name, caller_of(request).author, is_enabled=False)
        return _changed(request, name, "disable")

    async def remove_second_factor(self, request: IRequest, name: str) -> bytes:
        """Remove a second factor that its user has lost."""
        await self.people.remove_second_factor(name, caller_of(request).author)
        return _changed(request, name, "second-factor")

    def end_sessions(self, request: IRequest, name: str) -> bytes:
        """End all sessions of a user."""
        self.people.end_sessions(name, caller_of(request).author)
        return _changed(request, name, "end-sessions")

    async def _new_user(self, request: IRequest, typed: dict[str, str], problem: str = "", status: int = 400) -> bytes:
        if problem:
            request.setResponseCode(status)
        shown = {"name": str(cleaned(typed.get("name", "")[:63])), "role": typed.get("role", "viewer")}
        view = {"typed": shown, "roles": ROLES, "shortest": SHORTEST, "problem": problem}
        return await self.desk.draw(request, "new_user.html", "Users", view)


def _changed(request: IRequest, name: str, word: str) -> bytes:
    return see_other(request, f"{_USERS}/{quote(name, safe='')}?done={word}")


def users_view(users: Sequence[Row], sessions: Sequence[Row], tokens: Sequence[Row]) -> dict[str, object]:
    """The values of the page of users."""
    admins = sum(row.get("role") == "admin" and bool(row.get("enabled")) for row in users)
    told = f"{count(len(users), 'user')}, {admins} of them {'an administrator' if admins == 1 else 'administrators'}; "
    told += f"{count(len(sessions), 'session')} open, {count(len(tokens), 'token')}."
    return {
        "sentence": told if users else "Everybody on this machine may read; nobody elsewhere may.",
        "users": users,
        "sessions": sessions,
        "tokens": tokens,
    }


def user_view(user: Row, sessions: Sequence[Row], reader: str) -> dict[str, object]:
    """The values of the page of one user; ``reader``: the user that looks at it."""
    state = "can log in" if user.get("enabled") else "cannot log in"
    second = "with a second factor" if user.get("second_factor") else "without a second factor"
    number = count(len(sessions), "session")
    return {
        "user": user,
        "sessions": sessions,
        "sentence": f"{str(user.get('role')).capitalize()}, {state}, {second}; {number} open.",
        "ending": f"{number} {'ends' if len(sessions) == 1 else 'end'} at once.",
        "roles": ROLES,
        "is_own": user.get("name") == reader,
    }
