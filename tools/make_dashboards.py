"""Grafana's dashboards, made from the rows below: `python tools/make_dashboards.py` writes deploy/grafana/dashboards.

With `--check` nothing is written: exit status 1 where a file is not as it would be. Each panel says which question it
answers; docs/metrics.md says the same of each metric. The builders of grafana-foundation-sdk know Grafana's schema, so
that a panel that Grafana would not take cannot be written down. tests/deploy/test_prometheus.py asks every query of a
Prometheus that scrapes a running gateway.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from attrs import frozen
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tools.documents import write_or_compare

TARGET: Final = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "sip-gateway"
CLEAR: Final = "CLEAR|SIGNALLING_ONLY|MEDIA_ONLY_WEAK"
IN_DOMAIN: Final = 'domain=~"$domain"'
AT_PROVIDER: Final = 'provider=~"$provider"'


@frozen
class Graph:
    """A panel: the question that it answers, and each query with its legend. A ``unit`` of Grafana's."""

    title: str
    question: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    limits: tuple[float | None, ...] = ()
    """Of a single figure: yellow from the first on, red from the second; descending where little is bad. Such a panel
    is a figure and no curve; (None, None) has no colour."""


@frozen
class Board:
    """A dashboard: rows of panels, by the title of each row."""

    file: str
    uid: str
    title: str
    description: str
    rows: dict[str, tuple[Graph, ...]]


def figure(title: str, question: str, query: str, unit: str = "short", *limits: float | None) -> Graph:
    """One number, with the bounds from which it is to be looked at."""
    return Graph(title, question, ((query, ""),), unit, limits or (None, None))


def graph(title: str, question: str, *queries: tuple[str, str], unit: str = "short") -> Graph:
    """Curves over time."""
    return Graph(title, question, queries, unit)


def grown(series: str, window: str) -> str:
    """By how much a counter has grown. increase() of one that has just begun is 0, and would miss the first."""
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def rate(series: str, factor: int = 1) -> str:
    """How fast a counter grows, a second or (factor 60) a minute."""
    return f"rate({series}[$__rate_interval])" + (f" * {factor}" if factor != 1 else "")


def legend_of(by: str) -> str:
    """The values of these labels."""
    return " ".join("{{" + label + "}}" for label in by.split(", "))


def a_minute(by: str, series: str) -> tuple[str, str]:
    """The growth of a counter a minute, by labels, and the legend."""
    return f"sum by ({by}) (rate({series}[$__rate_interval])) * 60", legend_of(by)


def a_second(by: str, series: str, legend: str = "") -> tuple[str, str]:
    """The same a second."""
    return f"sum by ({by}) (rate({series}[$__rate_interval]))", legend or legend_of(by)


def lately(by: str, series: str, window: str = "1h") -> tuple[str, str]:
    """The growth of a counter in all, over the last hour unless told."""
    return f"sum by ({by}) ({grown(series, window)})", legend_of(by)


def quantile(share: float, histogram: str, by: str, where: str = "") -> tuple[str, str]:
    """A quantile of a histogram over five minutes, by a label, and the legend."""
    bucket = f"{histogram}_bucket" + (f"{{{where}}}" if where else "")
    expression = f"histogram_quantile({share}, sum by (le, {by}) ({grown(bucket, '5m')}))"
    return expression, f"{legend_of(by)}, p{round(100 * share)}"


def calls(where: str = "") -> str:
    """The counter of calls that ended, in the chosen domains."""
    return f"gateway_calls_total{{{IN_DOMAIN}{where}}}"


PUT_THROUGH: Final = calls(',verdict!~"UNANSWERED|REFUSED"')
ENCRYPTED: Final = calls(',verdict=~"ENCRYPTED.*"')
IN_CLEAR: Final = calls(f',verdict=~"{CLEAR}"')
REFUSED: Final = calls(',verdict="REFUSED"')


def share_encrypted(by: str, window: str) -> str:
    """Of the calls that were put through, the share that was encrypted to the provider at least."""
    group = f"sum by ({by}) " if by else "sum"
    whole = f"{group}({grown(PUT_THROUGH, window)})"
    return f"({group}({grown(ENCRYPTED, window)}) or 0 * {whole}) / ({whole} > 0)"


def share_answered(by: str, window: str) -> str:
    """Of the calls that ended, the share that was answered."""
    answered = f"sum by ({by}) ({grown(f'gateway_call_duration_seconds_count{{{AT_PROVIDER}}}', window)})"
    failed = f"sum by ({by}) ({grown(f'gateway_call_failures_total{{{AT_PROVIDER}}}', window)})"
    return f"({answered} or 0 * {failed}) / (({answered} or 0 * {failed}) + ({failed} or 0 * {answered}) > 0)"


OVERVIEW: Final = Board(
    "gateway",
    "gateway",
    "Gateway: overview",
    "How much is encrypted, and why not; whether anything needs a look.",
    {
        "Now": (
            figure("Calls up", "How many calls are being set up or up?", "sum(gateway_active_calls)"),
            figure("Phones", "How many phones are registered?", "sum(gateway_registrations)"),
            figure(
                "Encrypted, last 24 h",
                "Which share of the calls that were put through had audio and signalling encrypted to the provider?",
                share_encrypted("", "24h"),
                "percentunit",
                0.99,
                0.9,
            ),
            figure(
                "In clear, last 24 h",
                "How many calls went without some of their encryption?",
                f"sum({grown(IN_CLEAR, '24h')}) or vector(0)",
                "short",
                1,
                10,
            ),
            figure(
                "Refused, last 24 h",
                "How many calls were refused because they could not be protected, or nothing could carry them?",
                f"sum({grown(REFUSED, '24h')}) or vector(0)",
                "short",
                1,
                10,
            ),
            figure(
                "Media ports free",
                "Which share of the ports is left for calls? The last tenth is for emergency calls.",
                'sum(gateway_media_ports{state="free"}) / sum(gateway_media_ports)',
                "percentunit",
                0.3,
                0.15,
            ),
            figure("Alerts", "How many alerts fire?", 'sum(ALERTS{alertstate="firing"}) or vector(0)', "short", 1, 3),
            figure(
                "Providers' hosts down",
                "Does a host of a provider not answer?",
                'sum(gateway_provider_targets{state="down"}) or vector(0)',
                "short",
                1,
                2,
            ),
            figure(
                "First certificate expires in",
                "When is the next certificate of the gateway's own to be renewed?",
                "min(gateway_certificate_expiry_seconds) - time()",
                "s",
                30 * 86400,
                7 * 86400,
            ),
        ),
        "How much is encrypted, and why not": (
            graph("Calls by verdict", "How were calls protected?", a_minute("verdict", calls())),
            graph(
                "Calls not encrypted, by reason",
                "Why was a call not encrypted, or refused? docs/troubleshooting.md has the remedy of each code.",
                a_minute("reason", calls(',verdict!~"ENCRYPTED.*|UNANSWERED"')),
            ),
            graph(
                "Share encrypted, by domain, of the last hour",
                "Which domain is to be looked at?",
                (share_encrypted("domain", "1h"), "{{domain}}"),
                unit="percentunit",
            ),
            graph(
                "Not encrypted in the last hour, by domain and reason",
                "In which domain does which reason keep calls from being encrypted?",
                lately("domain, reason", IN_CLEAR),
            ),
            graph(
                "Probable downgrades in the last hour",
                "Does a peer do less than it did before: is somebody in the middle?",
                lately("feature, result", "gateway_downgrades_total"),
            ),
            graph(
                "Requests outside calls over less than verified TLS",
                "Which of a provider's messages and notifications come without proof?",
                a_minute("result, reason", f"gateway_weak_requests_total{{{IN_DOMAIN}}}"),
            ),
        ),
    },
)

CALLS: Final = Board(
    "calls",
    "gateway-calls",
    "Gateway: calls and quality",
    "Whether calls come about, how fast, and how they sound.",
    {
        "Calls": (
            graph("Calls up", "How many calls are being set up or up?", ("sum(gateway_active_calls)", "calls")),
            graph("Calls that ended, a minute", "How busy is it?", a_minute("direction", calls())),
            graph(
                "Failures, by provider and class",
                "Which provider refuses calls, and how? cancelled: the caller gave up.",
                a_minute("provider, status_class", f"gateway_call_failures_total{{{AT_PROVIDER}}}"),
            ),
            graph(
                "Results of calls",
                "Do calls work? callee: it was busy, declined or is not known; failed: anything else.",
                a_minute("result", f"gateway_call_results_total{{{IN_DOMAIN},{AT_PROVIDER}}}"),
            ),
            graph(
                "Emergency calls in the last 24 h",
                "Was an emergency call put through?",
                lately("result", "gateway_emergency_calls_total", "24h"),
            ),
            graph(
                "Answered, of all calls that ended in 15 minutes",
                "Which share of calls is answered?",
                (share_answered("provider", "15m"), "{{provider}}"),
                unit="percentunit",
            ),
            graph(
                "Post-dial delay",
                "How long does a caller hear nothing?",
                *(quantile(q, "gateway_post_dial_delay_seconds", "provider", AT_PROVIDER) for q in (0.5, 0.95)),
                unit="s",
            ),
            graph(
                "Set-up time",
                "How long until a call is answered, the time that it rings included?",
                *(quantile(q, "gateway_call_setup_seconds", "provider", AT_PROVIDER) for q in (0.5, 0.95)),
                unit="s",
            ),
            graph(
                "Length of calls",
                "How long do calls last? Many short ones are a sign of one-way audio, or of fraud.",
                *(quantile(q, "gateway_call_duration_seconds", "direction", AT_PROVIDER) for q in (0.5, 0.9)),
                unit="s",
            ),
            graph(
                "Calls hung up for their length, in the last hour",
                "Are there calls that nobody hangs up? See longest_call of [gateway].",
                ("sum(increase(gateway_calls_ended_for_length_total[1h]))", "calls"),
            ),
        ),
        "Quality": (
            graph(
                "Speech quality (MOS)",
                "How do calls sound? 4 is good, 3 is bad; p10 is the worst tenth.",
                *(quantile(q, "gateway_media_mos", "direction") for q in (0.5, 0.1)),
            ),
            graph(
                "Loss",
                "Which share of packets is lost?",
                quantile(0.9, "gateway_media_loss_ratio", "direction"),
                unit="percentunit",
            ),
            graph(
                "Jitter and round trip",
                "Is the network the reason?",
                quantile(0.9, "gateway_media_jitter_seconds", "direction"),
                quantile(0.9, "gateway_media_round_trip_seconds", "direction"),
                unit="s",
            ),
            graph(
                "One-way audio in the last hour",
                "Do parties hear nothing? The silent direction.",
                lately("direction", "gateway_one_way_audio_total"),
            ),
            graph(
                "Relayed packets",
                "How much audio passes?",
                a_second("direction", "gateway_relayed_packets_total"),
                unit="pps",
            ),
            graph(
                "Media ports",
                "How many more calls fit?",
                ("sum by (relay, state) (gateway_media_ports)", "{{relay}} {{state}}"),
            ),
            graph(
                "Packets that went no further",
                "Why is audio lost here?",
                a_second("side, cause", "gateway_failed_packets_total", "from {{side}}: {{cause}}"),
                unit="pps",
            ),
        ),
    },
)

TLS: Final = Board(
    "tls",
    "gateway-tls",
    "Gateway: TLS and certificates",
    "With which versions, ciphers and suites the gateway and its peers protect calls.",
    {
        "Connections": (
            graph(
                "TLS connections, by version",
                "Can old versions be switched off?",
                ("sum by (side, version) (gateway_tls_connections)", "{{side}} {{version}}"),
            ),
            graph(
                "TLS connections, by cipher",
                "Which ciphers are in use?",
                ("sum by (side, cipher) (gateway_tls_connections)", "{{side}} {{cipher}}"),
            ),
            graph(
                "Connections, by listener",
                "How near are the limits?",
                ("sum by (listener) (gateway_connections)", "{{listener}}"),
            ),
            graph(
                "Handshakes",
                "Do peers come and go? Does their TLS work?",
                a_minute("side, result", "gateway_tls_handshakes_total"),
            ),
            graph(
                "Handshakes that failed in the last hour",
                "Why does TLS fail: the certificate, the version, silence?",
                lately("side, result", 'gateway_tls_handshakes_total{result!="ok"}'),
            ),
        ),
        "Certificates and keys": (
            graph(
                "Certificates expire in",
                "Which certificate is to be renewed?",
                ("gateway_certificate_expiry_seconds - time()", "{{listener}}"),
                unit="s",
            ),
            graph(
                "Files of certificates that cannot be used",
                "Did a renewal go wrong? 1: the files of before go on serving.",
                ("gateway_certificate_files_unusable", "unusable"),
            ),
            graph(
                "SRTP suites of audio, last 24 h",
                "Which suites do phones and providers choose? none: RTP in clear.",
                lately("side, suite", "gateway_call_suites_total", "24h"),
            ),
        ),
    },
)

THREATS: Final = Board(
    "threats",
    "gateway-threats",
    "Gateway: threats",
    "Whoever tries to call, listen or flood, and the limits that held.",
    {
        "Defence": (
            graph(
                "Sources that are turned away",
                "Whom does the defence turn away, and does a ban wait for an operator?",
                ("sum by (by) (gateway_bans_in_force)", "{{by}}"),
            ),
            graph(
                "Sources that are slowed",
                "Who scans, and has not proved its address, so that no ban shows it?",
                ("sum by (address) (gateway_throttled_sources)", "{{address}}"),
            ),
            graph(
                "Bans in the last hour, and those that would be",
                "Why is somebody turned away, or would be?",
                lately("reason, action", "gateway_bans_total"),
                lately("reason", "gateway_would_ban_total"),
            ),
            graph(
                "Dropped before they were looked at",
                "Does a ban hold something off?",
                a_minute("transport", "gateway_banned_packets_total"),
            ),
            graph(
                "Observations",
                "What do attackers try, and from which side?",
                a_minute("event, side", "gateway_security_events_total"),
            ),
            graph(
                "Answers that forged hosts were not sent",
                "Does somebody use the gateway to flood another?",
                a_minute("listener", "gateway_withheld_datagrams_total"),
            ),
            graph(
                "Calls refused by a limit, in the last hour",
                "Does somebody call at the expense of others?",
                lately("limit", "gateway_limit_refusals_total"),
            ),
            graph(
                "Block lists",
                "Does each list have entries?",
                ("gateway_blocklist_entries", "{{list}}"),
            ),
            graph(
                "Files of phones",
                "Do phones get their files, and does somebody try to get others'?",
                a_minute("make, result", "gateway_provisioning_requests_total"),
                a_minute("result", "gateway_tftp_transfers_total"),
            ),
            graph(
                "Phones by the file that they have",
                "Which phones have not fetched their file yet?",
                ("sum by (state) (gateway_provisioning_devices)", "{{state}}"),
            ),
            graph(
                "Alerts in the last hour",
                "Does anybody hear of it?",
                lately("to, result", "gateway_alerts_total"),
            ),
            graph(
                "Fallback budgets",
                "How many calls of a domain may still fall back, and which share of all may?",
                ("gateway_budget_left", "{{domain}}: calls left"),
                ("100 * gateway_budget_ratio", "{{domain}}: percent of all"),
            ),
            graph(
                "Roll-outs",
                "How far are the roll-outs to phones, and does one go on?",
                ("gateway_rollout_phones > 0", "{{domain}}: {{state}}"),
                ("gateway_rollout_running", "{{domain}}: not over"),
            ),
            graph(
                "Orders to phones in the last hour",
                "Do phones obey?",
                lately("make, result", "gateway_resync_requests_total"),
            ),
            graph(
                "Calls encrypted on both legs",
                "Are calls encrypted up to the phones? Percent of all since the start.",
                ("100 * gateway_encrypted_call_share", "{{domain}}"),
                unit="percent",
            ),
            graph(
                "Calls that count against a budget, in the last hour",
                "Which domain spends its budget?",
                lately("domain, outcome", "gateway_budget_calls_total"),
            ),
        ),
        "Signalling": (
            graph(
                "Strangers' requests, dropped",
                "Does somebody scan the provider's side?",
                a_minute("transport", "gateway_dropped_requests_total"),
            ),
            graph(
                "Security posture",
                "How safe is this place? Points of the latest report, 100 at most.",
                ("gateway_posture_score", "points"),
            ),
            graph(
                "Findings of the posture",
                "How much is to be mended? Checks that fail or warn, by severity.",
                ("gateway_posture_findings", "{{severity}}"),
            ),
            graph(
                "Age of the posture's report",
                "Is the latest report of this week?",
                ("time() - gateway_posture_time_seconds", "age"),
                unit="s",
            ),
            graph(
                "Dry runs, in the last hour",
                "Does somebody probe, and would calls be as wanted?",
                lately("kind, result", "gateway_probes_total"),
            ),
            graph(
                "Regular probes of providers",
                "Would calls to each provider be as wanted, by the latest probe that was made by itself?",
                ("gateway_regular_probe_result == 1", "{{provider}}: {{result}}"),
            ),
            graph(
                "Age of the latest regular probe",
                "Is each provider with probe_hours still probed?",
                ("time() - gateway_regular_probe_time_seconds", "{{provider}}"),
                unit="s",
            ),
            graph(
                "Malformed messages",
                "Does somebody send nonsense, or a phone that does not know SIP?",
                a_minute("transport, reason", "gateway_malformed_messages_total"),
            ),
            graph(
                "Challenges, by result",
                "Does somebody guess passwords (wrong, dropped) or send old answers again (stale)?",
                a_minute("domain, result", f"gateway_challenges_total{{{IN_DOMAIN}}}"),
            ),
            graph(
                "Guesses at phones' passwords, stopped here, in the last hour",
                "Does somebody guess passwords of phones?",
                lately("by", "gateway_guesses_stopped_total"),
            ),
            graph(
                "Log-ins to the administration interface in the last hour",
                "Does somebody guess passwords of operators?",
                lately("result", "gateway_admin_logins_total"),
            ),
            graph(
                "Refused by limits",
                "Does one source take more than its share?",
                (rate("gateway_calls_over_limit_total", 60), "calls without an answer"),
                a_minute("status", "gateway_stateless_refusals_total"),
                a_minute("listener", "gateway_refused_connections_total"),
            ),
            graph(
                "Certificates that were not accepted, in the last hour",
                "Does somebody stand in the middle, or has a certificate expired?",
                lately("side", 'gateway_tls_handshakes_total{result="certificate"}'),
            ),
            graph(
                "Probable downgrades in the last hour",
                "Does a peer do less than it did before?",
                lately("feature, result", "gateway_downgrades_total"),
            ),
        ),
        "Media": (
            graph(
                "SRTP that does not verify, or came before",
                "Does somebody inject or replay audio? A few after a change of keys are usual.",
                a_second(
                    "side, cause",
                    'gateway_failed_packets_total{cause=~"authentication|replay"}',
                    "from {{side}}: {{cause}}",
                ),
                unit="pps",
            ),
            graph(
                "Packets from a wrong source",
                "Does somebody send audio into calls of others? A phone behind NAT may do so as well.",
                a_second("side", 'gateway_failed_packets_total{cause="wrong_source"}', "to a port for {{side}}"),
                unit="pps",
            ),
            graph(
                "Checks of browsers",
                "Do browsers answer for their addresses? `wrong` ones know no password of a call: somebody guesses.",
                a_second("result", "gateway_ice_checks_total", "{{result}}"),
            ),
            graph(
                "DTLS handshakes of browsers",
                "Do web phones get keys? `mismatch`: it is another certificate than the SDP's, and the call ends.",
                a_second("result", "gateway_dtls_handshakes_total", "{{result}}"),
            ),
        ),
    },
)

PROCESS: Final = Board(
    "process",
    "gateway-process",
    "Gateway: the gateway itself",
    "Whether the machine and its processes keep up.",
    {
        "Processes": (
            graph(
                "Version",
                "Which version of the gateway ran when, and with which OpenSSL?",
                ("gateway_build_info", "{{version}}, {{openssl}}, Python {{python}}"),
            ),
            graph(
                "Ready, and draining",
                "Does it take calls, and how many does a stop wait for?",
                ("gateway_ready", "ready"),
                ("gateway_draining", "draining"),
                ("gateway_draining_calls", "calls that are waited for"),
                (rate("gateway_calls_refused_by_drain_total", 60), "new calls refused a minute"),
            ),
            graph(
                "Addresses that are gone, and moves to others",
                "Does the gateway wait for an address of its machine?",
                ("gateway_network_lost_addresses", "gone now"),
                (grown("gateway_network_address_changes_total", "1h"), "{{change}} in the last hour"),
                ("increase(gateway_network_moved_calls_total[1h])", "calls moved in the last hour"),
            ),
            graph(
                "The lease of this machine's address",
                "How long may it be used yet, and does the DHCP client answer?",
                ("gateway_dhcp_lease_seconds", "seconds of the lease that are left"),
                ("gateway_dhcp_client_up", "the DHCP client answers"),
                ("gateway_dhcp_other_servers", "other DHCP servers that answered"),
            ),
            graph(
                "Renewals of the lease",
                "Does its server answer, and with the same address?",
                (grown("gateway_dhcp_renewals_total", "1h"), "{{cause}}, {{result}} in the last hour"),
            ),
            graph(
                "The pair of nodes",
                "Which node is active, does another wait, and does the store answer?",
                ("gateway_cluster_active", "active"),
                ("gateway_cluster_nodes", "nodes that live"),
                ("gateway_cluster_store_up", "the store answers"),
                ("gateway_cluster_without_store", "active without the store"),
            ),
            graph(
                "Copies for the other node",
                "How much would a takeover lose now?",
                ("gateway_cluster_lag_seconds", "seconds that the store is behind"),
                ("gateway_cluster_waiting_changes", "changes that wait"),
                ("increase(gateway_cluster_whole_copies_total[1h])", "whole copies in the last hour"),
                ("increase(gateway_cluster_copy_failures_total[1h])", "failed writes in the last hour"),
            ),
            graph(
                "The clock",
                "Does a time server set it, and does it jump?",
                ("gateway_clock_synchronized", "set by a time server"),
                ("increase(gateway_clock_jumps_total[1h])", "jumps in the last hour"),
            ),
            graph(
                "CPU of the signalling process and of each worker",
                "Is a core full? 1 is one core.",
                (rate('process_cpu_seconds_total{job="gateway"}'), "signalling"),
                a_second("worker", "gateway_worker_cpu_seconds_total", "worker {{worker}}"),
                unit="percentunit",
            ),
            graph(
                "Loops of the media workers",
                "Does every worker have the native one?",
                ("sum by (loop) (gateway_worker_loop)", "{{loop}}"),
            ),
            graph(
                "Memory",
                "Does memory grow without calls growing?",
                ('process_resident_memory_bytes{job="gateway"}', "signalling"),
                ("gateway_worker_resident_memory_bytes", "worker {{worker}}"),
                unit="bytes",
            ),
            graph(
                "Overload",
                "How late is everything, and are new calls refused for it?",
                ("gateway_lateness_seconds", "late by"),
                (rate("gateway_shed_calls_total", 60), "calls shed a minute"),
                unit="s",
            ),
            graph(
                "Messages that wait",
                "Does one source flood, and do the others wait for it?",
                ("gateway_waiting_messages", "waiting"),
                (rate("gateway_crowded_out_messages_total", 60), "dropped a minute"),
            ),
            graph(
                "Open files",
                "How near is the limit?",
                ('process_open_fds{job="gateway"}', "open"),
                ('process_max_fds{job="gateway"}', "limit"),
            ),
            graph(
                "Media relays, and workers that were started again",
                "Does a relay not answer, or die?",
                ("sum by (state) (gateway_media_relays)", "{{state}}"),
                ("increase(gateway_worker_restarts_total[1h])", "restarts in the last hour"),
            ),
            graph(
                "Scrapes",
                "Is the gateway there, and how long does it take to say so?",
                ('up{job="gateway"}', "up"),
                ('scrape_duration_seconds{job="gateway"}', "seconds"),
            ),
        ),
        "Traffic": (
            graph(
                "Requests received",
                "Who asks for what?",
                a_second("side, method", "gateway_requests_total"),
                unit="reqps",
            ),
            graph(
                "Responses received",
                "What is answered?",
                a_second("side, status_class", "gateway_responses_total"),
                unit="reqps",
            ),
            graph(
                "Requests to the administration interface",
                "Is the interface used, and does it fail?",
                a_minute("route, status_class", "gateway_admin_requests_total"),
                ("gateway_admin_sessions", "sessions"),
            ),
            graph(
                "Registrations",
                "Have phones gone?",
                ("sum(gateway_registrations)", "registered"),
                ("sum(gateway_unreachable_registrations)", "of them out of reach"),
            ),
            graph(
                "Providers' hosts",
                "Which provider has a host that does not answer?",
                ("sum by (provider, state) (gateway_provider_targets)", "{{provider}} {{state}}"),
            ),
            graph(
                "PBXs without registration",
                "Can a PBX be called, and does the provider know it?",
                ("sum by (phone, state) (gateway_pbx_places)", "{{phone}} {{state}}"),
                ("sum by (phone) (gateway_pbx_lost_names)", "{{phone}}: names that are not found"),
                ("sum by (phone) (gateway_pbx_registered)", "{{phone}}: registered"),
                (grown("gateway_pbx_registration_failures_total", "1h"), "{{phone}}: failures in the last hour"),
            ),
        ),
        "Things that wait, or are lost": (
            graph(
                "Bytes that wait",
                "Does somebody fill the memory?",
                ("gateway_waiting_bytes", "waiting"),
                unit="bytes",
            ),
            graph(
                "State not written",
                "Is the disk full?",
                ("gateway_state_unwritten", "{{file}} cannot be written"),
                (grown("gateway_state_failures_total", "1h"), "{{file}}: failures in the last hour"),
            ),
            graph(
                "Lines of the log, and datagrams, that were lost",
                "Does whoever reads the log keep up? Does the system send our datagrams?",
                (grown("gateway_lost_log_lines_total", "1h"), "lines in the last hour"),
                lately("listener", "gateway_unsent_datagrams_total"),
            ),
            graph(
                "Capture",
                "Does somebody trace, and is the HEP receiver there?",
                ("gateway_traces_active", "traces"),
                ("gateway_hep_queue", "messages that wait for the receiver"),
                (grown('gateway_hep_messages_total{result="dropped"}', "1h"), "dropped in the last hour"),
            ),
        ),
    },
)

BOARDS: Final = (OVERVIEW, CALLS, TLS, THREATS, PROCESS)


def made(board: Board) -> str:
    """The dashboard as Grafana reads it."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("browser")
        .refresh("30s")
        .time("now-6h", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .link(dashboard.DashboardLink("Gateway").type(DashboardLinkType.DASHBOARDS).tags([TAG]).keep_time(True))
    )
    asked = repr(board.rows)
    for name, metric in (("domain", "gateway_calls_total"), ("provider", "gateway_provider_targets")):
        if f"${name}" in asked:
            builder = builder.with_variable(_variable(name, metric))
    number = 0
    for title, panels in board.rows.items():
        number += 1
        builder = builder.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            builder = builder.with_panel(_panel(panel).id(number))
    text = JSONEncoder(sort_keys=True, indent=2).encode(builder.build())
    return f"{text}\n"


def _variable(name: str, metric: str) -> dashboard.QueryVariable:
    """The choice of some of a label's values, all at first."""
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )


def _panel(panel: Graph) -> stat.Panel | timeseries.Panel:
    built: stat.Panel | timeseries.Panel
    if panel.limits:
        latest = common.ReduceDataOptions().calcs(["lastNotNull"])
        built = _coloured(stat.Panel(), panel.limits).reduce_options(latest).span(3).height(4)
    else:
        legend = common.VizLegendOptions().show_legend(True)
        built = timeseries.Panel().span(12).height(8).fill_opacity(10).min(0).legend(legend)
    built = built.title(panel.title).description(panel.question).datasource(SOURCE).unit(panel.unit)
    for letter, (query, legend_format) in zip("ABCDEF", panel.queries, strict=False):
        asked = prometheus.Dataquery().ref_id(letter).expr(query).format(PromQueryFormat.TIME_SERIES)
        built = built.with_target(asked.legend_format(legend_format or "__auto").datasource(SOURCE))
    return built


def _coloured(panel: stat.Panel, limits: tuple[float | None, ...]) -> stat.Panel:
    """Green, yellow from the first limit on, red from the second."""
    first, second = limits
    if first is None or second is None:
        return panel.color_mode(BigValueColorMode.NONE)
    colours = [("green", None), ("yellow", first), ("red", second)]
    if first > second:  # a little is bad
        colours = [("red", None), ("yellow", second), ("green", first)]
    steps = [Threshold(color=colour, value=value) for colour, value in colours]
    return panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))


def main(arguments: list[str]) -> int:
    """Write each dashboard, or compare; 1 where one is not as it would be."""
    files = {TARGET / f"{board.file}.json": made(board) for board in BOARDS}
    return write_or_compare(files, arguments, "python tools/make_dashboards.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
