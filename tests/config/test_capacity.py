"""The calls that a range of ports carries are those that real pools give ports to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.media_ports import LEAST_PAIRS, QUARANTINE_SECONDS, PortRange
from gateway.config.capacity import Capacity, calls_carried
from gateway.config.model import Media
from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.port_pool import NoPorts, PoolOptions
from tests.support.media_relays import own_address

BOTH, PHONES, PROVIDER = (own_address() for _ in range(3))


class Unwatched:
    """Stands for the loop."""

    def watch(self, source: socket.socket, receive: Callable[[], None]) -> None: ...

    def unwatch(self, source: socket.socket) -> None: ...

    def later(self, job: Callable[[], object]) -> None: ...


def taken(media: Media, workers: int) -> tuple[int, int]:
    """Calls that pools of such shares give a port to on each side: ordinary ones, then emergency calls."""
    counts = [0, 0]
    with ExitStack() as opened:
        for share in media.ports.shares(workers):
            options = PoolOptions("", share.first, share.last)
            written = [
                f"{side}/{address}"
                for side, address in (
                    ("phones", media.phone_address or media.address),
                    ("provider", media.provider_address or media.address),
                )
            ]
            interfaces = Interfaces(written, options, Unwatched())
            for index, is_urgent in enumerate((False, True)):
                try:
                    while True:
                        for side in ("phones", "provider"):
                            opened.callback(interfaces.named(side).ports.take(is_urgent).close)
                        counts[index] += 1
                except NoPorts:
                    pass
    return counts[0], counts[1]


@pytest.mark.parametrize("addresses", [(None, None), (PHONES, PROVIDER), (PHONES, None), (BOTH, BOTH)])
@pytest.mark.parametrize(
    ("first", "last", "workers"), [(31_000, 31_119, 1), (31_001, 31_100, 2), (31_000, 31_013, 3), (6_656, 6_683, 2)]
)
def test_it_is_as_many_as_the_workers_give_ports_to(
    addresses: tuple[str | None, str | None], first: int, last: int, workers: int
) -> None:
    phones, provider = addresses
    media = Media(BOTH, ports=PortRange(first, last), phone_address=phones, provider_address=provider)
    carried = calls_carried(media, cores=workers)
    assert carried is not None
    ordinary, urgent = taken(media, workers)
    assert carried.calls == ordinary
    # A port that an ordinary call left half way is an emergency call's in the sum and not in this count.
    assert carried.reserved - workers <= urgent <= carried.reserved
    assert carried.workers == workers


@given(st.integers(1, 60_000), st.integers(5, 5_000), st.integers(1, 64))
def test_shares_are_apart_even_and_within_the_range(first: int, size: int, count: int) -> None:
    ports = PortRange(first, first + size + 1)
    shares = ports.shares(count)
    assert 1 <= len(shares) <= count
    assert shares[0].first >= ports.first
    assert shares[-1].last <= ports.last
    for share in shares:
        assert share.first % 2 == 0
        assert share.last > share.first
        assert len(share.pairs) >= min(LEAST_PAIRS, len(ports.pairs))
    assert all(one.last + 1 == other.first for one, other in pairwise(shares))


def test_ports_that_are_left_out_move_no_share() -> None:
    """A worker that lives on through an upgrade is found by its share."""
    found = [str(share) for share in PortRange(10_000, 20_000).shares(4)]
    assert found == ["10000-12499", "12500-14999", "15000-17499", "17500-19999"]
    assert PortRange(6_664, 6_671).shares(2) == [PortRange(6_664, 6_671)], "each would have one pair"


def test_the_configured_number_of_workers_counts_before_the_cores() -> None:
    media = Media("127.0.0.1", ports=PortRange(30_000, 39_999), workers=4)
    assert calls_carried(media, cores=16) == calls_carried(media, cores=1) == Capacity(2300, 200, 4)


def test_an_rtpengine_has_ports_of_its_own() -> None:
    assert calls_carried(Media("127.0.0.1", relay="rtpengine", rtpengine=("127.0.0.1:2223",)), cores=2) is None


def test_short_calls_wait_for_ports_that_are_silent_still() -> None:
    assert Capacity(300, 0, 1).calls_a_second(20.0) == 300 / (20.0 + QUARANTINE_SECONDS)
