"""The register of users and tokens: a change is written first, and of a damaged file nobody is let in."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from gateway.admin.accounts.store import SqliteAccounts, prepare_accounts
from gateway.admin.accounts.users import PREFIX, Register, User
from gateway.admin.inspection import NotChanged, Role
from tests.admin.accounts.support import DISK_FULL, MemoryFile, done, register_of, user

DAY = 86_400.0


def test_before_the_first_user_the_interface_is_open_and_after_it_never_again() -> None:
    register = register_of()
    assert [register.is_open_to_all, done(register.add_user(user())), register.is_open_to_all] == [True, None, False]
    done(register.add_user(user("bob")))
    done(register.change_user("alice", lambda found: attrs.evolve(found, is_enabled=False)))
    assert not register.is_open_to_all, "disabled users are users"


def test_a_register_that_was_not_read_or_cannot_be_is_not_open() -> None:
    assert not Register(MemoryFile()).is_open_to_all
    file = MemoryFile(user())
    file.error = DISK_FULL
    register = Register(file)
    done(register.read())
    file.error = None
    assert not register.is_open_to_all
    assert register.user("alice") is None
    with pytest.raises(NotChanged, match="could not be read"):
        done(register.add_user(user("mallory")))
    assert [*file.users] == ["alice"]


@pytest.mark.parametrize("name", ["", "Alice", "al ice", "../etc", "-x", "a" * 64, "ä", "a\n"])
def test_names_that_are_none_are_refused(name: str) -> None:
    register = register_of()
    with pytest.raises(NotChanged):
        done(register.add_user(user(name)))
    with pytest.raises(NotChanged):
        done(register.add_token(name, Role.VIEWER, "root", 0.0, 90))


def test_a_change_that_cannot_be_written_is_none() -> None:
    file = MemoryFile(user(), user("bob"))
    register = Register(file)
    done(register.read())
    token = done(register.add_token("prometheus", Role.VIEWER, "alice", 0.0, 90))
    file.error = DISK_FULL
    for change in (
        register.add_user(user("carol")),
        register.change_user("bob", lambda found: attrs.evolve(found, is_enabled=False)),
        register.revoke_token("prometheus"),
    ):
        with pytest.raises(NotChanged, match="disk is full"):
            done(change)
    bob = register.user("bob")
    assert register.user("carol") is None
    assert bob is not None
    assert bob.is_enabled
    assert register.token(token, 1.0) is not None


def test_the_last_administrator_stays() -> None:
    register = register_of(user(), user("bob", Role.VIEWER), user("carol", is_enabled=False))
    for changed in ({"is_enabled": False}, {"role": Role.OPERATOR}):

        def change(found: User, changed: dict[str, Any] = changed) -> User:
            return attrs.evolve(found, **changed)

        with pytest.raises(NotChanged, match="last administrator"):
            done(register.change_user("alice", change))
    done(register.add_user(user("dave")))
    done(register.change_user("alice", lambda found: attrs.evolve(found, is_enabled=False)))


def test_two_changes_at_once_are_both_made() -> None:
    waiting: list[Deferred[None]] = []

    class Slow(MemoryFile):
        """A file that takes its time."""

        def keep_user(self, user: object) -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

    register = Register(Slow(user(), user("bob")))
    done(register.read())
    Deferred.fromCoroutine(register.change_user("bob", lambda found: attrs.evolve(found, is_enabled=False)))
    Deferred.fromCoroutine(register.change_user("bob", lambda found: attrs.evolve(found, password="new")))
    assert len(waiting) == 1, "the second waits for the first"
    waiting[0].callback(None)
    waiting[1].callback(None)
    bob = register.user("bob")
    assert bob is not None
    assert (bob.is_enabled, bob.password) == (False, "new")


def test_a_token_is_shown_once_and_counts_until_it_expires_or_is_revoked() -> None:
    register = register_of(user())
    shown = done(register.add_token("prometheus", Role.VIEWER, "alice", 0.0, 90))
    assert shown.startswith(PREFIX)
    assert len(shown) == len(PREFIX) + 40
    assert shown not in repr(register.tokens())
    found = register.token(shown, 90 * DAY - 1)
    assert found is not None
    assert (found.role, found.created_by) == (Role.VIEWER, "alice")
    assert register.tokens()[0][1] == 90 * DAY - 1, "when it was last used"
    assert register.token(shown, 90 * DAY) is None
    assert register.token(shown[:-1], 1.0) is None
    done(register.revoke_token("prometheus"))
    assert register.token(shown, 1.0) is None
    with pytest.raises(NotChanged):
        done(register.revoke_token("prometheus"))


def test_there_is_no_token_before_there_is_a_user() -> None:
    with pytest.raises(NotChanged, match="user first"):
        done(register_of().add_token("prometheus", Role.VIEWER, "root", 0.0, 90))


def test_no_secret_is_in_the_text_of_a_user_or_token() -> None:
    register = register_of(user(second_factor=b"12345678901234567890", recovery=("abc",)))
    shown = done(register.add_token("prometheus", Role.VIEWER, "alice", 0.0, 90))
    said = repr((register.users(), register.tokens()))
    for secret in ("scrypt", "1234567890", "'abc'", shown, "digest"):
        assert secret not in said


class AtOnce:
    """A database whose work is done on this thread."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path)
        prepare_accounts(self.connection)

    def run_interaction(self, work):  # type: ignore[no-untyped-def]
        with self.connection:
            return maybeDeferred(work, self.connection.cursor())

    def close(self) -> None:
        self.connection.close()


def test_users_and_tokens_are_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "users.sqlite"
    database = AtOnce(path)
    register = Register(SqliteAccounts(database))
    done(register.read())
    done(register.add_user(user(second_factor=b"secret", recovery=("a", "b"))))
    done(register.add_user(user("bob", Role.VIEWER)))
    done(register.change_user("bob", lambda found: attrs.evolve(found, is_enabled=False)))
    shown = done(register.add_token("prometheus", Role.VIEWER, "alice", 5.0, 1))
    done(register.add_token("gone", Role.VIEWER, "alice", 5.0, 1))
    done(register.revoke_token("gone"))
    database.close()
    again = Register(SqliteAccounts(AtOnce(path)))
    done(again.read())
    assert again.users() == register.users()
    assert [token for token, _ in again.tokens()] == [token for token, _ in register.tokens()]
    assert again.token(shown, 6.0) is not None


@pytest.mark.parametrize(
    "damage", ["UPDATE user SET role = 'root'", "UPDATE user SET recovery = '{'", "PRAGMA user_version = 99"]
)
def test_a_damaged_file_lets_nobody_in_and_stays_where_it_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "users.sqlite"
    database = AtOnce(path)
    register = Register(SqliteAccounts(database))
    done(register.read())
    done(register.add_user(user()))
    database.connection.execute(damage)
    database.connection.commit()
    database.close()
    if "version" in damage:
        with pytest.raises(sqlite3.DatabaseError):
            AtOnce(path)
        return
    again = Register(SqliteAccounts(AtOnce(path)))
    done(again.read())
    assert not again.is_read
    assert not again.is_open_to_all
    assert path.exists()
