"""The table of metrics, and the figures that are asked for at an exposition."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.observe.figures import Figures, KeptFile, ListenerFigures
from gateway.observe.metrics import Metrics


def test_a_metric_of_the_table_is_an_attribute_and_starts_at_nothing() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.requests.labels("phones", "INVITE").inc()
    assert metrics.value("gateway_requests_total", {"side": "phones", "method": "INVITE"}) == 1
    assert metrics.value("gateway_requests_total", {"side": "phones", "method": "BYE"}) is None
    assert metrics.value("gateway_active_calls") == 0
    with pytest.raises(AttributeError):
        _ = Metrics.requests


def test_two_gateways_count_apart() -> None:
    one, other = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    one.worker_restarts.inc()
    assert (one.value("gateway_worker_restarts_total"), other.value("gateway_worker_restarts_total")) == (1, 0)


def test_metrics_that_are_told_one_by_one_are_the_exposition_of_all() -> None:
    """Prometheus reads them in one piece. The process' own memory and time change meanwhile."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.requests.labels("phones", "INVITE").inc()
    kept, told = (
        [line for line in text.splitlines() if not line.startswith(("process_", "python_"))]
        for text in (generate_latest(registry).decode(), "".join(metrics.texts()))
    )
    assert told == kept
    assert sum(1 for _ in metrics.texts()) > 100


def test_figures_are_asked_for_at_each_exposition() -> None:
    shed = [1]
    metrics = Metrics(
        CollectorRegistry(),
        lambda: Figures(shed_calls=shed[0], targets={("main", True): 2}, files=(KeptFile("cdr.jsonl", 3, True),)),
    )
    assert b"gateway_shed_calls_total 1.0" in metrics.exposition()
    shed[0] = 5
    assert b"gateway_shed_calls_total 5.0" in metrics.exposition()
    assert metrics.value("gateway_provider_targets", {"provider": "main", "state": "up"}) == 2
    assert metrics.value("gateway_state_failures_total", {"file": "cdr.jsonl"}) == 3
    assert metrics.value("gateway_state_unwritten", {"file": "cdr.jsonl"}) == 1
    assert metrics.value("gateway_media_relays", {"state": "down"}) == 0


def test_each_transport_gives_the_figures_of_its_listeners() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.listeners.add(lambda: [ListenerFigures("phones", unsent=4)])
    metrics.listeners.add(lambda: [ListenerFigures("trunk", connections=2, refused=1)])
    assert metrics.value("gateway_unsent_datagrams_total", {"listener": "phones"}) == 4
    assert metrics.value("gateway_connections", {"listener": "trunk"}) == 2
    assert metrics.value("gateway_refused_connections_total", {"listener": "trunk"}) == 1
