"""All that watches the tap: the tracer, HEP to the receiver of the configuration, and traces on demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed

from gateway.base.clock import Clock
from gateway.base.json_codec import Json, encode
from gateway.base.tokens import Random
from gateway.config.model import Configuration, ConfigurationError
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.transport.tap import Tap
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.trace.exporter import HepExporter
from gateway.transport.trace.tracer import CallNames, Tracer
from gateway.transport.trace.traces import Traces


class Tracing:
    """The watchers of one gateway's tap."""

    def __init__(self, configuration: Configuration, tap: Tap, clock: Clock, random: Random, reactor: Any) -> None:
        """Raises ConfigurationError where the password or the authorities of [hep] cannot be read."""
        self.names = CallNames()
        self._clock = clock
        self._tracer = Tracer(tap, self.names, clock)
        self._exporter = _exporter(configuration, reactor)
        directory = configuration.gateway.state_directory / "traces"
        self.traces = Traces(directory, self._tracer, clock, random.token, reactor)

    def start(self) -> None:
        """Begin to send messages to the receiver, if there is one."""
        if self._exporter is not None:
            self._exporter.start()
            self._tracer.add(self._exporter)

    def stop(self) -> Deferred[None]:
        """End all traces; fires when their files are written and the receiver's connection is closed."""
        written = self.traces.stop()
        self._tracer.stop()
        closed = succeed(None) if self._exporter is None else self._exporter.stop()
        return DeferredList([written, closed]).addCallback(lambda _: None)

    def ended(self, call: str, record: Json) -> None:
        """A call is over: its record goes to the receiver."""
        if self._exporter is not None:
            self._exporter.ended(self._clock.wall(), call, encode(record))

    def figures(self) -> Iterator[Sample]:
        """The figures of this moment, for a scrape of the metrics."""
        exporter = self._exporter
        if exporter is not None:
            yield Metrics.hep_messages, ("sent",), exporter.sent
            yield Metrics.hep_messages, ("dropped",), exporter.dropped + self._tracer.left_out
            yield Metrics.hep_queue, (), len(exporter)
        yield Metrics.traces_active, (), self.traces.active


def _exporter(configuration: Configuration, reactor: Any) -> HepExporter | None:
    terms = configuration.hep
    if terms is None:
        return None
    try:
        return HepExporter(terms, reactor)
    except (OSError, ValueError, CertificateError) as error:
        text = f"{configuration.source}: hep: {error}"
        raise ConfigurationError((text,)) from None
