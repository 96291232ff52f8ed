"""Sessions: how long they last, how many there are, and that no id is kept."""

from gateway.admin.accounts import sessions
from gateway.admin.accounts.sessions import UserSessions

HOUR = 3600.0


def test_a_session_is_found_by_its_id_alone() -> None:
    kept = UserSessions(12, 30)
    identifier = kept.begin("alice", "192.0.2.1", 0.0)
    assert (found := kept.find(identifier, 1.0)) is not None
    assert (found.user, found.source) == ("alice", "192.0.2.1")
    assert kept.find(identifier[:-1], 1.0) is None
    assert kept.find("", 1.0) is None
    assert kept.find(found.name, 1.0) is None, "the name in the list is no id"
    assert identifier not in repr(vars(kept)), "no id is kept"


def test_an_idle_session_ends_and_one_in_use_ends_after_its_hours() -> None:
    kept = UserSessions(12, 30)
    idle, used = kept.begin("alice", "", 0.0), kept.begin("alice", "", 0.0)
    for minutes in range(0, 12 * 60, 20):
        assert kept.find(used, minutes * 60.0) is not None
    assert kept.find(idle, 30 * 60.0) is None
    assert kept.find(used, 12 * HOUR) is None
    assert kept.count(12 * HOUR) == 0


def test_ids_are_of_256_random_bits_and_none_occurs_twice() -> None:
    kept = UserSessions(12, 30)
    identifiers = {kept.begin("alice", "", 0.0) for _ in range(100)}
    assert len(identifiers) == 100
    assert {len(identifier) for identifier in identifiers} == {43}, "32 bytes in base64"


def test_a_user_has_so_many_and_the_one_idle_longest_goes() -> None:
    kept = UserSessions(12, 30)
    first, *rest = [kept.begin("alice", "", float(number)) for number in range(sessions.MOST_OF_ONE)]
    kept.find(first, 100.0)
    kept.begin("alice", "", 101.0)
    assert kept.find(first, 102.0) is not None
    assert kept.find(rest[0], 102.0) is None
    assert kept.count(102.0) == sessions.MOST_OF_ONE


def test_all_together_are_bounded() -> None:
    kept = UserSessions(12, 30)
    for number in range(sessions.MOST + 50):
        kept.begin(f"user{number}", "", float(number) / 1000)
    assert kept.count(2.0) == sessions.MOST


def test_sessions_of_a_user_end_together_and_one_by_its_name() -> None:
    kept = UserSessions(12, 30)
    of_alice = [kept.begin("alice", "", 0.0) for _ in range(3)]
    of_bob = kept.begin("bob", "", 0.0)
    (*_, name) = (one.name for one in kept.all(0.0) if one.user == "alice")
    assert kept.end_named(name) is not None
    assert kept.end_named(name) is None
    assert kept.end_of("alice") == 2
    assert [kept.find(one, 0.0) for one in of_alice] == [None] * 3
    assert kept.find(of_bob, 0.0) is not None
    kept.end(of_bob)
    assert kept.find(of_bob, 0.0) is None
