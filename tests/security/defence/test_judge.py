"""The judge: points and bans, trust before evidence, and that forged packets ban nobody."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.tables.defence_table import DefenceTerms
from gateway.observe.observations import Kind
from gateway.security.defence.bans import GRACE, BanState
from gateway.security.defence.judge import POINTS
from tests.security.defence.court import OFFICE, PROVIDER, STRANGER, Court

MINUTE = 60.0
DAY = 86_400.0


@pytest.fixture
def court() -> Court:
    return Court()


def test_guesses_at_one_password_are_throttled_by_the_fourth_and_banned_by_the_tenth(court: Court) -> None:
    for tries in range(1, 11):
        assert court.ban_of() is None
        court.sees(Kind.DIGEST_FAILED, who="100@example.com")
        assert court.judge.is_throttled(STRANGER, is_proved=False) is (4 <= tries < 10)
    ban = court.ban_of()

    assert ban is not None
    assert (ban.state, ban.reason, ban.seconds, ban.times) == (BanState.ACTIVE, "digest_failed", 600, 1)
    assert len(ban.evidence) == 10
    assert ban.users == ("100@example.com",)


def test_guesses_at_four_users_weigh_more(court: Court) -> None:
    for user in ("100", "101", "102"):
        court.sees(Kind.DIGEST_FAILED, who=f"{user}@example.com")
    assert court.judge.points(STRANGER) == (15.0, 0.0)
    for user in ("103", "104"):
        court.sees(Kind.DIGEST_FAILED, who=f"{user}@example.com")
    assert court.ban_of() is not None


def test_unknown_users_weigh_more_from_the_tenth_on(court: Court) -> None:
    for user in range(9):
        court.sees(Kind.USER_UNKNOWN, who=f"{user}@example.com")
    assert court.judge.points(STRANGER)[0] == 27.0
    for user in range(9, 11):
        court.sees(Kind.USER_UNKNOWN, who=f"{user}@example.com")
    assert court.ban_of() is not None


def test_points_halve_in_ten_minutes(court: Court) -> None:
    for _ in range(9):
        court.sees(Kind.DIGEST_FAILED, who="100@example.com")
    court.passes(10 * MINUTE)
    assert court.judge.points(STRANGER)[0] == pytest.approx(22.5)
    court.passes(10 * MINUTE)
    assert court.judge.points(STRANGER)[0] == pytest.approx(11.25)
    assert not court.judge.is_throttled(STRANGER, is_proved=False)


def test_of_ipv6_the_subscriber_is_judged(court: Court) -> None:
    for last in range(10):
        court.sees(Kind.DIGEST_FAILED, f"2001:db8:1:2::{last}", who="100@example.com")
    ban = court.ban_of("2001:db8:1:2:ffff::1")
    assert ban is not None
    assert ban.source == "2001:db8:1:2::/64"
    assert court.ban_of("2001:db8:1:3::1") is None


def test_each_ban_within_a_week_is_four_times_as_long_and_seven_days_at_most(court: Court) -> None:
    lengths = []
    for _ in range(8):
        court.sees(Kind.SCAN)
        ban = court.ban_of()
        assert ban is not None
        lengths.append(ban.seconds / MINUTE)
        court.passes(ban.seconds)
    assert lengths == [10, 40, 160, 640, 2560, 7 * 1440, 7 * 1440, 7 * 1440]
    court.passes(7 * DAY)
    court.sees(Kind.SCAN)
    again = court.ban_of()
    assert again is not None
    assert again.seconds == 10 * MINUTE


def test_a_ban_is_not_passed_twice(court: Court) -> None:
    for _ in range(20):
        court.sees(Kind.SCAN)
    assert [ban.times for ban in court.bans.current()] == [1]


def test_a_lifted_source_is_spared_for_a_day(court: Court) -> None:
    court.sees(Kind.SCAN)
    court.bans.lift(STRANGER, "alice")
    court.passes(GRACE - 1)
    court.sees(Kind.SCAN)
    assert court.ban_of() is None
    court.passes(1)
    court.sees(Kind.SCAN)
    assert court.ban_of() is not None


@pytest.mark.parametrize("host", [PROVIDER, f"::ffff:{PROVIDER}", "127.0.0.9", "::1"])
def test_nothing_is_held_against_those_that_are_never_banned(court: Court, host: str) -> None:
    for kind in POINTS:
        for _ in range(50):
            court.sees(kind, host, who="100@example.com")
    assert court.bans.current() == ()
    assert len(court.judge) == 0


def test_a_known_source_is_not_banned_for_one_user(court: Court) -> None:
    """A phone with a stale password behind the NAT of an office."""
    for _ in range(200):
        court.sees(Kind.DIGEST_FAILED, OFFICE, who="100@example.com")
        court.sees(Kind.USER_UNKNOWN, OFFICE, who="gone@example.com")
        court.sees(Kind.MALFORMED, OFFICE)
    assert court.bans.current() == ()
    assert not court.judge.is_throttled(OFFICE, is_proved=False)


def test_ten_failing_users_of_a_known_source_ask_an_operator(court: Court) -> None:
    for user in range(9):
        court.sees(Kind.DIGEST_FAILED, OFFICE, who=f"{user}@example.com")
    assert court.ban_of(OFFICE) is None
    court.sees(Kind.DIGEST_FAILED, OFFICE, who="9@example.com")
    ban = court.ban_of(OFFICE)

    assert ban is not None
    assert ban.state is BanState.WAITING
    assert len(ban.users) == 10


def test_failing_users_count_for_ten_minutes(court: Court) -> None:
    for user in range(40):
        court.sees(Kind.DIGEST_FAILED, OFFICE, who=f"{user}@example.com")
        court.passes(70)
    assert court.ban_of(OFFICE) is None


def test_a_source_that_gets_a_phone_is_not_banned_for_itself(court: Court) -> None:
    """It becomes known in the middle of the judgement."""
    court.sees(Kind.MALFORMED)
    court.bindings[STRANGER] = 1
    for _ in range(10):
        court.sees(Kind.SCAN)
    assert court.ban_of() is None
    del court.bindings[STRANGER]
    court.sees(Kind.SCAN)
    assert court.ban_of() is not None


def test_a_granted_registration_makes_a_source_known(court: Court) -> None:
    for _ in range(9):
        court.sees(Kind.DIGEST_FAILED, who="100@example.com")
    court.sees(Kind.GRANTED, who="100@example.com")
    for _ in range(50):
        court.sees(Kind.DIGEST_FAILED, who="100@example.com")
    assert court.ban_of() is None
    assert court.kept == [(STRANGER, court.times.at)]
    court.passes(30 * DAY)
    court.sees(Kind.SCAN)
    assert court.ban_of() is not None


def test_the_first_week_only_reports() -> None:
    court = Court(DefenceTerms())
    court.sees(Kind.SCAN)
    would = court.ban_of()
    assert would is not None
    assert would.state is BanState.WOULD_BE

    court.passes(7 * DAY)
    court.sees(Kind.SCAN)
    ban = court.ban_of()
    assert ban is not None
    assert (ban.state, ban.times, ban.seconds) == (BanState.ACTIVE, 1, 10 * MINUTE)  # reports make no ban longer


def test_a_report_gives_way_to_a_ban_when_the_mode_changes() -> None:
    court = Court(DefenceTerms(mode="report"))
    court.sees(Kind.SCAN)
    court.mode.adopt("defend")
    court.sees(Kind.SCAN)
    ban = court.ban_of()
    assert ban is not None
    assert ban.state is BanState.ACTIVE


def test_off_is_off() -> None:
    court = Court(DefenceTerms(mode="off"))
    court.sees(Kind.SCAN)
    assert court.bans.current() == ()
    assert len(court.judge) == 0


def test_many_users_tried_are_a_scan_and_an_answered_one_is_not(court: Court) -> None:
    for user in range(30):
        court.sees(Kind.CHALLENGED, proved=False, who=f"1{user}@example.com")
        if user < 11:
            court.sees(Kind.ANSWERED, proved=False, who=f"1{user}@example.com")
    assert not court.judge.is_scanning(STRANGER, "200@example.com", is_proved=False)
    court.sees(Kind.CHALLENGED, proved=False, who="130@example.com")
    assert court.judge.is_scanning(STRANGER, "200@example.com", is_proved=False)
    assert not court.judge.is_scanning(
        STRANGER, "130@example.com", is_proved=False
    )  # one that was tried may be tried again
    court.passes(120)
    assert not court.judge.is_scanning(STRANGER, "200@example.com", is_proved=False)


bad = st.sampled_from([*POINTS])
hosts = st.sampled_from([STRANGER, OFFICE, PROVIDER, "2001:db8::1", "2001:db8::2", "127.0.0.1"])
forged = st.tuples(bad, hosts, st.integers(0, 40), st.floats(0, 900))


@settings(max_examples=200)
@given(st.lists(forged, max_size=300))
def test_forged_packets_ban_nobody_whatever_their_order(seen: list[tuple[Kind, str, int, float]]) -> None:
    court = Court()
    for kind, host, user, pause in seen:
        court.sees(kind, host, proved=False, who=f"{user}@example.com")
        court.passes(pause)
    assert court.bans.current() == ()
    assert court.judge.points(STRANGER)[0] == 0.0


proved = st.tuples(bad, hosts, st.integers(0, 40), st.floats(0, 60))


@settings(max_examples=100)
@given(st.lists(st.one_of(forged.map(lambda one: (False, *one)), proved.map(lambda one: (True, *one))), max_size=120))
def test_forged_packets_between_proved_ones_change_no_ban(seen: list[tuple[bool, Kind, str, int, float]]) -> None:
    """The same bans at the same moments with the forged ones as without."""

    def sentences(with_forged: bool) -> list[tuple[str, str, float]]:
        court = Court()
        heard: list[tuple[str, str, float]] = []
        court.bans.listen(lambda ban: heard.append((ban.source, str(ban.state), ban.since)))
        for is_proved, kind, host, user, pause in seen:
            if is_proved or with_forged:
                court.sees(kind, host, proved=is_proved, who=f"{user}@example.com")
            court.passes(pause)
        return heard

    assert sentences(with_forged=True) == sentences(with_forged=False)


def forged_hosts(count: int) -> list[str]:
    return [f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}" for index in range(count)]


def test_100_000_forged_sources_are_remembered_and_no_more_and_hide_nobody(court: Court) -> None:
    hosts = forged_hosts(102_000)
    for host in hosts[:100_000]:
        court.sees(Kind.STRANGER, host, proved=False)
    before = time.perf_counter()
    for host in hosts[100_000:]:
        court.sees(Kind.STRANGER, host, proved=False)
    each = (time.perf_counter() - before) / 2_000

    assert len(court.judge) == 100_000
    assert each < 1e-3  # some 30 us on an idle machine: a scan of the table would take 10 ms
    assert court.judge.points(hosts[-1]) == (0.0, 0.0)
    court.sees(Kind.SCAN)
    assert court.ban_of() is not None  # the proved have a table of their own


def test_a_forged_source_takes_some_hundred_bytes(court: Court) -> None:
    hosts = forged_hosts(10_000)
    tracemalloc.start()
    for host in hosts:
        court.sees(Kind.STRANGER, host, proved=False)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / len(hosts) < 600
