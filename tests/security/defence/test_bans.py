"""The table of bans: states, times, escalation, grace, and that nobody gets in who is never banned."""

from __future__ import annotations

import attrs
import pytest

from gateway.security.defence.bans import (
    CAPACITY,
    GRACE,
    HOUR,
    PATIENCE,
    WEEK,
    Ban,
    Bans,
    BanState,
    NeverBanned,
    NoSuchBan,
)

SOURCE = "192.0.2.7"
PROVIDER = "203.0.113.1"


class Table:
    """Bans, a clock, and all that a listener heard."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.now = 1_000_000.0
        self.heard: list[Ban] = []
        self.bans = Bans(lambda: self.now, lambda source: source != PROVIDER, capacity)
        self.bans.listen(self.heard.append)

    def ban(self, source: str = SOURCE, seconds: float = 600, state: BanState = BanState.ACTIVE) -> Ban:
        return self.bans.ban(Ban(source, "scan", self.now, self.now + seconds, state=state))

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.bans.expire()


@pytest.fixture
def table() -> Table:
    return Table()


def test_a_ban_lasts_as_long_as_it_says(table: Table) -> None:
    made = table.ban()

    assert table.bans.of(SOURCE) == made
    assert table.bans.current() == (made,)
    table.passes(599)
    assert table.bans.of(SOURCE) == made
    table.passes(1)
    assert table.bans.of(SOURCE) is None
    assert table.bans.current() == ()
    assert [(ban.state, ban.ended) for ban in table.heard] == [
        (BanState.ACTIVE, None),
        (BanState.EXPIRED, made.until),
    ]


def test_each_ban_within_a_week_is_counted(table: Table) -> None:
    assert [table.ban().times, table.ban().times] == [1, 2]
    table.passes(600 + WEEK - 1)
    assert table.ban().times == 3
    table.passes(600)
    table.passes(WEEK)
    assert table.ban().times == 1


def test_lifted_is_spared_for_a_day_and_not_counted(table: Table) -> None:
    table.ban()
    lifted = table.bans.lift(SOURCE, "alice")

    assert (lifted.state, lifted.by, lifted.ended) == (BanState.LIFTED, "alice", table.now)
    assert table.bans.is_spared(SOURCE)
    assert table.heard[-1] == lifted
    assert table.bans.times(SOURCE) == 0
    table.passes(GRACE)
    assert not table.bans.is_spared(SOURCE)
    with pytest.raises(NoSuchBan):
        table.bans.lift(SOURCE, "alice")


def test_approval_gives_the_whole_time_from_then_on(table: Table) -> None:
    waiting = table.ban(state=BanState.WAITING)
    table.passes(3 * HOUR)
    approved = table.bans.approve(waiting.id, "alice")

    assert (approved.state, approved.since, approved.seconds, approved.by) == (
        BanState.ACTIVE,
        table.now,
        600,
        "alice",
    )
    with pytest.raises(NoSuchBan):
        table.bans.approve(waiting.id, "alice")


def test_nothing_waits_for_ever(table: Table) -> None:
    waiting = table.ban(state=BanState.WAITING)
    table.passes(PATIENCE)

    assert table.heard[-1].state is BanState.EXPIRED
    with pytest.raises(NoSuchBan):
        table.bans.approve(waiting.id, "alice")


def test_a_source_that_is_never_banned_gets_in_by_no_way(table: Table) -> None:
    with pytest.raises(NeverBanned, match=PROVIDER):
        table.ban(PROVIDER)
    table.bans.restore([Ban(PROVIDER, "operator", table.now, table.now + 600)])
    assert table.bans.current() == ()
    assert table.heard == []


def test_a_source_that_became_one_while_it_waited_is_not_approved() -> None:
    never: set[str] = set()
    bans = Bans(lambda: 0.0, lambda source: source not in never)
    waiting = bans.ban(Ban(SOURCE, "scan", 0.0, 600.0, state=BanState.WAITING))
    never.add(SOURCE)

    with pytest.raises(NeverBanned):
        bans.approve(waiting.id, "alice")


def test_bans_outlive_a_restart(table: Table) -> None:
    """A file that keeps the latest value of each source, as a listener heard it, is enough."""
    table.ban("192.0.2.1")
    table.ban("192.0.2.2")
    table.bans.lift("192.0.2.2", "alice")
    table.ban("192.0.2.3", seconds=60)
    table.ban("192.0.2.4", state=BanState.WAITING)
    kept = {ban.source: ban for ban in table.heard}

    after = Table()
    after.now = table.now + 120
    after.bans.restore(kept.values())
    assert {ban.source for ban in after.bans.current()} == {"192.0.2.1", "192.0.2.4"}
    assert after.bans.of("192.0.2.1") == kept["192.0.2.1"]
    assert after.bans.is_spared("192.0.2.2")
    assert after.ban("192.0.2.3").times == 2
    assert after.ban("192.0.2.9").id > max(ban.id for ban in kept.values())
    assert BanState.ACTIVE in {ban.state for ban in after.heard if ban.source == "192.0.2.1"}


def test_the_table_is_bounded_and_a_source_that_falls_out_is_let_in() -> None:
    table = Table(capacity=3)
    for last in range(5):
        table.ban(f"192.0.2.{last}")

    assert len(table.bans) == 3
    gone = [ban.source for ban in table.heard if ban.state is BanState.EXPIRED]
    assert gone == ["192.0.2.0", "192.0.2.1"]


def test_many_bans_of_the_defence_end_none_that_an_operator_ordered_or_approved() -> None:
    table = Table(capacity=3)
    ordered = table.bans.ban(Ban("198.51.100.1", "operator", table.now, table.now + WEEK, by="anna"))
    approved = table.bans.approve(table.ban("198.51.100.2", state=BanState.WAITING).id, "anna")
    for last in range(200):
        table.ban(f"192.0.2.{last}")

    assert len(table.bans) == 3
    assert {ordered, approved} <= {*table.bans.current()}


def test_a_look_costs_nothing_while_no_ban_is_over_and_a_bounded_time_when_many_are() -> None:
    table = Table()
    for number in range(2_000):
        table.ban(f"2001:db8:0:{number:x}::/64")
        table.ban(f"2001:db8:0:{number:x}::/64", seconds=900)
    table.heard.clear()
    table.passes(600)  # those of before have none of the later ones end
    assert not table.heard
    ended = []
    table.now += 300
    while len(table.bans.current()):
        before = len(table.heard)
        table.bans.expire()
        ended.append(len(table.heard) - before)
    assert sum(ended) == 2_000
    assert max(ended) <= 500
    table.passes(WEEK)
    for _ in range(20):
        table.passes(2)
    assert len(table.bans) == 0


def test_a_listener_that_fails_keeps_no_other_from_hearing(table: Table) -> None:
    def fails(ban: Ban) -> None:
        raise ValueError(ban)

    heard: list[Ban] = []
    table.bans.listen(fails)
    table.bans.listen(heard.append)
    table.ban()
    assert len(heard) == 1


def test_evidence_and_users_are_bounded(table: Table) -> None:
    many = tuple(map(str, range(100)))
    made = table.bans.ban(Ban(SOURCE, "scan", table.now, table.now + 60, evidence=many, users=many))

    assert made.evidence == many[-20:]
    assert made.users == many[:20]
    assert made.as_json()["evidence"] == [*made.evidence]
    assert set(made.as_json()) == {field.name for field in attrs.fields(Ban)}
