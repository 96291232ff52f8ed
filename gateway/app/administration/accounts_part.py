"""Accounts: users, tokens and sessions of the administration interface, and the threads that hash passwords."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed

from gateway.admin.accounts.account_api import AccountApi
from gateway.admin.accounts.account_pages import AccountPages
from gateway.admin.accounts.changes import AccountChanges
from gateway.admin.accounts.door import Door
from gateway.admin.accounts.hashing import Hashing, Threads
from gateway.admin.accounts.log_in import LogIn, LogInClocks
from gateway.admin.accounts.log_in_pages import LogInNotes, LogInPages
from gateway.admin.accounts.sessions import UserSessions
from gateway.admin.accounts.store import SqliteAccounts, prepare_accounts
from gateway.admin.accounts.users import Register
from gateway.admin.inspection import Role
from gateway.admin.pages.desk import Desk
from gateway.admin.pages.user_pages import UserPages
from gateway.admin.permission import Operators
from gateway.admin.routes import HttpRoute
from gateway.app.parts import Basis, GatewayPart
from gateway.app.start_checks import tell
from gateway.config.doubts import of_administration
from gateway.state.audit import AuditLog
from gateway.state.sqlite import PooledDatabase

_NEEDS_SECOND = {
    "optional": frozenset[Role](),
    "admins": frozenset({Role.ADMIN}),
    "all": frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
}


class AccountsPart(GatewayPart):
    """Everybody that may use the administration interface."""

    def __init__(self, basis: Basis, audit: AuditLog) -> None:
        admin, reactor, clock = basis.configuration.admin, basis.reactor, basis.clock
        self._admin = admin
        path = basis.configuration.gateway.state_directory / "users.sqlite"
        self._file = SqliteAccounts(PooledDatabase(path, reactor, prepare_accounts, basis.replica))
        self._threads = Threads(reactor)
        self.register = Register(self._file)
        sessions = UserSessions(admin.session_hours, admin.idle_minutes)
        hashing = Hashing(self._threads.run)
        times = LogInClocks(clock.now, clock.wall)
        needs_second = _NEEDS_SECOND[admin.second_factor]
        log_in = LogIn(self.register, sessions, hashing, times, needs_second)
        operators = Operators.named(admin.operators)
        self.door = Door(self.register, sessions, operators, admin.metrics_from, clock.now, needs_second)
        basis.metrics.admin_sessions.set_function(lambda: sessions.count(clock.now()))
        name = basis.configuration.gateway.name
        self.changes = AccountChanges(self.register, sessions, hashing, audit, clock.now, admin.token_days, name)
        self._notes, self._log_in, self._needs_second = LogInNotes(self.changes, basis.metrics), log_in, needs_second

    def routes(self, desk: Desk) -> tuple[HttpRoute, ...]:
        """All of them; the desk draws their pages."""
        changes, log_in, notes = self.changes, self._log_in, self._notes
        return (
            *LogInPages(log_in, changes, desk, notes).routes(),
            *AccountPages(log_in, changes, desk, notes, self._needs_second).routes(),
            *UserPages(changes, desk).routes(),
            *AccountApi(changes, self._threads.run).routes(),
        )

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Read the users: before anything is answered. Never fails; a file that cannot be read lets nobody in."""
        yield Deferred.fromCoroutine(self.register.read())
        self._threads.start()
        tell(of_administration(self._admin, has_users=not self.register.is_open_to_all))

    def stop(self) -> Deferred[None]:
        """Let go of the file and the threads."""
        self._threads.stop()
        self._file.close()
        return succeed(None)
