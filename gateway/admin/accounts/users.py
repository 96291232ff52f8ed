"""Users and tokens as values, and the register of them: read from memory, changed in the file first.

    change -> AccountFile (users.sqlite) -> written? -> the register has it -> answer

A change that cannot be written is refused and nothing is changed, so that a disabled user is not back after a
restart. Changes wait for each other: of two at once neither is lost.

Here: names, roles, the register. Not here: the file (`store`), passwords (`passwords`), the right to a change (the
routes' roles), sessions.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import string
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from gateway.admin.inspection import NotChanged, Role

log = Logger()

ROLES: Final[Mapping[str, Role]] = {role.title: role for role in Role if role is not Role.NOBODY}
MOST_USERS: Final = 1_000
MOST_TOKENS: Final = 1_000
PREFIX: Final = "gwt_"
"""A token begins so: programs that look for secrets in files know it by that."""
LONGEST_DAYS: Final = 90
"""Of a token, unless the configuration says otherwise."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
_LETTERS: Final = string.ascii_letters + string.digits
_TOKEN_LENGTH: Final = 40
"""Letters of 62: 238 random bits."""


@attrs.frozen
class User:
    """A person that may log in. Its text has no secret."""

    name: str
    role: Role
    password: str = attrs.field(repr=False)
    """The hash (`passwords`)."""
    created_at: float
    """Seconds since the epoch, as all times here."""
    is_enabled: bool = True
    second_factor: bytes | None = attrs.field(default=None, repr=False)
    """The secret shared with an app."""
    recovery: tuple[str, ...] = attrs.field(default=(), repr=False)
    """Hashes of the recovery codes that are left."""


@attrs.frozen
class Token:
    """A program's right. The token itself is shown once and not kept."""

    name: str
    role: Role
    digest: str = attrs.field(repr=False)
    created_by: str
    created_at: float
    expires_at: float


class AccountFile(Protocol):
    """Where they are kept; each write fails with an sqlite3.Error or OSError."""

    def load(self) -> Deferred[tuple[list[User], list[Token]]]:
        """All there are; fails with DamagedAccounts where a row is none of ours."""

    def keep_user(self, user: User) -> Deferred[None]:
        """Write one, new or changed."""

    def keep_token(self, token: Token) -> Deferred[None]:
        """Write a new one."""

    def drop_token(self, name: str) -> Deferred[None]:
        """Delete one."""


class DamagedAccounts(Exception):
    """The file of users cannot be read; the message is one line."""


class Register:
    """The users and tokens there are. Until it is read, and where it cannot be, nobody is known and nobody is made."""

    def __init__(self, file: AccountFile) -> None:
        self._file = file
        self._users: dict[str, User] = {}
        self._tokens: dict[str, Token] = {}
        self._used: dict[str, float] = {}
        self._lock = DeferredLock()
        self.is_read = False

    @property
    def is_open_to_all(self) -> bool:
        """Whether it is certain that no user exists: a register that could not be read is not empty."""
        return self.is_read and not self._users

    async def read(self) -> None:
        """Read the file. One that cannot be read is told, and leaves a register that nobody passes."""
        try:
            users, tokens = await self._file.load()
        except (sqlite3.Error, OSError, DamagedAccounts) as error:
            log.critical(
                "users.sqlite cannot be read: nobody can log in, and the administration interface answers root alone, "
                "over its socket: {reason}",
                reason=error,
            )
            return
        self._users = {user.name: user for user in users}
        self._tokens = {token.digest: token for token in tokens}
        self.is_read = True

    def user(self, name: str) -> User | None:
        """The user of a name, enabled or not."""
        return self._users.get(name)

    def users(self) -> list[User]:
        """All, by name."""
        return sorted(self._users.values(), key=lambda user: user.name)

    def tokens(self) -> list[tuple[Token, float | None]]:
        """All, by name, and when each was last used in this run; None for never."""
        return [
            (token, self._used.get(token.name)) for token in sorted(self._tokens.values(), key=lambda token: token.name)
        ]

    def token(self, shown: str, now: float) -> Token | None:
        """The token that somebody shows, which is in use by that; None for one that is unknown or has expired."""
        token = self._tokens.get(digest_of(shown))
        if token is None or now >= token.expires_at:
            return None
        self._used[token.name] = now
        return token

    async def add_user(self, user: User) -> None:
        """Make a new user. Raises NotChanged."""
        if not _NAME.fullmatch(user.name):
            raise NotChanged(
                "A user's name has small letters, digits and . _ @ -, 63 at most, a letter or digit first."
            )

        def checked() -> User:
            if user.name in self._users:
                raise NotChanged(f"There is a user {user.name} already.", status=409)
            if len(self._users) >= MOST_USERS:
                raise NotChanged(f"There are {MOST_USERS} users, and no more are taken.", status=409)
            return user

        await self._keep(checked)

    async def change_user(self, name: str, change: Callable[[User], User]) -> User:
        """Change a user as it is when its turn comes; the user as it is then. Raises NotChanged, as `change` may."""

        def changed() -> User:
            user = self._users.get(name)
            if user is None:
                raise NotChanged(f"There is no user {name}.", status=404)
            after = change(user)
            if _is_admin(user) and not _is_admin(after) and [*map(_is_admin, self._users.values())].count(True) == 1:
                raise NotChanged(f"{name} is the last administrator: make another one first.", status=409)
            return after

        return await self._keep(changed)

    async def add_token(self, name: str, role: Role, author: str, now: float, days: float) -> str:
        """Make a new token; the token, which nobody can tell again. Raises NotChanged."""
        if not _NAME.fullmatch(name):
            raise NotChanged(
                "A token's name has small letters, digits and . _ @ -, 63 at most, a letter or digit first."
            )
        shown = PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(_TOKEN_LENGTH))
        token = Token(name, role, digest_of(shown), author, now, now + days * 86_400)
        await self._lock.acquire()
        try:
            if self.is_open_to_all:
                raise NotChanged("Make a user first: until there is one, no log-in is asked for.", status=409)
            if any(other.name == name for other in self._tokens.values()):
                raise NotChanged(f"There is a token {name} already.", status=409)
            if len(self._tokens) >= MOST_TOKENS:
                raise NotChanged(f"There are {MOST_TOKENS} tokens, and no more are taken.", status=409)
            await self._written(lambda: self._file.keep_token(token))
            self._tokens[token.digest] = token
        finally:
            self._lock.release()
        return shown

    async def revoke_token(self, name: str) -> Token:
        """Take a token's right at once. Raises NotChanged."""
        await self._lock.acquire()
        try:
            for token in self._tokens.values():
                if token.name == name:
                    await self._written(lambda: self._file.drop_token(name))
                    self._used.pop(name, None)
                    return self._tokens.pop(token.digest)
        finally:
            self._lock.release()
        raise NotChanged(f"There is no token {name}.", status=404)

    async def _keep(self, checked: Callable[[], User]) -> User:
        await self._lock.acquire()
        try:
            user = checked()
            await self._written(lambda: self._file.keep_user(user))
            self._users[user.name] = user
        finally:
            self._lock.release()
        return user

    async def _written(self, write: Callable[[], Deferred[None]]) -> None:
        if not self.is_read:
            raise NotChanged(
                "users.sqlite could not be read, so nothing of it is changed; the log says more.", status=409
            )
        try:
            await write()
        except (sqlite3.Error, OSError) as error:
            raise NotChanged(f"users.sqlite cannot be written: {error}", status=409) from None


def digest_of(shown: str) -> str:
    """The hash to keep of a token: random enough that a plain SHA-256 hides it."""
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()


def _is_admin(user: User) -> bool:
    return user.role is Role.ADMIN and user.is_enabled
