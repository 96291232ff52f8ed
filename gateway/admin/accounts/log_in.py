"""Log-in: a name and a password, then the second factor where there is one, then a session.

    password right? -> no second factor -> session
                    -> second factor    -> a step of five minutes -> code right? -> session, and the step is over

Here: the order of the proofs, and their limits. Not here: HTTP (`account_pages`), hashes (`passwords`), codes
(`second_factor`), sessions.

Nobody learns which names exist: for a name of nobody a password is hashed all the same, limits count it in the same
way, and the answer is the same. A try is counted before its password is looked at, and given back when it was right, so
that many at once are no more than many one by one. Tries are counted by name (many sources, one user) and by source
(one source, many users). A source that has once logged in under a name has a count of its own under it: a flood
of a name from elsewhere does not keep its user out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import attrs

from gateway.admin.accounts import passwords, second_factor
from gateway.admin.accounts.hashing import Busy, Hashing
from gateway.admin.accounts.sessions import UserSessions
from gateway.admin.accounts.users import Register, User
from gateway.admin.inspection import Role
from gateway.base.rate import Rate, RateLimit

TRIES: Final = Rate(per_second=1 / 60, burst=5)
"""Wrong ones: five, then one a minute."""
STEP_SECONDS: Final = 300.0
"""From the password to the code."""
MOST_STEPS: Final = 100
"""Log-ins that wait for a code; then the oldest is over."""
MOST_KNOWN: Final = 1_000


class LogInResult(StrEnum):
    """The end of a try, as the metric names it."""

    OK = "ok"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a result
    WRONG_CODE = "wrong_code"
    LIMITED = "limited"
    BUSY = "busy"


class LogInRefused(Exception):
    """No session. ``user``: the name, where there is such a user (others may have typed a password there)."""

    def __init__(self, result: LogInResult, user: str = "") -> None:
        super().__init__(result)
        self.result = result
        self.user = user


@attrs.frozen
class LoggedIn:
    """The id of a new session, for the browser alone."""

    user: str
    identifier: str = attrs.field(repr=False)
    is_limited: bool
    """Whether a second factor has to be set up first."""


@attrs.frozen
class CodeWanted:
    """The password was right; the id of the step that the code belongs to."""

    identifier: str = attrs.field(repr=False)


@attrs.frozen
class LogInClocks:
    """Clocks of a log-in."""

    now: Callable[[], float]
    """Seconds that pass evenly."""
    wall: Callable[[], float]
    """Seconds since the epoch, as the user's telephone has them."""


@attrs.frozen
class _Step:
    user: User
    ends_at: float


class LogIn:
    """Every way to a session."""

    def __init__(
        self,
        register: Register,
        sessions: UserSessions,
        hashing: Hashing,
        times: LogInClocks,
        needs_second: frozenset[Role],
    ) -> None:
        """``needs_second``: roles that may do nothing without a second factor."""
        self._register = register
        self._sessions = sessions
        self._hashing = hashing
        self._times = times
        self._needs_second = needs_second
        self._by_source = RateLimit(TRIES)
        self._by_name = RateLimit(TRIES)
        self._known: dict[tuple[str, str], None] = {}
        self._steps: dict[str, _Step] = {}
        self._last_step: dict[str, int] = {}

    async def with_password(self, name: str, password: str, source: str) -> LoggedIn | CodeWanted:
        """A session, or a step that wants a code. Raises LogInRefused."""
        user = await self._proved(name, password, source)
        if user.second_factor is None:
            self._give_back(name, source)
            return self._begin(user, source)
        now = self._times.now()
        self._steps = {key: step for key, step in self._steps.items() if step.ends_at > now}
        if len(self._steps) >= MOST_STEPS:
            del self._steps[next(iter(self._steps))]
        identifier = secrets.token_urlsafe(32)
        self._steps[identifier] = _Step(user, now + STEP_SECONDS)
        return CodeWanted(identifier)

    async def with_code(self, identifier: str, code: str, source: str) -> LoggedIn:
        """A session for the code of an app, or a recovery code. Raises LogInRefused, NotChanged."""
        step = self._steps.get(identifier)
        if step is None or self._times.now() >= step.ends_at:
            raise LogInRefused(LogInResult.WRONG_CODE)
        name = step.user.name
        self._take(name, source)
        user = self._register.user(name)
        if user is None or not user.is_enabled or user.password != step.user.password or user.second_factor is None:
            self._steps.pop(identifier, None)
            raise LogInRefused(LogInResult.WRONG_CODE, name)
        if not self._is_code(user, user.second_factor, code) and not await self._is_recovery(user, code):
            raise LogInRefused(LogInResult.WRONG_CODE, name)
        now_kept = self._register.user(name)  # changed, perhaps, while the recovery code was crossed out
        if now_kept is None or not now_kept.is_enabled or _proofs(now_kept) != _proofs(user):
            raise LogInRefused(LogInResult.WRONG_CODE, name)
        self._steps.pop(identifier, None)
        for _ in range(2):  # the password's try, and the code's
            self._give_back(name, source)
        return self._begin(now_kept, source)

    async def confirm(self, user: User, password: str, source: str) -> None:
        """See that a user with a session knows the password, before a proof is changed. Raises LogInRefused."""
        await self._proved(user.name, password, source)
        self._give_back(user.name, source)

    def begin_again(self, user: User, source: str) -> LoggedIn:
        """End every session of a user, and begin one: at a new password, and at a new second factor."""
        self._sessions.end_of(user.name)
        return self._begin(user, source)

    def takes_code(self, user: str, secret: bytes, code: str) -> bool:
        """Whether a code is one of that secret now; it counts for no other log-in then."""
        step = second_factor.step_of(secret, code, self._times.wall(), self._last_step.get(user, 0))
        if step is not None:
            self._last_step[user] = step
        return step is not None

    async def _proved(self, name: str, password: str, source: str) -> User:
        """The user of a name and its password. Unknown names take the same time as known ones."""
        user = self._register.user(name)
        told = user.name if user is not None else ""
        self._take(name, source)
        kept = user.password if user is not None else passwords.nobody()
        try:
            is_right = await self._hashing.matches(password[: passwords.LONGEST + 1], kept)
        except Busy:
            self._give_back(name, source)
            raise LogInRefused(LogInResult.BUSY, told) from None
        now_kept = self._register.user(name)  # it may have been disabled, or its password changed, meanwhile
        if not is_right or now_kept is None or not now_kept.is_enabled or now_kept.password != kept:
            raise LogInRefused(LogInResult.WRONG_PASSWORD, told)
        return now_kept

    def _begin(self, user: User, source: str) -> LoggedIn:
        self._known.pop((user.name, source), None)
        while len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[user.name, source] = None
        is_limited = user.role in self._needs_second and user.second_factor is None
        identifier = self._sessions.begin(user.name, source, self._times.now(), is_limited=is_limited)
        return LoggedIn(user.name, identifier, is_limited)

    def _is_code(self, user: User, secret: bytes, code: str) -> bool:
        return self.takes_code(user.name, secret, code)

    async def _is_recovery(self, user: User, code: str) -> bool:
        """Whether it is a recovery code that is left. It is crossed out first: where that fails, it does not count."""
        kept = second_factor.kept_of(code)
        if kept not in user.recovery:
            return False

        crossed_out: list[str] = []

        def without(current: User) -> User:
            left = tuple(one for one in current.recovery if one != kept)
            crossed_out.extend(one for one in current.recovery if one == kept)
            return attrs.evolve(current, recovery=left)

        await self._register.change_user(user.name, without)
        return bool(crossed_out)

    def _take(self, name: str, source: str) -> None:
        """Count a try. Raises LogInRefused."""
        now = self._times.now()
        if not self._by_source.allows(source, now) or not self._by_name.allows(self._counted_as(name, source), now):
            raise LogInRefused(LogInResult.LIMITED)

    def _give_back(self, name: str, source: str) -> None:
        now = self._times.now()
        self._by_source.give_back(source, now)
        self._by_name.give_back(self._counted_as(name, source), now)

    def _counted_as(self, name: str, source: str) -> str:
        """The key of a count: it begins with its kind, so that no name that is typed reads like another one's."""
        return f"known {source} {name[:64]}" if (name, source) in self._known else f"name {name[:64]}"


def _proofs(user: User) -> tuple[str, bytes | None]:
    return user.password, user.second_factor
