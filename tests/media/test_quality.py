"""What an ended call's report adds to the metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.media.quality import observe, stream_qualities
from gateway.media.relay import JSON
from gateway.metrics import Metrics


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
