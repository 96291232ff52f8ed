"""Metrics of attacks and of the defence against them.

A part of the one table (`metrics`), with its rule: no label holds a text that a peer chose.
"""

from prometheus_client import Counter

from gateway.observe.figures import AskedRow
from gateway.observe.rows import Declared, PlainCounter


class SecurityMetrics:
    """Rows of `Metrics` about attacks."""

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
    challenges = AskedRow(
        "gateway_challenges",
        "Requests of a domain's provider that were asked for a password, by result "
        "(asked, right, wrong, stale, unreadable, dropped).",
        ("domain", "result"),
        is_counter=True,
    )
    limit_refusals = Declared(
        Counter,
        "gateway_limit_refusals",
        "Calls, transfers and redirections that a limit of calls refused.",
        ("limit",),
    )
    guesses_stopped = Declared(
        Counter,
        "gateway_guesses_stopped",
        "Requests with credentials that were answered here after too many wrong passwords, by the count that was full "
        "(pair: of a user at a source, flow: of a registered phone, user: at all sources, source: for all users).",
        ("by",),
    )
    security_events = Declared(
        Counter,
        "gateway_security_events",
        "Things that honest peers seldom do, by event (as in security.EVENT) and side (phones, provider, admin).",
        ("event", "side"),
    )
    bans = Declared(
        Counter,
        "gateway_bans",
        "Bans that came into force, by reason and action (drop, nftables).",
        ("reason", "action"),
    )
    would_ban = Declared(
        Counter,
        "gateway_would_ban",
        "Bans that only were reported, or wait for an operator, by reason.",
        ("reason",),
    )
    bans_in_force = AskedRow(
        "gateway_bans_in_force",
        "Bans that are not over, by the way in which they are in force (drop, nftables) or not (waiting, would_be).",
        ("by",),
    )
    throttled_sources = AskedRow(
        "gateway_throttled_sources",
        "Unknown sources with so many points that they are slowed, by whether their address is proved "
        "(proved, not_proved: it may be forged).",
        ("address",),
    )
    posture_score = AskedRow("gateway_posture_score", "Points of the latest report of the security posture, 0 to 100.")
    posture_findings = AskedRow(
        "gateway_posture_findings",
        "Checks of that report that fail or warn, by severity (critical, high, medium, low).",
        ("severity",),
    )
    posture_time = AskedRow(
        "gateway_posture_time_seconds", "When that report was made, seconds since the epoch; none before the first."
    )
    banned_packets = AskedRow(
        "gateway_banned_packets",
        "Datagrams, connections and requests of banned sources that were dropped, by transport.",
        ("transport",),
        is_counter=True,
    )
    waiting_messages = AskedRow("gateway_waiting_messages", "Datagrams that wait for the turn of their source.")
    crowded_out_messages = AskedRow(
        "gateway_crowded_out_messages",
        "Datagrams that were dropped unparsed, since their source sent too many while others waited.",
        is_counter=True,
    )
    blocklist_entries = AskedRow(
        "gateway_blocklist_entries", "Addresses and networks in force of each list of addresses.", ("list",)
    )
    alerts = AskedRow(
        "gateway_alerts",
        "Alerts, by the kind of receiver (webhook, email, syslog, log) and result "
        "(sent, failed: tried in vain, dropped: no room while others waited).",
        ("to", "result"),
        is_counter=True,
    )
    provisioning_requests = Declared(
        PlainCounter,
        "gateway_provisioning_requests",
        "Phones' questions for their files, by make and result (served, not_modified, bootstrap, upload, refused, "
        "unknown, limited, failed).",
        ("make", "result"),
    )
    provisioning_devices = AskedRow(
        "gateway_provisioning_devices",
        "Devices that have files here, by make and by the generation that they fetched (current, behind, never).",
        ("make", "state"),
    )
    tftp_transfers = Declared(
        PlainCounter,
        "gateway_tftp_transfers",
        "Phones' questions over TFTP, by result (sent, given_up, refused, busy, malformed).",
        ("result",),
    )
    probes = Declared(
        Counter,
        "gateway_probes",
        "Probes that ended, by kind (provider, phone, domain, uri) and result "
        "(as_wanted, not: less than TLS and SRTP, unknown, failed).",
        ("kind", "result"),
    )
    regular_probe = AskedRow(
        "gateway_regular_probe_result",
        "1 for the result of the latest probe of a provider that was made by itself (probe_hours), 0 for the others "
        "(as_wanted, not, unknown, failed); 0 for all before the first.",
        ("provider", "result"),
    )
    regular_probe_time = AskedRow(
        "gateway_regular_probe_time_seconds",
        "When the latest probe of a provider that was made by itself ended, seconds since the epoch; none before the "
        "first.",
        ("provider",),
    )
    budget_calls = Declared(
        Counter,
        "gateway_budget_calls",
        "Calls that ended, by domain and how they count toward its fallback budget (kept, spent, excused).",
        ("domain", "outcome"),
    )
    budget_ratio = AskedRow(
        "gateway_budget_ratio", "Share of a domain's calls that may fall back, for domains that say so.", ("domain",)
    )
    budget_left = AskedRow(
        "gateway_budget_left",
        "Calls of a domain that may still fall back in the 30 days up to now; below 0: so many too many did.",
        ("domain",),
    )
    rollout_phones = AskedRow(
        "gateway_rollout_phones",
        "Phones of each domain's latest roll-out, by state (waiting, notified, accepted, fetched, returned, confirmed, "
        "unsupported, unreachable, failed, left, rolling_back, rolled_back).",
        ("domain", "state"),
    )
    rollout_running = AskedRow(
        "gateway_rollout_running", "1 while a domain's latest roll-out is not over, a paused one as well.", ("domain",)
    )
    resync_requests = Declared(
        Counter,
        "gateway_resync_requests",
        "Orders to phones to fetch their configuration, by make (of the list, or other) and result (accepted, "
        "not_understood, not_now, no_password, wrong_password, unreadable, silent, unreachable).",
        ("make", "result"),
    )
    encrypted_share = AskedRow(
        "gateway_encrypted_call_share",
        "Share of the answered calls of each domain since the start that were encrypted on both legs, 0 to 1; none "
        "before the first. Calls to emergency numbers do not count.",
        ("domain",),
    )
