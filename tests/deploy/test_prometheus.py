"""Every query of every dashboard and alert, asked of Debian's Prometheus while a gateway carries calls of all kinds."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator

import attrs
import pytest

from gateway.security.policy.verdict import Verdict
from tests.deploy.test_deploy import SHOWN, expressions
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import find_program
from tests.support.matrix.scene import Scene
from tests.support.matrix.traffic import CHALLENGED, play
from tests.support.prometheus import Prometheus

POLLED = 11.0
"""Seconds until the workers' figures are known."""

VARIABLES = {"$domain": ".*", "$provider": ".*", "$__rate_interval": "10s"}

QUERIES = sorted({expression for file in SHOWN if file.suffix == ".json" for expression in expressions(file)})
ALERTS = next(file for file in SHOWN if file.suffix == ".yml")
SELECTOR = re.compile(r"\b(?:gateway_|up)\w*(?:\{[^}]*\})?")
SELECTORS = sorted({found for expression in expressions(ALERTS) for found in SELECTOR.findall(expression)})

MAY_BE_EMPTY = {
    "gateway_hep_queue": "a gateway without [hep] has none",
    'gateway_hep_messages_total{result="dropped"}': "a gateway without [hep] has none",
    'gateway_calls_total{reason=~"NO_PORTS|NO_MEDIA_RELAY"}': "there are ports and relays enough",
    "gateway_guesses_stopped_total": "nobody guesses passwords of this gateway's phones",
    "gateway_bans_total": "nobody is banned",
    "gateway_would_ban_total": "nobody would be",
    "gateway_security_events_total": "nobody attacks this gateway",
    "gateway_limit_refusals_total": "it has no [[limit]] that anybody reaches",
    "gateway_alerts_total": "a gateway without [[alert]] tells nobody",
    'gateway_alerts_total{result=~"failed|dropped"}': "a gateway without [[alert]] tells nobody",
    'gateway_bans_in_force{by="waiting"}': "nobody is banned",
    "gateway_cluster_active": "a gateway without [cluster] has none",
    "gateway_cluster_nodes": "a gateway without [cluster] has none",
    "gateway_cluster_store_up": "a gateway without [cluster] has none",
    "gateway_cluster_without_store": "a gateway without [cluster] has none",
    "gateway_cluster_lag_seconds": "a gateway without [cluster] has none",
    "gateway_cluster_waiting_changes": "a gateway without [cluster] has none",
    "gateway_cluster_whole_copies_total": "a gateway without [cluster] has none",
    "gateway_cluster_copy_failures_total": "a gateway without [cluster] has none",
    "gateway_blocklist_entries": "a gateway without [[blocklist]] has none",
    "gateway_budget_ratio": "no domain has a budget",
    "gateway_budget_left": "no domain has a budget",
    "gateway_budget_calls_total": "no domain has a budget",
    "gateway_provisioning_requests_total": "a gateway without [provisioning] has none",
    "gateway_provisioning_devices": "a gateway without [provisioning] has none",
    "gateway_tftp_transfers_total": "a gateway without [provisioning] has none",
    "gateway_ice_checks_total": "no browser calls here",
    "gateway_dtls_handshakes_total": "no browser calls here",
    "gateway_dhcp_client_up": 'a gateway without mode = "dhcp" has none',
    "gateway_dhcp_lease_seconds": 'a gateway without mode = "dhcp" has none',
    "gateway_dhcp_other_servers": 'a gateway without mode = "dhcp" has none',
    "gateway_dhcp_renewals_total": 'a gateway without mode = "dhcp" has none',
    "gateway_pbx_places": "a gateway without [[phone]] has none",
    "gateway_pbx_lost_names": "a gateway without [[phone]] has none",
    "gateway_pbx_registered": "a gateway without [[phone]] has none",
    "gateway_pbx_registration_failures_total": "a gateway without [[phone]] has none",
    "gateway_rollout_phones": "no roll-out was ever begun",
    "gateway_rollout_running": "no roll-out was ever begun",
    "gateway_resync_requests_total": "no phone is ordered to fetch its configuration",
    "gateway_probes_total": "nobody probes this gateway's providers",
    "gateway_regular_probe_result": "no provider of this gateway has probe_hours",
    "gateway_regular_probe_time_seconds": "no provider of this gateway has probe_hours",
    "gateway_posture_score": "no report is made so soon",
    "gateway_posture_findings": "no report is made so soon",
    "gateway_posture_time_seconds": "no report is made so soon",
    "gateway_admin_logins_total": "this gateway has no users, so nobody logs in",
}
"""Selectors of queries that need not have a series here, and why."""


@attrs.frozen
class Seen:
    """A Prometheus that has seen calls of all kinds, and the last exposition of the gateway."""

    prometheus: Prometheus
    exposition: str


def _rows(seen: Seen, name: str) -> list[str]:
    """The labels of a metric's samples."""
    return re.findall(rf"^{name}\{{(.*)\}} ", seen.exposition, re.M)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    hosts, directory = Hosts.claim(), tmp_path_factory.mktemp("metrics")
    scene = Scene(hosts, directory, "changes")
    started: list[Prometheus] = []
    told: list[str] = []

    def begun() -> None:
        place = hosts.gateway, scene.site.ports.admin
        started.append(Prometheus((hosts.control, hosts.port(hosts.control)), place, directory / "prometheus"))

    async def until() -> None:
        await asyncio.sleep(POLLED)
        told.append(await asyncio.to_thread(scene.gateway.metrics))
        await asyncio.sleep(2)

    try:
        asyncio.run(play(scene, begun, until))
        yield Seen(started[0], told[0])
    finally:
        for one in started:
            one.stop()
        scene.gateway.stop()
        hosts.release()


def test_there_were_calls_of_all_kinds(seen: Seen) -> None:
    ended = {dict(re.findall(r'(\w+)="([^"]*)"', row))["verdict"] for row in _rows(seen, "gateway_calls_total")}
    assert ended == {*Verdict}
    assert {'result="answered"'} < {*_rows(seen, "gateway_emergency_calls_total")}
    assert f'domain="{CHALLENGED}",result="wrong"' in _rows(seen, "gateway_challenges_total")
    causes = {row.partition('cause="')[2].partition('"')[0] for row in _rows(seen, "gateway_failed_packets_total")}
    assert {"authentication", "replay", "wrong_source"} <= causes


def test_a_query_that_is_wrong_would_be_found(seen: Seen) -> None:
    assert seen.prometheus.over_time("gateway_caIls_total") == []
    with pytest.raises(AssertionError, match="parse error"):
        seen.prometheus.over_time("sum by gateway_calls_total")


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_a_dashboard_shows_something(seen: Seen, query: str) -> None:
    asked = query
    for name, value in VARIABLES.items():
        asked = asked.replace(name, value)
    assert "$" not in asked
    if any(selector in MAY_BE_EMPTY for selector in SELECTOR.findall(query)):
        return
    values = [value for series in seen.prometheus.over_time(asked) for _, value in series["values"]]
    assert values, asked
    assert any(value not in ("NaN", "+Inf", "-Inf") for value in values), asked


@pytest.mark.parametrize("selector", SELECTORS)
def test_every_alert_asks_for_series_that_are_there(seen: Seen, selector: str) -> None:
    assert seen.prometheus.over_time(selector) or selector in MAY_BE_EMPTY, selector


def test_every_alert_can_be_evaluated(seen: Seen) -> None:
    rules = seen.prometheus.rules()
    assert len(rules) == len(expressions(ALERTS))
    assert not [rule for rule in rules if rule["health"] != "ok" or rule.get("lastError")]


def test_promtool_finds_nothing_wrong_with_the_metrics(seen: Seen) -> None:
    argv = [find_program("promtool", "prometheus"), "check", "metrics"]
    checked = subprocess.run(argv, input=seen.exposition, capture_output=True, text=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_no_label_holds_an_address_or_a_number(seen: Seen) -> None:
    labels = {
        value for row in re.findall(r"^\w+\{(.*)\} ", seen.exposition, re.M) for value in re.findall(r'="([^"]*)"', row)
    }
    assert len(labels) > 50
    assert not [value for value in labels if re.search(r"\d+\.\d+\.\d+\.\d+|@|sip:|[0-9a-f]{2}:[0-9a-f]{2}", value)]
    assert "112" not in labels


def test_a_scrape_is_quick(seen: Seen) -> None:
    """It is written in turns, and waits for lulls between messages of calls. Its CPU is measured by bench.scrapes."""
    took = [float(value) for one in seen.prometheus.over_time("scrape_duration_seconds") for _, value in one["values"]]
    assert len(took) > 5
    assert sorted(took)[len(took) // 2] < 0.5
