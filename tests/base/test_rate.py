"""Token buckets: a burst, then the rate; and a table that stays small whatever addresses come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.base.rate import Rate, RateLimit, source_of


def test_a_burst_then_the_rate() -> None:
    limit = RateLimit(Rate(2.0, 4))
    assert [limit.allows("192.0.2.1", 0.0) for _ in range(6)] == [True] * 4 + [False] * 2
    assert [limit.allows("192.0.2.1", 0.5) for _ in range(2)] == [True, False]
    assert [limit.allows("192.0.2.1", 60.0) for _ in range(6)] == [True] * 4 + [False] * 2


def test_sources_do_not_take_from_each_other() -> None:
    limit = RateLimit(Rate(1.0, 1))
    assert limit.allows("192.0.2.1", 0.0)
    assert limit.allows("192.0.2.2", 0.0)
    assert not limit.allows("192.0.2.1", 0.0)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("name", "name"),
    ],
)
def test_who_an_address_belongs_to(host: str, source: str) -> None:
    assert source_of(host) == source


def test_a_flood_of_addresses_shares_one_bucket_and_leaves_the_others_alone() -> None:
    limit = RateLimit(Rate(1.0, 2), capacity=10)
    for number in range(10):
        limit.allows(f"10.0.0.{number}", 0.0)
    allowed = sum(limit.allows(f"10.1.{number // 250}.{number % 250}", 0.0) for number in range(1_000))
    assert allowed == 2
    assert limit.allows("10.0.0.1", 0.0)
    assert len(limit) == 10


def test_quiet_sources_make_room() -> None:
    limit = RateLimit(Rate(1.0, 2), capacity=10)
    for number in range(10):
        limit.allows(f"10.0.0.{number}", 0.0)
    assert [limit.allows("10.9.9.9", 2.0) for _ in range(3)] == [True, True, False]
    assert len(limit) <= 10


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 3.0)), max_size=60), st.integers(1, 4))
def test_no_source_gets_more_than_its_burst_and_rate(steps: list[tuple[int, float]], capacity: int) -> None:
    limit = RateLimit(Rate(1.0, 3), capacity)
    now = 0.0
    taken: dict[int, int] = {}
    for number, wait in steps:
        now += wait
        taken[number] = taken.get(number, 0) + limit.allows(f"10.0.0.{number}", now)
        # In the table or in the shared bucket, or moved from one to the other: two buckets at most.
        assert taken[number] <= 2 * (3 + now)
        assert len(limit) <= capacity
