"""Loss and jitter from sampled packets."""

from __future__ import annotations

import pytest

from gateway.media.worker.streams.counters import SAMPLE, Counters
from tests.support.media_party import rtp

RATE = 8_000


def run(counters: Counters, numbers: list[int], late: float = 0.0, ssrc: int = 1) -> None:
    """Packets every 20 ms, each other sample `late` seconds late, as the fast path would count them."""
    for number in numbers:
        counters.packets += 1
        if counters.packets % SAMPLE == 0:
            delay = late if counters.packets // SAMPLE % 2 else 0.0
            counters.measure(memoryview(rtp(number & 0xFFFF, ssrc=ssrc)), 100 + number * 0.02 + delay, RATE)


def test_nothing_is_lost_over_wraps() -> None:
    counters = Counters(0.0)
    run(counters, list(range(60_000, 200_000)))
    assert counters.lost == 0
    assert counters.jitter == pytest.approx(0, abs=0.01)


def test_lost_packets_are_counted() -> None:
    counters = Counters(0.0)
    run(counters, [number for number in range(64_000, 70_000) if number % 100])
    assert counters.lost == pytest.approx(59, abs=1)


def test_a_new_source_starts_anew_and_keeps_what_was_lost() -> None:
    counters = Counters(0.0)
    run(counters, [number for number in range(3_200) if number % 100])
    lost = counters.lost
    assert lost
    run(counters, list(range(50_000, 53_200)), ssrc=2)
    assert counters.lost == lost
    run(counters, list(range(10, 3_210)), ssrc=2)
    assert counters.lost == lost


def test_jitter_is_in_timestamp_units() -> None:
    counters = Counters(0.0)
    run(counters, list(range(16_000)), late=0.01)
    assert counters.jitter == pytest.approx(0.01 * RATE, rel=0.05)


def test_garbage_is_not_measured() -> None:
    counters = Counters(0.0)
    counters.measure(memoryview(b"\x80"), 1.0, RATE)
    assert counters.ssrc == -1
