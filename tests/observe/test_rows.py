"""Counters and histograms in plain numbers: the exposition is to the letter that of prometheus_client's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

from gateway.observe.rows import PlainCounter, PlainHistogram

disable_created_metrics()  # type: ignore[no-untyped-call]  # as Metrics does
BUCKETS = (0.05, 0.1, 2.0, 3600.0)
LABELS = st.tuples(st.sampled_from(["main", 'a"b\\', "\n"]), st.sampled_from(["outbound", "inbound"]))
VALUES = st.one_of(st.sampled_from([*BUCKETS, 0.0]), st.floats(0, 1e6))


@given(st.lists(LABELS))
def test_a_counter_looks_as_the_librarys(counted: list[tuple[str, str]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = PlainCounter("gateway_calls", "Calls.", ("domain", "direction"), registry=ours)
    counter = Counter("gateway_calls", "Calls.", ("domain", "direction"), registry=theirs)
    for labels in counted:
        plain.labels(*labels).inc()
        counter.labels(*labels).inc()
    assert generate_latest(ours) == generate_latest(theirs)


@given(st.lists(st.tuples(LABELS, VALUES)))
def test_a_histogram_looks_as_the_librarys(observed: list[tuple[tuple[str, str], float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = PlainHistogram("setup_seconds", "Time.", ("domain", "direction"), buckets=BUCKETS, registry=ours)
    histogram = Histogram("setup_seconds", "Time.", ("domain", "direction"), buckets=BUCKETS, registry=theirs)
    for labels, value in observed:
        plain.labels(*labels).observe(value)
        histogram.labels(*labels).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)
