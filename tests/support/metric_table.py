"""Every metric of the gateway by its name, as Prometheus knows it, with type and labels: out of the registry."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase

from gateway.observe.metrics import Metrics


class _Registered(CollectorRegistry):
    """Remembers its collectors."""

    def __init__(self) -> None:
        super().__init__()
        self.collectors: list[object] = []

    def register(self, collector: object) -> None:
        self.collectors.append(collector)
        super().register(collector)  # type: ignore[arg-type]


def metric_table() -> dict[str, tuple[str, set[str]]]:
    """Type and labels by name; a counter's name has its _total. Not those of the process and of Python."""
    registry = _Registered()
    Metrics(registry)
    return {name: row for collector in registry.collectors for name, row in _rows(collector)}


def _rows(collector: object) -> Iterator[tuple[str, tuple[str, set[str]]]]:
    families: list[Metric] = collector.describe() if hasattr(collector, "describe") else []
    for family in families:
        labels = collector._labelnames if isinstance(collector, MetricWrapperBase) else vars(family).get("_labelnames")
        name = family.name + ("_total" if family.type == "counter" else "")
        if name.startswith("gateway_"):
            yield name, (family.type, {*(labels or ())})
