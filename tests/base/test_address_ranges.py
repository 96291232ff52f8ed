"""Many addresses as one value: its members, spellings, and the length of a step."""

from __future__ import annotations

import random
import time
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.address_ranges import AddressRanges, RangesBuilder, bounds

small = st.integers(0, 255).flatmap(lambda low: st.integers(24, 32).map(lambda bits: (low, bits)))


@given(st.lists(small, max_size=12), st.integers(0, 255))
def test_networks_go_by_their_members(wanted: list[tuple[int, int]], low: int) -> None:
    texts = [f"192.0.2.{one}/{bits}" for one, bits in wanted]
    host = ip_address(f"192.0.2.{low}")
    found = AddressRanges.of(texts)
    assert found.holds(str(host)) is any(host in ip_network(text, strict=False) for text in texts)
    assert found.entries == len(texts)


@pytest.mark.parametrize(
    ("text", "host", "is_in"),
    [
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8:1:2::5", "2001:db8:1:2::9", True),  # one subscriber
        ("2001:db8:1:2::5/128", "2001:db8:1:3::5", False),
        ("192.0.2.0/24", "2001:db8::1", False),
        ("192.0.2.0/24", "a name", False),
        ("fc00::/7", "fd12::1", True),  # ours may be wide
        ("::1", "::1", True),
    ],
)
def test_spellings_of_hosts(text: str, host: str, is_in: bool) -> None:
    assert AddressRanges.of([text]).holds(host) is is_in


@pytest.mark.parametrize(
    "text",
    [
        *("", "nobody", "192.0.2", "192.0.2.1/33", "192.0.2.1/", "192.0.2.1/x", "192.0.2.1/²", "192.0.2.1\x00"),
        *("0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3", "2001:db8::/129", "::1", "::ffff:c000:207", "192.0.2.1/0024"),
    ],
)
def test_texts_that_are_no_network_or_half_of_the_world(text: str) -> None:
    assert bounds(text) is None


def test_100_000_entries_are_joined_in_steps_of_a_moment() -> None:
    chance = random.Random(1)
    texts = [str(ip_address(chance.getrandbits(32))) for _ in range(100_000)]
    builder = RangesBuilder()
    for text in texts:
        builder.add(text)
    steps, longest, at = 0, 0.0, time.thread_time()
    for _ in builder.join():
        now = time.thread_time()
        steps, longest, at = steps + 1, max(longest, now - at), now
    assert steps > 150
    assert longest < 0.1, "ten times more than it takes on a quiet machine"
    assert all(builder.made.holds(text) for text in texts[:1000])
