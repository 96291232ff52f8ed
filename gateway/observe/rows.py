"""Rows of the table of metrics that are counted as things happen, and the two kinds that each call and message counts.

    metrics.requests.labels(...) -> PlainCount.inc()        ->  PlainCounter.collect()    ->  exposition
    metrics.set_up.labels(...)   -> PlainBuckets.observe()  ->  PlainHistogram.collect()  ->

The plain kinds look as prometheus_client's own in the exposition. They are counted by the reactor's thread alone, so
that they need no lock and no second look at their labels. Not here: the tables (metrics, security_metrics), rows that
parts are asked for at a scrape (figures).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from typing import Generic, TypeVar

from attrs import frozen
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

M = TypeVar("M")


@frozen
class Declared(Generic[M]):
    """A row of the table of metrics. A `Metrics` that is made has its metric under the row's name."""

    kind: Callable[..., M]
    name: str
    documentation: str
    labels: tuple[str, ...] = ()

    def __get__(self, metrics: object, owner: type) -> M:
        """The type of the attribute, for mypy. Raises AttributeError: there is a metric in a `Metrics` only."""
        raise AttributeError(self.name)

    def made(self, registry: CollectorRegistry) -> M:
        """The metric, registered."""
        return self.kind(self.name, self.documentation, self.labels, registry=registry)


def histogram(*bounds: float) -> Callable[..., PlainHistogram]:
    """The kind of a histogram with these upper bounds of its buckets."""
    return partial(PlainHistogram, buckets=bounds)


Labels = tuple[str, ...]


class PlainCount:
    """One series of a counter."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0

    def inc(self) -> None:
        """One more."""
        self.number += 1


class PlainCounter:
    """A counter."""

    def __init__(self, name: str, documentation: str, labels: Labels = (), *, registry: CollectorRegistry) -> None:
        self._said = name, documentation
        self._names = labels
        self._counts: dict[Labels, PlainCount] = {}
        registry.register(self)

    def labels(self, *values: str) -> PlainCount:
        """The series with these labels; a new one stands at 0."""
        return self._counts.get(values) or self._counts.setdefault(values, PlainCount())

    def numbers(self) -> Iterator[tuple[Labels, int]]:
        """The labels and the number of each series."""
        return ((values, count.number) for values, count in self._counts.items())

    def describe(self) -> Iterator[Metric]:
        """The counter without series."""
        yield CounterMetricFamily(*self._said, labels=self._names)

    def collect(self) -> Iterator[Metric]:
        """All series as they are now."""
        family = CounterMetricFamily(*self._said, labels=self._names)
        for values, count in self._counts.items():
            family.add_metric(values, count.number)
        yield family


class PlainBuckets:
    """One series of a histogram."""

    __slots__ = ("_bounds", "numbers", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.numbers = [0] * (len(bounds) + 1)
        """How many values each bucket has; the last one those above all bounds."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.numbers[bisect_left(self._bounds, value)] += 1
        self.total += value


class PlainHistogram:
    """A histogram; ``buckets`` are the upper bounds."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Labels = (),
        *,
        buckets: tuple[float, ...],
        registry: CollectorRegistry,
    ) -> None:
        self._said = name, documentation
        self._names = labels
        self._bounds = buckets
        self._bound_names = [*map(floatToGoString, buckets), "+Inf"]
        self._spreads: dict[Labels, PlainBuckets] = {}
        registry.register(self)

    def labels(self, *values: str) -> PlainBuckets:
        """The series with these labels; a new one has no values yet."""
        return self._spreads.get(values) or self._spreads.setdefault(values, PlainBuckets(self._bounds))

    def describe(self) -> Iterator[Metric]:
        """The histogram without series."""
        yield HistogramMetricFamily(*self._said, labels=self._names)

    def collect(self) -> Iterator[Metric]:
        """All series as they are now."""
        family = HistogramMetricFamily(*self._said, labels=self._names)
        for values, spread in self._spreads.items():
            family.add_metric(values, [*zip(self._bound_names, accumulate(spread.numbers), strict=True)], spread.total)
        yield family
