"""Sessions of users: in memory only, found by the hash of the id that their browser keeps.

Pure; time is an argument (seconds, never going back). A session ends by itself after hours or when it was idle, with
the password's change, with the user's, and with the process. Neither this
process's memory nor the list has an id that could be sent: of its 256 random bits the SHA-256 is kept.

Not here: cookies (`proofs`), the proof that begins a session (`log_in`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import Final

import attrs

MOST: Final = 1_000
"""Sessions of all users; then the one that was idle longest goes."""

MOST_OF_ONE: Final = 20
"""Sessions of one user."""

_SHOWN: Final = 12
"""Digits of the hash that name a session in lists."""


@attrs.define
class UserSession:
    """One browser of one user."""

    user: str
    name: str
    """For lists and for ending it; no id can be made from it."""
    began_at: float
    seen_at: float
    source: str
    """The address that the log-in came from."""
    is_limited: bool
    """Whether it may do nothing yet but set up a second factor."""


class UserSessions:
    """All that are open."""

    def __init__(self, hours: float, idle_minutes: float) -> None:
        self._longest = hours * 3600.0
        self._idle = idle_minutes * 60.0
        self._open: dict[str, UserSession] = {}

    def begin(self, user: str, source: str, now: float, *, is_limited: bool = False) -> str:
        """A new session; the id for the browser."""
        self._forget_old(now)
        own = sorted(self._of(user), key=lambda key: self._open[key].seen_at)
        for key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
            del self._open[key]
        if len(self._open) >= MOST:
            del self._open[min(self._open, key=lambda key: self._open[key].seen_at)]
        identifier = secrets.token_urlsafe(32)
        key = _hash(identifier)
        self._open[key] = UserSession(user, key[:_SHOWN], now, now, source, is_limited)
        return identifier

    def find(self, identifier: str, now: float, *, is_use: bool = True) -> UserSession | None:
        """The session of an id; None where there is none or no more. ``is_use``: whether it is in use by that."""
        key = _hash(identifier)
        session = self._open.get(key)
        if session is None:
            return None
        if not self._is_alive(session, now):
            del self._open[key]
            return None
        if is_use:
            session.seen_at = now
        return session

    def end(self, identifier: str) -> None:
        """End one by its id."""
        self._open.pop(_hash(identifier), None)

    def end_named(self, name: str) -> UserSession | None:
        """End one by its name in the list; the session, None where there is none of that name."""
        for key, session in self._open.items():
            if session.name == name:
                return self._open.pop(key)
        return None

    def end_of(self, user: str) -> int:
        """End all of one user; their number."""
        keys = [*self._of(user)]
        for key in keys:
            del self._open[key]
        return len(keys)

    def all(self, now: float) -> list[UserSession]:
        """Those that are open, the latest in use first."""
        self._forget_old(now)
        return sorted(self._open.values(), key=lambda session: -session.seen_at)

    def count(self, now: float) -> int:
        """Their number."""
        self._forget_old(now)
        return len(self._open)

    def _of(self, user: str) -> Iterator[str]:
        return (key for key, session in self._open.items() if session.user == user)

    def _is_alive(self, session: UserSession, now: float) -> bool:
        return now - session.began_at < self._longest and now - session.seen_at < self._idle

    def _forget_old(self, now: float) -> None:
        for key in [key for key, session in self._open.items() if not self._is_alive(session, now)]:
            del self._open[key]


def _hash(identifier: str) -> str:
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()
