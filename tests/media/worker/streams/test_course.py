"""The course of a stream: few samples, each of the time since the one before, for a call of any length."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.media.relay import Encryption
from gateway.media.worker.streams.course import EVERY, MOST, Course, Sample
from tests.support.media_party import SUITES, Party
from tests.support.media_relays import Ng


def end() -> Any:
    """An end of a stream, with the figures that are looked at."""
    return SimpleNamespace(
        counters=SimpleNamespace(packets=0, lost=0, jitter=16.0, ssrc=1),
        control=SimpleNamespace(reported=SimpleNamespace(block=None, round_trip=None)),
        remote=SimpleNamespace(codec=SimpleNamespace(name="PCMA", clock_rate=8000)),
    )


class Stream:
    """A stream whose time passes at will."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ends = end(), end()
        self.course = Course(self.now)

    def lasts(self, seconds: float, *, packets: int = 500, lost: int = 0) -> None:
        """For each ten seconds so many packets come from the first end."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.25
            if (self.now - 100.0) % EVERY == 0:
                self.ends[0].counters.packets += packets
                self.ends[0].counters.lost += lost
            self.course.look(self.ends, self.now)


def test_a_sample_tells_of_the_time_since_the_one_before() -> None:
    stream = Stream()
    stream.lasts(20)
    stream.lasts(10, packets=400, lost=100)
    stream.lasts(10)
    samples = stream.course.samples[0]
    assert [(one.at, one.loss, one.jitter) for one in samples] == [(10, 0, 2), (20, 0, 2), (30, 0.2, 2), (40, 0, 2)]
    scores = [one.score for one in samples]
    assert scores[2] is not None
    assert scores[2] < 3 < 4 < (scores[3] or 0) == scores[0]


def test_where_nothing_comes_a_sample_says_nothing() -> None:
    stream = Stream()
    stream.lasts(10, packets=0)
    stream.lasts(10, packets=20)
    assert stream.course.samples[0] == [Sample(10, None, None, None), Sample(20, 0, 2, None)]
    assert stream.course.samples[1] == [Sample(10, None, None, None), Sample(20, None, None, None)]


def test_a_long_call_has_no_more_samples_and_its_bad_minute_stays() -> None:
    stream = Stream()
    stream.lasts(600)
    stream.lasts(60, packets=400, lost=100)
    stream.lasts(3 * 3600)
    samples = stream.course.samples[0]
    assert MOST // 2 <= len(samples) < MOST
    assert max(one.loss or 0 for one in samples) == pytest.approx(0.2)
    assert [one.at for one in samples] == sorted({one.at for one in samples})
    assert samples[-1].at > 3 * 3600 - 1000


def test_packets_that_come_late_are_no_negative_loss() -> None:
    stream = Stream()
    stream.lasts(10, packets=400, lost=100)
    stream.lasts(10, lost=-50)
    assert [one.loss for one in stream.course.samples[0]] == [0.2, 0]


def test_a_worker_reports_the_course(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    phone.hear_answer(ng.answer(call, provider.answer(offer, SUITES[0])))
    report: Any = ng.query(call)
    [media] = report["tags"]["caller"]["medias"]
    assert media["streams"][0]["course"] == []
