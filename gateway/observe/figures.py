"""The figures that parts of the gateway keep themselves, in plain numbers, and that are asked for at an exposition.

Nothing touches a metric object meanwhile: an addition of an integer is all that a packet or message costs. Not here:
the metrics that are counted as things happen (metrics).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import Factory, frozen
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


@frozen
class AskedRow:
    """A row of the table of metrics that parts are asked for at each exposition."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    is_counter: bool = False

    def family(self) -> GaugeMetricFamily | CounterMetricFamily:
        """The series, without values."""
        kind = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        return kind(self.name, self.documentation, labels=self.labels)


Sample = tuple[AskedRow, tuple[str, ...], float]
"""A row, the values of its labels, and the figure."""


class AskedCollector:
    """Asks each part of the gateway for its samples of the table's rows."""

    def __init__(self, rows: Iterable[AskedRow]) -> None:
        self._rows = tuple(rows)
        self._sources: list[Callable[[], Iterable[Sample]]] = []

    def add(self, source: Callable[[], Iterable[Sample]]) -> None:
        """Ask one more part."""
        self._sources.append(source)

    def describe(self) -> Iterator[Metric]:
        """The series without values."""
        for row in self._rows:
            yield row.family()

    def collect(self) -> Iterator[Metric]:
        """The series as they are now."""
        families = {row.name: row.family() for row in self._rows}
        for row, labels, figure in (sample for source in self._sources for sample in source()):
            families[row.name].add_metric(labels, figure)
        yield from families.values()


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
    withheld: int = 0
    """Datagrams to hosts that did not prove to be there, beyond three bytes for each of theirs."""


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
        connections, refused, unsent, withheld = self._families()
        for figures in (figures for source in self._sources for figures in source()):
            connections.add_metric([figures.name], figures.connections)
            refused.add_metric([figures.name], figures.refused)
            unsent.add_metric([figures.name], figures.unsent)
            withheld.add_metric([figures.name], figures.withheld)
        yield from (connections, refused, unsent, withheld)

    def _families(self) -> tuple[GaugeMetricFamily, CounterMetricFamily, CounterMetricFamily, CounterMetricFamily]:
        labels = ["listener"]
        return (
            GaugeMetricFamily("gateway_connections", "TCP and TLS connections, by listener.", labels=labels),
            CounterMetricFamily(
                "gateway_refused_connections", "Connections that the limits left no room for.", labels=labels
            ),
            CounterMetricFamily("gateway_unsent_datagrams", "Datagrams that the system did not take.", labels=labels),
            CounterMetricFamily(
                "gateway_withheld_datagrams", "Datagrams to hosts that have not proved to be there.", labels=labels
            ),
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
class StoppedGuesser:
    """A sender of too many wrong passwords: its requests with credentials are answered here."""

    user: str
    """`user@domain`."""
    source: str
    by: str
    """The count that is full: pair (of a user at a source), flow, user or source."""
    until: float
    """Seconds of the steady clock."""


@frozen
class UnheardReceiver:
    """A receiver of alerts that took none lately."""

    name: str
    kind: str
    """webhook, email, syslog or log."""
    reason: str
    lost: int
    """Alerts that it was never told of."""


@frozen
class DefenceFigures:
    """The state of the defence in short."""

    mode: str = "off"
    """report, defend or off."""
    defends_from: float | None = None
    """When it begins to defend, seconds since the epoch; None where that is no matter of time."""
    bans: int = 0
    """In force."""
    waiting: int = 0
    """For an operator's approval."""
    would_be: int = 0
    """Only reported."""
    kernel_why: str = ""
    """Why nftables takes no bans, though it should; empty: it does."""
    failing_lists: tuple[str, ...] = ()
    """Block lists that could not be read the last time: name, and why."""


@frozen
class PbxFigures:
    """The state of a PBX that does not register, in short."""

    name: str
    up: int
    """Places that take calls."""
    down: tuple[str, ...] = ()
    """Those that do not, each with why."""
    is_registered: bool = True
    """Whether the provider's grant holds; true where the gateway does not register it."""
    why: str = ""
    """Why the latest registration failed; empty where it did not."""


@frozen
class DomainBudget:
    """A domain's fallback budget."""

    domain: str
    level: str
    """good, burns, burns_fast or spent."""
    spent: int
    """Calls of 30 days that fell back."""
    calls: int
    """Calls that the share is of."""
    allowed: int
    left: int


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
    stopped_guessers: tuple[StoppedGuesser, ...] = ()
    unheard: tuple[UnheardReceiver, ...] = ()
    defence: DefenceFigures = DefenceFigures()
    budgets: tuple[DomainBudget, ...] = ()
    pbxs: tuple[PbxFigures, ...] = ()


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
