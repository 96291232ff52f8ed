"""users.sqlite: users and tokens in the state directory, readable by the gateway's user alone.

Here: rows in and out. Not here: their meaning and the order of changes (`users`). Other files of the state directory
are put aside when they are damaged, since calls matter more. Not this one: without its users the interface would be
open as it was before the first. So a file that cannot be read stays where it is, until root mends or removes it.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Final

from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred

from gateway.admin.accounts.users import ROLES, DamagedAccounts, Token, User
from gateway.state.sqlite import Database, check_version, locked, set_version

_VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS user (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, created_at REAL NOT NULL,
    is_enabled INTEGER NOT NULL, second_factor BLOB, recovery TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS token (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, digest TEXT NOT NULL UNIQUE, created_by TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL
) STRICT;
"""


def prepare_accounts(connection: sqlite3.Connection) -> None:
    """Lock a new connection's file and make its tables. Raises sqlite3.Error."""
    check_version(locked(connection), _VERSION)
    connection.execute("PRAGMA synchronous = FULL")  # a change that was answered survives a power cut
    connection.execute("PRAGMA secure_delete = ON")  # an old hash does not stay on a free page
    connection.executescript(_TABLES)
    set_version(connection, _VERSION)


class SqliteAccounts:
    """An AccountFile; `database` was prepared by `prepare_accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Deferred[tuple[list[User], list[Token]]]:
        """See AccountFile."""
        return self._database.run_interaction(_load)

    def keep_user(self, user: User) -> Deferred[None]:
        """See AccountFile."""
        row = (user.name, user.role.title, user.password, user.created_at, user.is_enabled, user.second_factor)
        return self._run("INSERT OR REPLACE INTO user VALUES (?, ?, ?, ?, ?, ?, ?)", *row, json.dumps(user.recovery))

    def keep_token(self, token: Token) -> Deferred[None]:
        """See AccountFile."""
        row = (token.name, token.role.title, token.digest, token.created_by, token.created_at, token.expires_at)
        return self._run("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)", *row)

    def drop_token(self, name: str) -> Deferred[None]:
        """See AccountFile."""
        return self._run("DELETE FROM token WHERE name = ?", name)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _run(self, statement: str, *values: object) -> Deferred[None]:
        def work(transaction: Transaction) -> None:
            transaction.execute(statement, values)

        return self._database.run_interaction(work)


def _load(transaction: Transaction) -> tuple[list[User], list[Token]]:
    try:
        users = [_user(row) for row in transaction.execute("SELECT * FROM user").fetchall()]
        tokens = [_token(row) for row in transaction.execute("SELECT * FROM token").fetchall()]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedAccounts(f"a row cannot be understood: {error}") from None
    return users, tokens


def _user(row: tuple[str, str, str, float, int, bytes | None, str]) -> User:
    name, role, password, created_at, is_enabled, second_factor, recovery = row
    codes = tuple(str(code) for code in json.loads(recovery))
    return User(name, ROLES[role], password, created_at, bool(is_enabled), second_factor, codes)


def _token(row: tuple[str, str, str, str, float, float]) -> Token:
    name, role, digest, created_by, created_at, expires_at = row
    return Token(name, ROLES[role], digest, created_by, created_at, expires_at)
