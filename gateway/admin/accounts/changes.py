"""Changes of users, sessions and tokens, each in the audit with its author.

    API, pages -> AccountChanges -> Register (written first) -> sessions end -> audit

Here: the rules of each change. Not here: HTTP (`account_api`, `account_pages`), the right to a change (the routes'
roles). Sessions of a user end with a new password, at its disabling, and at a change of the second factor. A change of
role counts at the next request.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.admin.accounts import second_factor
from gateway.admin.accounts.hashing import Busy, Hashing
from gateway.admin.accounts.passwords import fault_of
from gateway.admin.accounts.sessions import UserSessions
from gateway.admin.accounts.users import ROLES, Register, User
from gateway.admin.inspection import NotChanged, Role, Row
from gateway.state.audit import AuditLog, Author


@attrs.frozen
class AccountChanges:
    """Makes them; `now` gives seconds since the epoch that pass evenly. Each raises NotChanged."""

    register: Register
    sessions: UserSessions
    hashing: Hashing
    audit: AuditLog
    now: Callable[[], float]
    token_days: int
    """The longest that a token may count."""
    gateway: str
    """The name that authenticator apps show."""

    async def add_user(self, name: str, role: str, password: str, author: Author) -> User:
        """Make a user."""
        user = User(name, role_named(role), await self._hash_of(password, name), self.now())
        await self.register.add_user(user)
        self.audit.write(author, "user-added", user=name, to=role)
        return user

    async def set_role(self, name: str, role: str, author: Author) -> User:
        """Give a user another role."""
        wanted, before = role_named(role), self._user(name).role
        user = await self.register.change_user(name, lambda found: attrs.evolve(found, role=wanted))
        self.audit.write(author, "user-role", user=name, **{"from": before.title, "to": role})
        return user

    async def set_enabled(self, name: str, author: Author, *, is_enabled: bool) -> User:
        """Let a user log in, or not any more. Its sessions are over either way: one that began meanwhile, too."""
        user = await self.register.change_user(name, lambda found: attrs.evolve(found, is_enabled=is_enabled))
        ended = self.sessions.end_of(name)
        self.audit.write(author, "user-enabled" if is_enabled else "user-disabled", user=name, sessions_ended=ended)
        return user

    async def set_password(self, name: str, password: str, author: Author) -> User:
        """Give a user another password; its sessions are over."""
        self._user(name)
        kept = await self._hash_of(password, name)
        user = await self.register.change_user(name, lambda found: attrs.evolve(found, password=kept))
        self.audit.write(author, "user-password", user=name, sessions_ended=self.sessions.end_of(name))
        return user

    async def set_second_factor(self, name: str, secret: bytes, author: Author) -> tuple[str, ...]:
        """Let a user prove itself by codes of that secret, too; the recovery codes, which nobody can tell again."""
        codes = second_factor.new_recovery_codes()
        kept = tuple(map(second_factor.kept_of, codes))
        await self.register.change_user(name, lambda found: attrs.evolve(found, second_factor=secret, recovery=kept))
        self.audit.write(author, "user-second-factor", user=name, to="set", sessions_ended=self.sessions.end_of(name))
        return codes

    async def remove_second_factor(self, name: str, author: Author) -> User:
        """Ask a user for its password alone."""
        user = await self.register.change_user(name, lambda found: attrs.evolve(found, second_factor=None, recovery=()))
        self.audit.write(author, "user-second-factor", user=name, to="none", sessions_ended=self.sessions.end_of(name))
        return user

    def end_sessions(self, name: str, author: Author) -> int:
        """End all sessions of a user; their number."""
        ended = self.sessions.end_of(self._user(name).name)
        self.audit.write(author, "sessions-ended", user=name, sessions_ended=ended)
        return ended

    def end_session(self, session: str, author: Author) -> None:
        """End one session by its name in the list."""
        found = self.sessions.end_named(session)
        if found is None:
            raise NotChanged("There is no such session.", status=404)
        self.audit.write(author, "sessions-ended", user=found.user, sessions_ended=1)

    async def add_token(self, name: str, role: str, days: int | None, author: Author) -> str:
        """Make a token; the token, which nobody can tell again. ``days``: how long it counts; None for the longest."""
        wanted = role_named(role)
        allowed = self.token_days if days is None else days
        if not 1 <= allowed <= self.token_days:
            raise NotChanged(f"days: a number from 1 to {self.token_days}, as [admin] token_days allows.")
        shown = await self.register.add_token(name, wanted, str(author), self.now(), allowed)
        self.audit.write(author, "token-created", token=name, to=role, days=allowed)
        return shown

    async def revoke_token(self, name: str, author: Author) -> None:
        """Take a token's right."""
        token = await self.register.revoke_token(name)
        self.audit.write(author, "token-revoked", token=name, **{"from": token.role.title})

    def app_address(self, name: str, secret: bytes) -> str:
        """The address that authenticator apps read."""
        return second_factor.address_for_app(secret, name, self.gateway)

    def users(self) -> list[Row]:
        """All users, without a secret."""
        of = [session.user for session in self.sessions.all(self.now())]
        return [user_row(user, of.count(user.name)) for user in self.register.users()]

    def tokens(self) -> list[Row]:
        """All tokens, without a secret."""
        now = self.now()
        return [
            {
                "name": token.name,
                "role": token.role.title,
                "created_by": token.created_by,
                "created_at": token.created_at,
                "expires_at": token.expires_at,
                "has_expired": now >= token.expires_at,
                "last_used_at": used,
            }
            for token, used in self.register.tokens()
        ]

    def open_sessions(self) -> list[Row]:
        """All sessions, the latest in use first; no id can be made from it."""
        return [
            {
                "name": session.name,
                "user": session.user,
                "source": session.source,
                "began_at": session.began_at,
                "seen_at": session.seen_at,
                "is_limited": session.is_limited,
            }
            for session in self.sessions.all(self.now())
        ]

    def _user(self, name: str) -> User:
        user = self.register.user(name)
        if user is None:
            raise NotChanged(f"There is no user {name}.", status=404)
        return user

    async def _hash_of(self, password: str, name: str) -> str:
        fault = fault_of(password, name)
        if fault is not None:
            raise NotChanged(fault)
        try:
            return await self.hashing.hash_of(password)
        except Busy:
            raise NotChanged("Too many passwords are being looked at: try again in a moment.", status=429) from None


def user_row(user: User, sessions: int = 0) -> Row:
    """A user for people and programs."""
    return {
        "name": user.name,
        "role": user.role.title,
        "enabled": user.is_enabled,
        "second_factor": user.second_factor is not None,
        "recovery_codes": len(user.recovery),
        "sessions": sessions,
        "created_at": user.created_at,
    }


def role_named(name: str) -> Role:
    """The role of that name. Raises NotChanged."""
    if name not in ROLES:
        raise NotChanged(f"role: found {name[:40]}, allowed: {', '.join(ROLES)}")
    return ROLES[name]
