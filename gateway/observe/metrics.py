"""Every Prometheus metric of the gateway, in one place.

The composition root makes one `Metrics` and passes it down; nothing here is global. The media workers keep plain
integers of their own, which the relay pool polls and adds here, so no metric object is touched per packet. The
names and labels are a contract with dashboards (deploy/grafana) and are listed in docs/configuration.md.

Labels never hold a text that a peer chose (user names, addresses, unknown methods): the number of series is bounded.
"""

import time
from collections.abc import Callable, Iterator, Mapping

from attrs import asdict, frozen
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from gateway.base.build import build
from gateway.observe.cluster_metrics import ClusterMetrics
from gateway.observe.events import Events
from gateway.observe.figures import AskedCollector, AskedRow, FigureCollector, Figures, ListenerCollector
from gateway.observe.network_metrics import NetworkMetrics
from gateway.observe.observations import Observations
from gateway.observe.pbx_metrics import PbxMetrics
from gateway.observe.rows import Declared, PlainCounter, histogram
from gateway.observe.security_metrics import SecurityMetrics

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
"""The Content-Type of `Metrics.exposition`."""


@frozen
class _Alone:
    """Stands for a registry that has this one metric."""

    metric: Metric

    def collect(self) -> tuple[Metric]:
        return (self.metric,)


class Metrics(SecurityMetrics, NetworkMetrics, PbxMetrics, ClusterMetrics):
    """The metrics of one gateway, registered with `registry`; `figures` is asked at each exposition."""

    build_info = Declared(
        Gauge,
        "gateway_build_info",
        "Always 1: the versions of the gateway, of Python, of the OpenSSL that speaks TLS, and of Twisted.",
        ("version", "python", "openssl", "twisted"),
    )
    calls = Declared(
        PlainCounter,
        "gateway_calls",
        "Calls that ended, by domain, direction (outbound, inbound), security verdict and reason code.",
        ("domain", "direction", "verdict", "reason"),
    )
    call_results = Declared(
        PlainCounter,
        "gateway_call_results",
        "Calls that ended, by domain, provider and result (answered, cancelled, callee: it said no itself, failed).",
        ("domain", "provider", "result"),
    )
    emergency_calls = Declared(
        Counter,
        "gateway_emergency_calls",
        "Calls to emergency numbers that ended, by result (answered, cancelled, failed).",
        ("result",),
    )
    set_up = Declared(
        histogram(0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0),
        "gateway_call_setup_seconds",
        "From a call's INVITE to its 200, the time that it rang included, by provider and direction.",
        ("provider", "direction"),
    )
    post_dial_delay = Declared(
        histogram(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0),
        "gateway_post_dial_delay_seconds",
        "From a call's INVITE to the first 180, 183 or 200 for its caller, by provider and direction.",
        ("provider", "direction"),
    )
    duration = Declared(
        histogram(5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0),
        "gateway_call_duration_seconds",
        "Answered length of calls that ended, by provider and direction.",
        ("provider", "direction"),
    )
    failures = Declared(
        Counter,
        "gateway_call_failures",
        "Calls that were not answered, by provider, direction and class of the caller's final status; cancelled: 487.",
        ("provider", "direction", "status_class"),
    )
    active_calls = Declared(Gauge, "gateway_active_calls", "Calls being set up or up.")
    registrations = Declared(Gauge, "gateway_registrations", "Bindings of phones that have not expired.")
    unreachable = Declared(
        Gauge,
        "gateway_unreachable_registrations",
        "Those of them whose connection is gone, so that their phones cannot be called.",
    )
    requests = Declared(
        PlainCounter,
        "gateway_requests",
        "SIP requests received, by side (phones, provider) and method (OTHER for unknown ones).",
        ("side", "method"),
    )
    responses = Declared(
        PlainCounter,
        "gateway_responses",
        "SIP responses received, by side and class of status (1xx to 6xx).",
        ("side", "status_class"),
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
    tls_connections = AskedRow(
        "gateway_tls_connections",
        "TLS connections that are up, by side, version and cipher suite as OpenSSL names them.",
        ("side", "version", "cipher"),
    )
    certificates_unread = Declared(
        Gauge,
        "gateway_certificate_files_unusable",
        "1 while files of certificates have changed and cannot be used: those of before go on serving.",
    )
    hep_messages = AskedRow(
        "gateway_hep_messages",
        "Messages for the HEP receiver, by result (sent, dropped).",
        ("result",),
        is_counter=True,
    )
    hep_queue = AskedRow("gateway_hep_queue", "Messages that wait for the HEP receiver.")
    traces_active = AskedRow("gateway_traces_active", "Traces that are going on.")
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
    failed_packets = Declared(
        Counter,
        "gateway_failed_packets",
        "RTP and RTCP packets that went no further at a media worker, by the side that they came in on and cause.",
        ("side", "cause"),
    )
    ice_checks = Declared(
        Counter,
        "gateway_ice_checks",
        "Checks of browsers at media workers, by result (ok, unproved, wrong, unknown, malformed, limited, unasked).",
        ("result",),
    )
    dtls_handshakes = Declared(
        Counter,
        "gateway_dtls_handshakes",
        "DTLS handshakes of browsers with media workers, by result (up, failed, mismatch).",
        ("result",),
    )
    media_score = Declared(
        histogram(1.5, 2.0, 2.5, 3.0, 3.25, 3.5, 3.75, 4.0, 4.1, 4.2, 4.3, 4.4, 4.5),
        "gateway_media_mos",
        "Mean opinion score of ended calls' audio (E-model, 1 to 4.5), by direction (to_provider, to_phone).",
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
    srtp_suites = Declared(
        Counter,
        "gateway_call_suites",
        "Audio streams of ended calls, by the side that sent them and SRTP suite (none: RTP in clear).",
        ("side", "suite"),
    )
    too_long_calls = Declared(
        Counter, "gateway_calls_ended_for_length", "Calls that were hung up since they had lasted as long as they may."
    )
    one_way_audio = Declared(
        Counter,
        "gateway_one_way_audio",
        "Ended calls of which one direction was silent while the other talked, by the silent direction.",
        ("direction",),
    )
    admin_requests = Declared(
        Counter,
        "gateway_admin_requests",
        "Requests to the administration interface, by route (its path, or none) and class of status.",
        ("route", "status_class"),
    )
    admin_log_ins = Declared(
        Counter,
        "gateway_admin_logins",
        "Log-ins, by result (ok, wrong_password, wrong_code, limited, busy).",
        ("result",),
    )
    admin_sessions = Declared(Gauge, "gateway_admin_sessions", "Sessions of users that are open.")
    worker_restarts = Declared(Counter, "gateway_worker_restarts", "Media workers that died and were started again.")
    worker_cpu = AskedRow(
        "gateway_worker_cpu_seconds",
        "CPU time of each media worker's process, user and system, as it said at most ten seconds ago.",
        ("worker",),
        is_counter=True,
    )
    media_ports = AskedRow(
        "gateway_media_ports",
        "Media ports of each relay, by state (used, silent after a call, free), as it said at most ten seconds ago.",
        ("relay", "state"),
    )
    worker_memory = AskedRow(
        "gateway_worker_resident_memory_bytes",
        "Memory of each media worker's process, as it said at most ten seconds ago.",
        ("worker",),
    )

    worker_loop = AskedRow(
        "gateway_worker_loop",
        "1 for the loop of packets that each media worker has: native (in C) or python.",
        ("worker", "loop"),
    )

    ready = AskedRow("gateway_ready", "1 while the gateway takes calls: listeners open, a relay up, a provider there.")
    draining = AskedRow("gateway_draining", "1 while no new calls are taken, since the gateway drains.")
    draining_calls = AskedRow("gateway_draining_calls", "Calls that a drain waits for.")
    calls_refused_by_drain = AskedRow(
        "gateway_calls_refused_by_drain", "New calls refused since the gateway drains.", is_counter=True
    )

    def __init__(
        self, registry: CollectorRegistry, figures: Callable[[], Figures] = Figures, events: Events | None = None
    ) -> None:
        self.events = Events(time.time) if events is None else events
        """The events of the same gateway: most of what is counted is told, too."""
        self.observations = Observations()
        """Things that honest peers seldom do, for the defence."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series of each that answers no question
        self._registry = registry
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        rows = {
            **vars(Metrics),
            **vars(SecurityMetrics),
            **vars(NetworkMetrics),
            **vars(PbxMetrics),
            **vars(ClusterMetrics),
        }
        self.asked = AskedCollector(row for row in rows.values() if isinstance(row, AskedRow))
        self.listeners = ListenerCollector()
        self.figures = figures
        self._figures = FigureCollector(figures)
        registry.register(self.asked)
        registry.register(self.listeners)
        registry.register(self._figures)
        for name, row in rows.items():
            if isinstance(row, Declared):
                setattr(self, name, row.made(registry))
        self.build_info.labels(**asdict(build())).set(1)

    def texts(self) -> Iterator[str]:
        """All metrics in the Prometheus text format, one at a time: they are gathered while they are read."""
        return (generate_latest(_Alone(metric)).decode() for metric in self._registry.collect())

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format; its Content-Type is `CONTENT_TYPE`."""
        return "".join(self.texts()).encode()

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """The value of one series, such as `gateway_calls_total`; None where there is none of these labels."""
        return self._registry.get_sample_value(name, dict(labels or {}))
