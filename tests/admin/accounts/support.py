"""A register, a log-in and a door without a disk, threads or a network."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from gateway.admin.accounts import passwords
from gateway.admin.accounts.hashing import Hashing
from gateway.admin.accounts.log_in import LogIn, LogInClocks
from gateway.admin.accounts.sessions import UserSessions
from gateway.admin.accounts.users import Register, Token, User
from gateway.admin.inspection import Role

T = TypeVar("T")

PASSWORD = "correct horse battery"
HASH = "scrypt$10:8:1$c2FsdA==$" + b64encode(passwords._scrypt(PASSWORD, b"salt", (10, 8, 1))).decode()
"""Of a cost that tests can bear."""
SECRET = b"12345678901234567890"


class MemoryFile:
    """An AccountFile; `error` is raised by each write while it is set."""

    def __init__(self, *users: User, tokens: tuple[Token, ...] = ()) -> None:
        self.users = {user.name: user for user in users}
        self.tokens = {token.name: token for token in tokens}
        self.error: Exception | None = None

    def load(self) -> Deferred[tuple[list[User], list[Token]]]:
        if self.error is not None:
            return fail(self.error)
        return succeed(([*self.users.values()], [*self.tokens.values()]))

    def keep_user(self, user: User) -> Deferred[None]:
        return self._write(lambda: self.users.__setitem__(user.name, user))

    def keep_token(self, token: Token) -> Deferred[None]:
        return self._write(lambda: self.tokens.__setitem__(token.name, token))

    def drop_token(self, name: str) -> Deferred[None]:
        return self._write(lambda: self.tokens.__delitem__(name))

    def _write(self, write: Callable[[], None]) -> Deferred[None]:
        if self.error is not None:
            return fail(self.error)
        write()
        return succeed(None)


DISK_FULL = sqlite3.OperationalError("database or disk is full")


def done(work: Coroutine[Deferred[Any], Any, T]) -> T:
    """The result of work that waits for nobody; raises its error."""
    results: list[T] = []
    errors: list[BaseException] = []
    Deferred.fromCoroutine(work).addCallbacks(results.append, lambda failure: errors.append(failure.value))
    if errors:
        raise errors[0]
    assert results, "it waits"
    return results[0]


def user(name: str = "alice", role: Role = Role.ADMIN, **more: Any) -> User:
    return User(name, role, more.pop("password", HASH), 0.0, **more)


def register_of(*users: User, tokens: tuple[Token, ...] = ()) -> Register:
    register = Register(MemoryFile(*users, tokens=tokens))
    done(register.read())
    return register


@attrs.define
class Entrance:
    """A log-in with its clocks; passwords are hashed at once, and counted."""

    register: Register
    needs_second: frozenset[Role] = frozenset()
    now: float = 1_000_000.0
    hashed: int = 0
    sessions: UserSessions = attrs.field(factory=lambda: UserSessions(12, 30))
    log_in: LogIn = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        clocks = LogInClocks(lambda: self.now, lambda: self.now)
        self.log_in = LogIn(self.register, self.sessions, Hashing(self._run), clocks, self.needs_second)

    def _run(self, work: Callable[[], object]) -> Deferred[object]:
        self.hashed += 1
        return succeed(work())
