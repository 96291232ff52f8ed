"""What an ended call's report adds to the metrics."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from prometheus_client import CollectorRegistry

from gateway.media.relay import JSON, Encryption
from gateway.media.reports import PartySides, StreamQuality, from_rtpengine, observe, remarks_by_tag, stream_qualities
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


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "none"),
        ({"crypto suite": SUITES[1]}, SUITES[1]),
        ({"crypto suite": "ROT13"}, "other"),
        ({"crypto suite": 7}, "other"),
    ],
)
def test_the_suite_of_a_stream_is_told_by_the_side_that_sent_it(said: dict[str, JSON], told: str) -> None:
    metrics = Metrics(CollectorRegistry())
    observe(report(said), metrics)
    assert metrics.value("gateway_call_suites_total", {"side": "phones", "suite": told}) == 1


def one_ssrc(number: int) -> JSON:
    """A stream as rtpengine tells of it until 12.3, and again since 13.4."""
    return {"SSRC": number}


def several_ssrcs(number: int) -> JSON:
    """As in between, after one that nobody reported on."""
    return {"ingress SSRCs": [{"SSRC": 9}, {"SSRC": number, "packets": 4}], "egress SSRCs": [{"SSRC": 1}]}


@pytest.mark.parametrize("stream", [one_ssrc, several_ssrcs])
def test_what_an_rtpengine_says_by_ssrc(stream: Callable[[int], JSON]) -> None:
    def party(streams: list[JSON], *subscribers: str) -> JSON:
        heard: list[JSON] = [{"tag": tag, "type": "offer/answer"} for tag in subscribers]
        return {"medias": [{"type": "audio", "streams": streams}], "subscribers": heard}

    def average(score: int, loss: int, jitter: int, trip: int) -> JSON:
        words: JSON = {"MOS": score, "packet loss": loss, "jitter": jitter, "round-trip time leg": trip}
        return {"cumulative loss": 9, "average MOS": words}

    said: dict[str, JSON] = {
        "tags": {
            "caller": party([stream(4369), stream(4369)], "callee", "gone"),
            "callee": party([stream(8738), stream(8738)], "caller"),
            "fork": party([{}, {}], "caller"),
        },
        "SSRC": {"4369": average(38, 2, 10, 23_636), "8738": average(43, 0, 20, 50_000)},
    }
    sides = PartySides.of_offer({"from-tag": "caller", "direction": ["provider", "phones"]})
    assert list(stream_qualities(from_rtpengine(said, sides))) == [
        StreamQuality("to_phone", 4.3, 0.0, 0.02, 0.023636, False),
        StreamQuality("to_provider", 3.8, 0.02, 0.01, 0.05, False),
    ], "a direction's loss from whoever hears it, its round trip from whoever sends it"


def test_of_two_phones_each_is_told_by_its_tag() -> None:
    """Of a call between phones: both hear a phone, and their side does not tell one from the other."""
    streams: list[JSON] = [{"MOS": 4.0, "in clear": 3}], [{"MOS": 3.0}]  # type: ignore[assignment]
    tags: dict[str, JSON] = {
        tag: {"side": "phones", "medias": [{"type": "audio", "streams": of}]}
        for tag, of in zip(("caller", "callee"), streams, strict=True)
    }
    found = list(stream_qualities({"tags": tags}))
    assert [(one.direction, one.side, one.score) for one in found] == [
        ("to_phone", "phones", 4.0),
        ("to_phone", "phones", 3.0),
    ]
    assert list(remarks_by_tag({"tags": tags})) == [("caller", "RTCP in clear beside SRTP", True)]


SAID_AMISS: dict[str, JSON] = {
    "tags": {"a": {"subscribers": [7, {"tag": []}, {"tag": "a"}], "medias": [5, {"streams": []}]}}
}


@pytest.mark.parametrize(
    "said", [{}, {"tags": 5}, {"tags": {"caller": 5}}, {"tags": {"caller": {"medias": [{"streams": [5]}]}}}, SAID_AMISS]
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


@attrs.frozen
class Reporter:
    """What a party says of what it hears, and how far it is from the relay."""

    ssrc: int
    lost: int
    """Of 256."""
    jitter: int
    """In units of 1/8000 s."""
    seconds: float


PHONE = Reporter(0x1111, lost=26, jitter=80, seconds=0.02)
PROVIDER = Reporter(0x2222, lost=0, jitter=160, seconds=0.05)


def sender_report(own: Reporter, of: int, stamp: int, waited: float) -> bytes:
    """At the stamp, with a block on the other's SSRC, whose report with the stamp before was heard `waited` seconds ago
    by the relay: a part of that was the way to the party and back."""
    head = struct.pack("!BBHIQIII", 0x81, 200, 12, own.ssrc, stamp << 16, 0, 0, 0)
    delay = round(max(waited - own.seconds, 0.0) * 65_536)
    return head + struct.pack("!IIIIII", of, (own.lost << 24) | 2, 100, own.jitter, stamp - 1, delay)


def test_a_real_rtpengine_tells_quality_by_the_reports_it_saw(tmp_path: Path) -> None:
    with rtpengine(tmp_path) as ng:
        phone, provider = Party(own_address()), Party(own_address())
        offer = ng.offer("call", phone.sdp(), Encryption.SAVP)
        phone.hear_answer(ng.answer("call", provider.answer(offer, SUITES[0])))
        heard_at = time.monotonic()
        for number in range(1, 5):
            # It takes one report a second from each, and tells a score once it knows both round trips.
            time.sleep(0.55)
            ways = (phone, provider, PHONE, PROVIDER), (provider, phone, PROVIDER, PHONE)
            sender, receiver, own, other = ways[number % 2]
            sender.send(rtp(number, ssrc=own.ssrc))
            receiver.receive()
            sender.send_control(sender_report(own, other.ssrc, number, time.monotonic() - heard_at))
            receiver.receive_control()
            heard_at = time.monotonic()
        sides = PartySides("caller", "phones", "provider")
        found = {one.direction: one for one in stream_qualities(from_rtpengine(ng.query("call"), sides))}
        for party in (phone, provider):
            party.close()
    assert found.keys() == {"to_phone", "to_provider"}
    assert_heard(found["to_phone"], PHONE, sender=PROVIDER)
    assert_heard(found["to_provider"], PROVIDER, sender=PHONE)
    assert (found["to_phone"].score or 5) < (found["to_provider"].score or 0) < 4.5


def assert_heard(quality: StreamQuality, hearer: Reporter, sender: Reporter) -> None:
    assert quality.loss == pytest.approx(hearer.lost / 256, abs=0.01)
    assert quality.jitter == pytest.approx(hearer.jitter / 8_000, abs=0.002)
    assert quality.round_trip == pytest.approx(sender.seconds, abs=0.012)
