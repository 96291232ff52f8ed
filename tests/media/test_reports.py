"""What an ended call's report adds to the metrics."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import attrs
import pytest
from prometheus_client import CollectorRegistry

from gateway.media.relay import JSON, Encryption
from gateway.media.reports import PartySides, StreamQuality, from_rtpengine, observe, stream_qualities
from gateway.observe.metrics import Metrics
from tests.support.media_party import SUITES, Party, rtp
from tests.support.media_relays import own_address, rtpengine


def report(stream: dict[str, JSON], side: str = "phones", kind: str = "audio") -> dict[str, JSON]:
    known: dict[str, JSON] = {"MOS": 4.0, "loss": 0.02, "jitter": 5.0, "round trip": 80.0, "one way": False}
    return {"tags": {"caller": {"side": side, "medias": [{"type": kind, "streams": [{**known, **stream}, {}]}]}}}


def test_one_observation_a_direction() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    observe(report({}), metrics)
    observe(report({"jitter": 15.0}), metrics)
    observe(report({"MOS": None, "one way": True, "round trip": None}, side="provider"), metrics)

    def sample(name: str, direction: str) -> float | None:
        return registry.get_sample_value(name, {"direction": direction})

    assert sample("gateway_media_mos_sum", "to_provider") == 8.0
    assert sample("gateway_media_loss_ratio_count", "to_provider") == 2
    assert sample("gateway_media_jitter_seconds_sum", "to_provider") == pytest.approx(0.02)
    assert sample("gateway_media_round_trip_seconds_sum", "to_provider") == pytest.approx(0.16)
    assert sample("gateway_media_mos_count", "to_phone") is None
    assert sample("gateway_one_way_audio_total", "to_phone") == 1
    assert sample("gateway_one_way_audio_total", "to_provider") is None


def test_what_an_rtpengine_says_by_ssrc() -> None:
    def party(ssrc: int) -> JSON:
        return {"medias": [{"type": "audio", "streams": [{"SSRC": ssrc}, {"SSRC": ssrc}]}]}

    average: JSON = {"MOS": 38, "packet loss": 2, "jitter": 10, "round-trip time leg": 23_636}
    said: dict[str, JSON] = {
        "tags": {"caller": party(4369), "callee": party(8738), "fork": party(4369)},
        "SSRC": {"4369": {"cumulative loss": 9, "average MOS": average}},
    }
    sides = PartySides.of_offer({"from-tag": "caller", "direction": ["provider", "phones"]})
    found = list(stream_qualities(from_rtpengine(said, sides)))
    quality = StreamQuality("to_phone", 3.8, 0.02, 0.01, 0.023636, False)
    assert found == [quality, attrs.evolve(quality, direction="to_provider")], "of the SSRC reported on"


@pytest.mark.parametrize(
    "said", [{}, {"tags": 5}, {"tags": {"caller": 5}}, {"tags": {"caller": {"medias": [{"streams": [5]}]}}}]
)
def test_what_is_no_report_stays_what_it_is(said: dict[str, JSON]) -> None:
    assert list(stream_qualities(from_rtpengine(said, PartySides("caller", "phones", "provider")))) == []


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"result": "ok", "tags": []},
        {"tags": {"a": {"side": "phones", "medias": [{"type": "audio", "streams": []}]}}},
        {"tags": {"a": {"medias": 7}}},
        report({"MOS": None}),
        report({}, kind="video"),
        report({}, side="nowhere"),
    ],
)
def test_what_says_nothing_of_audio_adds_nothing(said: JSON) -> None:
    assert list(stream_qualities(said)) == []


def sender_report(ssrc: int, of: int, stamp: int) -> bytes:
    """At the stamp, with a block on the other's SSRC: 5 of 256 lost, 10 ms of jitter, 10 ms after the stamp before."""
    head = struct.pack("!BBHIQIII", 0x81, 200, 12, ssrc, stamp << 16, 0, 0, 0)
    return head + struct.pack("!IIIIII", of, (5 << 24) | 2, 100, 80, stamp - 1, 655)


def test_a_real_rtpengine_tells_quality_by_the_reports_it_saw(tmp_path: Path) -> None:
    with rtpengine(tmp_path) as ng:
        phone, provider = Party(own_address()), Party(own_address())
        offer = ng.offer("call", phone.sdp(), Encryption.SAVP)
        phone.hear_answer(ng.answer("call", provider.answer(offer, SUITES[0])))
        for number in range(1, 7):
            ways = (phone, provider, 0x1111), (provider, phone, 0x2222)
            sender, receiver, ssrc = ways[number % 2]
            sender.send(rtp(number, ssrc=ssrc))
            receiver.receive()
            sender.send_control(sender_report(ssrc, 0x3333 - ssrc, number))
            receiver.receive_control()
            time.sleep(0.02)
        sides = PartySides("caller", "phones", "provider")
        found = {one.direction: one for one in stream_qualities(from_rtpengine(ng.query("call"), sides))}
        for party in (phone, provider):
            party.close()
    assert found, "at least one way"
    for quality in found.values():
        assert quality.score is not None
        assert 1 < quality.score < 4.5
        assert quality.loss == pytest.approx(0.01, abs=0.015)
        assert quality.jitter == pytest.approx(0.01, abs=0.002)
