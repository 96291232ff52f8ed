"""Log-in: proofs in their order, limits, and nothing that tells which names exist."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.admin.accounts.log_in import (
    MOST_STEPS,
    STEP_SECONDS,
    TRIES,
    CodeWanted,
    LoggedIn,
    LogInRefused,
    LogInResult,
)
from gateway.admin.accounts.second_factor import code_at, kept_of
from gateway.admin.accounts.users import Register
from gateway.admin.inspection import NotChanged, Role
from gateway.base.rate import RateLimit
from tests.admin.accounts.support import DISK_FULL, PASSWORD, SECRET, Entrance, MemoryFile, done, register_of, user

WRONG = "wrong horse battery"
HERE, THERE = "192.0.2.1", "192.0.2.2"


def refused(entrance: Entrance, name: str, password: str = WRONG, source: str = HERE) -> LogInResult:
    with pytest.raises(LogInRefused) as error:
        done(entrance.log_in.with_password(name, password, source))
    return error.value.result


def test_the_right_password_begins_a_session() -> None:
    entrance = Entrance(register_of(user()))
    proved = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    assert isinstance(proved, LoggedIn)
    found = entrance.sessions.find(proved.identifier, entrance.now)
    assert found is not None
    assert (found.user, found.is_limited) == ("alice", False)
    assert proved.identifier not in repr(proved)


@pytest.mark.parametrize("name", ["alice", "nobody", "disabled", "", "x" * 100_000, "\udcff"])
def test_wrong_names_and_passwords_cost_and_say_the_same(name: str) -> None:
    entrance = Entrance(register_of(user(), user("disabled", is_enabled=False)))
    assert refused(entrance, name) is LogInResult.WRONG_PASSWORD
    assert entrance.hashed == 1, "a password is hashed for every name"
    assert entrance.sessions.count(entrance.now) == 0


def test_a_disabled_user_and_an_endless_password_are_refused() -> None:
    entrance = Entrance(register_of(user(), user("disabled", is_enabled=False)))
    assert refused(entrance, "disabled", PASSWORD) is LogInResult.WRONG_PASSWORD
    assert refused(entrance, "alice", PASSWORD + "x" * 1_000_000) is LogInResult.WRONG_PASSWORD


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_five_wrong_ones_then_one_a_minute_for_every_name_alike(name: str) -> None:
    entrance = Entrance(register_of(user()))
    said = [refused(entrance, name, source=f"192.0.2.{number}") for number in range(TRIES.burst + 5)]
    assert said == [LogInResult.WRONG_PASSWORD] * TRIES.burst + [LogInResult.LIMITED] * 5
    assert entrance.hashed == TRIES.burst, "nothing is hashed beyond the limit"
    assert refused(entrance, name, PASSWORD) is LogInResult.LIMITED, "not even the right one"
    entrance.now += 60
    assert refused(entrance, name) is LogInResult.WRONG_PASSWORD
    assert refused(entrance, name) is LogInResult.LIMITED


def test_one_source_has_five_for_all_names_together() -> None:
    entrance = Entrance(register_of(user()))
    said = [refused(entrance, f"name{number}") for number in range(TRIES.burst + 1)]
    assert said[-1] is LogInResult.LIMITED
    assert refused(entrance, "other", source=THERE) is LogInResult.WRONG_PASSWORD


def test_right_ones_are_not_limited() -> None:
    entrance = Entrance(register_of(user()))
    for _ in range(TRIES.burst * 4):
        done(entrance.log_in.with_password("alice", PASSWORD, HERE))


def test_a_flood_of_a_name_from_elsewhere_does_not_keep_its_user_out() -> None:
    entrance = Entrance(register_of(user()))
    done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    for number in range(50):
        refused(entrance, "alice", source=f"198.51.100.{number}")
    done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    assert refused(entrance, "alice", PASSWORD, THERE) is LogInResult.LIMITED


def test_a_name_that_reads_like_a_known_source_takes_nothing_of_its_count() -> None:
    entrance = Entrance(register_of(user()))
    done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    for number in range(TRIES.burst):
        refused(entrance, f"alice from {HERE}", source=THERE)
        refused(entrance, f"{HERE} alice", source=f"198.51.100.{number}")
        refused(entrance, "alice", source=f"203.0.113.{number}")
    done(entrance.log_in.with_password("alice", PASSWORD, HERE))


def test_a_second_factor_is_wanted_after_the_password_and_rotates_to_a_session() -> None:
    entrance = Entrance(register_of(user(second_factor=SECRET)))
    step = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    assert isinstance(step, CodeWanted)
    assert entrance.sessions.count(entrance.now) == 0, "the password alone is no session"
    assert entrance.sessions.find(step.identifier, entrance.now) is None
    code = code_at(SECRET, int(entrance.now) // 30)
    proved = done(entrance.log_in.with_code(step.identifier, code, HERE))
    assert proved.identifier != step.identifier
    with pytest.raises(LogInRefused):
        done(entrance.log_in.with_code(step.identifier, code, HERE))


def code_refused(entrance: Entrance, step: LoggedIn | CodeWanted, code: str) -> LogInResult:
    with pytest.raises(LogInRefused) as error:
        done(entrance.log_in.with_code(step.identifier, code, HERE))
    return error.value.result


def test_codes_are_wrong_late_used_before_or_too_many() -> None:
    entrance = Entrance(register_of(user(second_factor=SECRET)))
    code = code_at(SECRET, int(entrance.now) // 30)
    step = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    assert code_refused(entrance, step, "000000") is LogInResult.WRONG_CODE
    assert code_refused(entrance, CodeWanted("nonsense"), code) is LogInResult.WRONG_CODE
    done(entrance.log_in.with_code(step.identifier, code, HERE))
    again = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    assert code_refused(entrance, again, code) is LogInResult.WRONG_CODE, "a code counts once"
    entrance.now += STEP_SECONDS
    late = code_at(SECRET, int(entrance.now) // 30)
    assert code_refused(entrance, again, late) is LogInResult.WRONG_CODE, "a step lasts five minutes"


def test_guessing_codes_with_the_password_known_is_limited() -> None:
    entrance = Entrance(register_of(user(second_factor=SECRET)))
    guesses = 0
    for _ in range(100):
        with suppress(LogInRefused):
            step = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
            while code_refused(entrance, step, "000000") is not LogInResult.LIMITED:
                guesses += 1
    assert refused(entrance, "alice", PASSWORD) is LogInResult.LIMITED
    assert guesses <= TRIES.burst


def test_a_recovery_code_counts_once_and_not_where_that_cannot_be_noted() -> None:
    file = MemoryFile(user(second_factor=SECRET, recovery=(kept_of("aaaa-bbbb"), kept_of("cccc-dddd"))))
    entrance = Entrance(register_of(*file.users.values()))
    step = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    done(entrance.log_in.with_code(step.identifier, "AAAA BBBB", HERE))
    step = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    assert code_refused(entrance, step, "aaaa-bbbb") is LogInResult.WRONG_CODE
    entrance.register._file.error = DISK_FULL  # type: ignore[attr-defined]
    with pytest.raises(NotChanged):
        done(entrance.log_in.with_code(step.identifier, "cccc-dddd", HERE))
    assert entrance.sessions.count(entrance.now) == 1


def test_a_password_that_is_changed_meanwhile_begins_nothing() -> None:
    entrance = Entrance(register_of(user(second_factor=SECRET)))
    step = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    done(entrance.register.change_user("alice", lambda found: attrs.evolve(found, password="another")))
    code = code_at(SECRET, int(entrance.now) // 30)
    assert code_refused(entrance, step, code) is LogInResult.WRONG_CODE


@pytest.mark.parametrize("changed", [{"password": "another"}, {"is_enabled": False}, {"second_factor": b"another"}])
def test_a_user_that_is_changed_while_a_recovery_code_is_crossed_out_begins_nothing(changed: dict[str, Any]) -> None:
    writes: list[Deferred[None]] = []

    class Slow(MemoryFile):
        """A file that takes its time."""

        def keep_user(self, user: object) -> Deferred[None]:
            writes.append(Deferred())
            return writes[-1]

    alice = user(second_factor=SECRET, recovery=(kept_of("aaaa-bbbb"),))
    register = Register(Slow(alice, user("bob")))
    done(register.read())
    entrance = Entrance(register)
    step = done(entrance.log_in.with_password("alice", PASSWORD, HERE))
    Deferred.fromCoroutine(register.change_user("alice", lambda found: attrs.evolve(found, role=Role.VIEWER)))
    Deferred.fromCoroutine(register.change_user("alice", lambda found: attrs.evolve(found, **changed)))
    refusals: list[Failure] = []
    proof = entrance.log_in.with_code(step.identifier, "aaaa-bbbb", HERE)
    Deferred.fromCoroutine(proof).addErrback(refusals.append)
    while writes:
        writes.pop(0).callback(None)
    assert refusals[0].check(LogInRefused)
    assert entrance.sessions.count(entrance.now) == 0


def test_a_role_that_needs_a_second_factor_gets_a_limited_session_until_there_is_one() -> None:
    entrance = Entrance(register_of(user(), user("bob", Role.VIEWER)), needs_second=frozenset({Role.ADMIN}))
    for name, is_limited in (("alice", True), ("bob", False)):
        proved = done(entrance.log_in.with_password(name, PASSWORD, HERE))
        assert isinstance(proved, LoggedIn)
        assert proved.is_limited is is_limited


def test_memory_of_log_ins_is_bounded() -> None:
    entrance = Entrance(register_of(user(second_factor=SECRET)))
    for number in range(MOST_STEPS + 20):
        entrance.now += 1 if number % 2 else 0
        source = f"10.0.{number // 250}.{number % 250}"
        entrance.log_in._by_name = RateLimit(TRIES)
        done(entrance.log_in.with_password("alice", PASSWORD, source))
    assert len(entrance.log_in._steps) == MOST_STEPS


def test_beginning_again_ends_every_other_session() -> None:
    entrance = Entrance(register_of(found := user()))
    before = [done(entrance.log_in.with_password("alice", PASSWORD, HERE)) for _ in range(3)]
    after = entrance.log_in.begin_again(found, HERE)
    assert [entrance.sessions.find(one.identifier, entrance.now) for one in before] == [None] * 3
    assert entrance.sessions.find(after.identifier, entrance.now) is not None
