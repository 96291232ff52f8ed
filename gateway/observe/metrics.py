"""Every Prometheus metric of the gateway, in one place.

The composition root makes one `Metrics` and passes it down; nothing here is global. The media workers keep plain
integers of their own, which the relay pool polls and adds here, so no metric object is touched per packet. The
names and labels are a contract with dashboards (deploy/grafana) and are listed in docs/configuration.md.

Labels never hold a text that a peer chose (user names, addresses, unknown methods): the number of series is bounded.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Generic, TypeVar

from attrs import Factory, frozen
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
"""The Content-Type of `Metrics.exposition`."""


@frozen
class ListenerFigures:
    """The counts of one listener, in plain integers."""

    name: str
    connections: int = 0
    """Up or coming up, accepted and opened ones."""
    refused: int = 0
    """Connections that the limits left no room for."""
    unsent: int = 0
    """Datagrams that the system did not take."""


class ListenerCollector:
    """Asks each transport for its figures at an exposition; it touches no metric object meanwhile."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[ListenerFigures]]] = []

    def add(self, source: Callable[[], Iterable[ListenerFigures]]) -> None:
        """Ask one more transport."""
        self._sources.append(source)

    def describe(self) -> Iterator[Metric]:
        """The series without values."""
        yield from self._families()

    def collect(self) -> Iterator[Metric]:
        """The series as they are now."""
        connections, refused, unsent = self._families()
        for figures in (figures for source in self._sources for figures in source()):
            connections.add_metric([figures.name], figures.connections)
            refused.add_metric([figures.name], figures.refused)
            unsent.add_metric([figures.name], figures.unsent)
        yield from (connections, refused, unsent)

    def _families(self) -> tuple[GaugeMetricFamily, CounterMetricFamily, CounterMetricFamily]:
        labels = ["listener"]
        return (
            GaugeMetricFamily("gateway_connections", "TCP and TLS connections, by listener.", labels=labels),
            CounterMetricFamily(
                "gateway_refused_connections", "Connections that the limits left no room for.", labels=labels
            ),
            CounterMetricFamily("gateway_unsent_datagrams", "Datagrams that the system did not take.", labels=labels),
        )


@frozen
class KeptFile:
    """The state of one file of the state directory."""

    name: str
    failures: int = 0
    """Writes (or reads) so far that failed."""
    is_failing: bool = False
    """Whether the last one did."""


@frozen
class Figures:
    """The figures that parts of the gateway keep themselves, in plain numbers."""

    lost_log_lines: int = 0
    shed_calls: int = 0
    lateness: float = 0.0
    """Seconds."""
    targets: Mapping[tuple[str, bool], int] = Factory(dict)
    """How many of a provider's targets are up (True) and down."""
    relays: Mapping[bool, int] = Factory(dict)
    """How many media relays are up (True) and down."""
    files: tuple[KeptFile, ...] = ()
    waiting_bytes: int = 0
    """Held by requests without an answer yet, and by answers kept for their copies."""
    stateless: Mapping[int, int] = Factory(dict)
    """How many requests were answered without a transaction, by status."""
    calls_over_limit: int = 0
    """Calls refused since too many of their source had no answer yet."""


class FigureCollector:
    """Asks for figures at an exposition."""

    def __init__(self, source: Callable[[], Figures]) -> None:
        self._source = source

    def describe(self) -> Iterator[Metric]:
        """The series without values."""
        yield from self._families(Figures())

    def collect(self) -> Iterator[Metric]:
        """The series as they are now."""
        yield from self._families(self._source())

    def _families(self, figures: Figures) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "gateway_lost_log_lines", "Lines of the log that its reader left no room for.", figures.lost_log_lines
        )
        yield CounterMetricFamily("gateway_shed_calls", "New calls refused because of overload.", figures.shed_calls)
        yield GaugeMetricFamily(
            "gateway_lateness_seconds", "How late everything is in the signalling process.", figures.lateness
        )
        targets = GaugeMetricFamily(
            "gateway_provider_targets",
            "Targets that a provider's name leads to, by whether they answer (up, down).",
            labels=["provider", "state"],
        )
        for (provider, is_up), count in figures.targets.items():
            targets.add_metric([provider, "up" if is_up else "down"], count)
        relays = GaugeMetricFamily("gateway_media_relays", "Media relays, by state (up, down).", labels=["state"])
        for is_up in (True, False):
            relays.add_metric(["up" if is_up else "down"], figures.relays.get(is_up, 0))
        failures = CounterMetricFamily(
            "gateway_state_failures", "Times that a file of the state directory could not be used.", labels=["file"]
        )
        unwritten = GaugeMetricFamily(
            "gateway_state_unwritten", "1 while what is to be kept in a file cannot be written.", labels=["file"]
        )
        for file in figures.files:
            failures.add_metric([file.name], file.failures)
            unwritten.add_metric([file.name], file.is_failing)
        yield from (targets, relays, failures, unwritten)
        yield from _limits(figures)


def _limits(figures: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "gateway_waiting_bytes",
        "Bytes of requests without an answer yet, and of answers kept for copies of requests.",
        figures.waiting_bytes,
    )
    stateless = CounterMetricFamily(
        "gateway_stateless_refusals", "Requests refused without a transaction, by status.", labels=["status"]
    )
    for status, count in figures.stateless.items():
        stateless.add_metric([str(status)], count)
    yield stateless
    yield CounterMetricFamily(
        "gateway_calls_over_limit",
        "Calls refused since too many calls of their source had no answer yet.",
        figures.calls_over_limit,
    )


M = TypeVar("M", bound=MetricWrapperBase)


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


def histogram(*bounds: float) -> Callable[..., Histogram]:
    """The kind of a histogram with these upper bounds of its buckets."""
    return partial(Histogram, buckets=bounds)


class Metrics:
    """The metrics of one gateway, registered with `registry`; `figures` is asked at each exposition."""

    calls = Declared(
        Counter,
        "gateway_calls",
        "Calls that ended, by domain, direction (outbound, inbound), security verdict and reason code.",
        ("domain", "direction", "verdict", "reason"),
    )
    active_calls = Declared(Gauge, "gateway_active_calls", "Calls being set up or up.")
    registrations = Declared(Gauge, "gateway_registrations", "Bindings of phones that have not expired.")
    unreachable = Declared(
        Gauge,
        "gateway_unreachable_registrations",
        "Those of them whose connection is gone, so that their phones cannot be called.",
    )
    requests = Declared(
        Counter,
        "gateway_requests",
        "SIP requests received, by side (phones, provider) and method (OTHER for unknown ones).",
        ("side", "method"),
    )
    responses = Declared(
        Counter,
        "gateway_responses",
        "SIP responses received, by side and class of status (1xx to 6xx).",
        ("side", "status_class"),
    )
    malformed = Declared(
        Counter,
        "gateway_malformed_messages",
        "Messages that could not be understood, by transport and reason.",
        ("transport", "reason"),
    )
    dropped = Declared(
        Counter,
        "gateway_dropped_requests",
        "Requests from the provider's side that no domain's peer sent, dropped without an answer, by transport.",
        ("transport",),
    )
    downgrades = Declared(
        Counter,
        "gateway_downgrades",
        "Peers found to do less than they did before, by feature (tls, srtp) and result (allowed, refused).",
        ("feature", "result"),
    )
    weak_requests = Declared(
        Counter,
        "gateway_weak_requests",
        "The provider's requests outside calls that came over less than verified TLS, by domain, result and reason.",
        ("domain", "result", "reason"),
    )
    tls_handshakes = Declared(
        Counter,
        "gateway_tls_handshakes",
        "TLS handshakes, by side and result (ok, certificate, tls, timeout, refused).",
        ("side", "result"),
    )
    certificate_expiry = Declared(
        Gauge,
        "gateway_certificate_expiry_seconds",
        "When the certificate that a TLS listener serves expires, seconds since the epoch.",
        ("listener",),
    )
    relayed_packets = Declared(
        Counter,
        "gateway_relayed_packets",
        "RTP and RTCP packets relayed, by direction (to_provider, to_phone; rtpengine only knows both).",
        ("direction",),
    )
    media_score = Declared(
        histogram(1.5, 2.0, 2.5, 3.0, 3.25, 3.5, 3.75, 4.0, 4.1, 4.2, 4.3, 4.4),
        "gateway_media_mos",
        "Mean opinion score of ended calls' audio (E-model, 1 to 4.4), by direction (to_provider, to_phone).",
        ("direction",),
    )
    media_loss = Declared(
        histogram(0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        "gateway_media_loss_ratio",
        "Share of audio packets that were lost, by direction, one observation for each call that ended.",
        ("direction",),
    )
    media_jitter = Declared(
        histogram(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2),
        "gateway_media_jitter_seconds",
        "Interarrival jitter (RFC 3550) of ended calls' audio when it came here, by direction.",
        ("direction",),
    )
    media_round_trip = Declared(
        histogram(0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
        "gateway_media_round_trip_seconds",
        "Round trip between the relay and the sender of audio, from RTCP, by the audio's direction.",
        ("direction",),
    )
    one_way_audio = Declared(
        Counter,
        "gateway_one_way_audio",
        "Ended calls of which one direction was silent while the other talked, by the silent direction.",
        ("direction",),
    )
    worker_restarts = Declared(Counter, "gateway_worker_restarts", "Media workers that died and were started again.")

    def __init__(self, registry: CollectorRegistry, figures: Callable[[], Figures] = Figures) -> None:
        self._registry = registry
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self.listeners = ListenerCollector()
        self._figures = FigureCollector(figures)
        registry.register(self.listeners)
        registry.register(self._figures)
        for name, row in vars(Metrics).items():
            if isinstance(row, Declared):
                setattr(self, name, row.made(registry))

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format; its Content-Type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """The value of one series, such as `gateway_calls_total`; None where there is none of these labels."""
        return self._registry.get_sample_value(name, dict(labels or {}))
