"""The alerts do fire, and only then: Prometheus' own promtool plays them on series of samples."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.calls.processes import find_program

RULES = Path(__file__).parents[2] / "deploy" / "prometheus-alerts.yml"
CONFIGURATION = RULES.with_name("prometheus.yml")

REFUSED = (
    'gateway_calls_total{domain="example.com", direction="outbound", verdict="REFUSED", reason="REFUSED_CERTIFICATE"}'
)
REFUSED_ELSE = REFUSED.replace("REFUSED_CERTIFICATE", "REFUSED_NO_KEY")
FAILED = 'gateway_calls_total{domain="example.com", direction="outbound", verdict="UNANSWERED", reason="%s"}'
RESULT = 'gateway_call_results_total{domain="example.com", provider="main", result="%s"}'
EMERGENCY = 'gateway_emergency_calls_total{result="%s"}'
CLEAR = 'gateway_calls_total{domain="example.com", direction="outbound", verdict="%s", reason="%s"}'
GUESSED = 'gateway_challenges_total{domain="example.com", result="%s"}'
PACKETS = 'gateway_failed_packets_total{side="provider", cause="%s"}'
DOWNGRADE = 'gateway_downgrades_total{feature="tls", result="refused"}'

FIRES = [
    # A counter that begins with the first thing it counts: the alarm must not wait for the second.
    ("CallsRefused", REFUSED, "_x8 1x12"),
    ("CallsRefused", REFUSED, "3x8 4x12"),
    ("CallsRefused", REFUSED_ELSE, "_x8 1x12"),
    ("EmergencyCallFailed", EMERGENCY % "failed", "_x8 1x12"),
    ("EmergencyCallFailed", EMERGENCY % "failed", "0x8 1x12"),
    ("EveryCallFails", RESULT % "failed", "_x8 3x12"),
    ("EveryCallFails", RESULT % "failed", "7x8 10x12"),
    ("ManyCallsFail", RESULT % "failed", "0x8 20x12"),
    ("ProviderFails", FAILED % "PROVIDER_UNREACHABLE", "_x8 3x12"),
    ("NoPortsForCalls", FAILED % "NO_PORTS", "_x8 1x12"),
    ("CallsInClear", CLEAR % ("CLEAR", "CLEAR_PEER_NO_TLS"), "_x8 1x12"),
    ("CallsInClear", CLEAR % ("SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP"), "_x8 1x12"),
    ("ProbableDowngrade", DOWNGRADE, "_x8 1x12"),
    ("TlsHandshakesFail", 'gateway_tls_handshakes_total{side="provider", result="certificate"}', "_x8 6x12"),
    ("OneWayAudio", 'gateway_one_way_audio_total{direction="to_phone"}', "_x8 3x12"),
    ("DrainForgotten", "gateway_draining", "0x8 1x12"),
    ("ProviderDown", 'gateway_provider_targets{provider="main", state="up"}', "1x8 0x12"),
    ("ProviderHostDown", 'gateway_provider_targets{provider="main", state="down"}', "0x8 1x12"),
    ("NoMediaRelay", 'gateway_media_relays{state="up"}', "2x8 0x12"),
    ("MediaRelayDown", 'gateway_media_relays{state="down"}', "0x8 1x12"),
    ("ClusterWithoutActive", "gateway_cluster_active", "1x8 0x12"),
    ("ClusterTwoActive", "gateway_cluster_active", "1x8 2x12"),
    ("ClusterWithoutStandby", "gateway_cluster_nodes", "2x8 1x12"),
    ("ClusterWithoutStore", "gateway_cluster_store_up", "1x8 0x12"),
    ("ClusterBehind", "gateway_cluster_lag_seconds", "0x8 31x12"),
    ("MediaWorkerRestarted", "gateway_worker_restarts_total", "0x8 1x12"),
    ("StateNotWritten", 'gateway_state_unwritten{file="cdr.jsonl"}', "0x8 1x12"),
    ("Overload", "gateway_shed_calls_total", "0x16 9x4"),
    ("DatagramsNotSent", 'gateway_unsent_datagrams_total{listener="phones"}', "0x16 90x4"),
    ("LogLinesLost", "gateway_lost_log_lines_total", "0x8 9x12"),
    ("CertificateExpires", 'gateway_certificate_expiry_seconds{listener="provider"}', "1000000x20"),
    ("CertificateFilesUnusable", "gateway_certificate_files_unusable", "0x8 1x12"),
    ("GatewayDown", 'up{job="gateway"}', "1x8 0x12"),
    ("PasswordsGuessed", GUESSED % "wrong", "_x8 21x12"),
    ("PasswordsGuessed", GUESSED % "dropped", "0x8 30x12"),
    ("PhonePasswordsGuessed", 'gateway_guesses_stopped_total{by="pair"}', "_x8 21x12"),
    ("SrtpDoesNotVerify", PACKETS % "authentication", "0x8 0+300x12"),
    ("BansWaitForApproval", 'gateway_bans_in_force{by="waiting"}', "0x8 1x12"),
    ("CallLimitReached", 'gateway_limit_refusals_total{limit="abroad"}', "_x8 1x12"),
    ("AlertsNotDelivered", 'gateway_alerts_total{to="webhook", result="failed"}', "0x8 1x12"),
]
SILENT = [
    ("CallsRefused", REFUSED, "4x60"),
    ("EmergencyCallFailed", EMERGENCY % "cancelled", "_x8 1x12"),
    ("EmergencyCallFailed", EMERGENCY % "failed", "1x60"),
    ("EveryCallFails", RESULT % "failed", "_x8 2x12"),
    ("EveryCallFails", RESULT % "callee", "_x8 9x12"),
    ("NoPortsForCalls", FAILED % "PROVIDER_UNREACHABLE", "_x8 1x12"),
    ("CallsInClear", CLEAR % ("CLEAR", "CLEAR_POLICY_OFF"), "_x8 1x12"),
    ("CallsInClear", CLEAR % ("CLEAR", "CLEAR_PEER_NO_TLS"), "1x60"),
    ("ProbableDowngrade", DOWNGRADE, "2x60"),
    ("DrainForgotten", "gateway_draining", "0x14 1x6"),
    ("ProviderDown", 'gateway_provider_targets{provider="main", state="up"}', "2x8 1x12"),
    ("ClusterTwoActive", "gateway_cluster_active", "1x60"),
    ("ClusterWithoutActive", "gateway_cluster_active", "1x60"),
    ("ClusterBehind", "gateway_cluster_lag_seconds", "5x60"),
    ("CertificateExpires", 'gateway_certificate_expiry_seconds{listener="provider"}', "2000000x20"),
    ("PasswordsGuessed", GUESSED % "asked", "0x8 90x12"),
    ("PasswordsGuessed", GUESSED % "stale", "0x8 90x12"),
    ("PhonePasswordsGuessed", 'gateway_guesses_stopped_total{by="flow"}', "0x8 9x12"),
    ("SrtpDoesNotVerify", PACKETS % "authentication", "0x8 50x12"),
    ("BansWaitForApproval", 'gateway_bans_in_force{by="drop"}', "0x8 9x12"),
    ("CallLimitReached", 'gateway_limit_refusals_total{limit="abroad"}', "4x60"),
    ("AlertsNotDelivered", 'gateway_alerts_total{to="webhook", result="sent"}', "0x8 9x12"),
    ("SrtpDoesNotVerify", PACKETS % "wrong_source", "0x8 0+300x12"),
]

MEANS = [
    ("PoorAudio", 'gateway_media_mos_%s{direction="to_phone"}', 3, 4),
    ("CallersWait", 'gateway_post_dial_delay_seconds_%s{provider="main", direction="outbound"}', 6, 2),
]

BUDGETS = [
    # alert, kept calls and spent calls a minute as promtool writes series, minutes played, whether it fires
    ("FallbackBudgetBurnsFast", "0+10x90", "0+3x90", 80, True),
    ("FallbackBudgetBurnsFast", "0+10x120", "0+3x60 180x60", 95, False),  # it is over
    ("FallbackBudgetBurnsFast", "0x30 1x30 3x30", "0x50 1x40", 52, False),  # one call of four in a quiet office
    ("FallbackBudgetBurns", "0+10x600", "0+0.2x600", 580, True),
    ("FallbackBudgetBurns", "0+10x600", "0+0.05x600", 580, False),
]


def playing(alert: str, series: Mapping[str, str], minutes: int, file: Path) -> subprocess.CompletedProcess[str]:
    """promtool's verdict on: the alert does not fire at that minute (it fails, and shows what did)."""
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "30s",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    file.write_text(json.dumps(test))  # JSON is YAML
    argv = [find_program("promtool", "prometheus"), "test", "rules", str(file)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize(("alert", "series", "values"), FIRES)
def test_it_fires(alert: str, series: str, values: str, tmp_path: Path) -> None:
    played = playing(alert, {series: values}, 18, tmp_path / "test.yml")
    assert played.returncode == 1
    assert f'alertname="{alert}"' in played.stdout + played.stderr
    assert "{{" not in played.stdout + played.stderr


@pytest.mark.parametrize(("alert", "series", "values"), SILENT)
def test_it_stays_silent(alert: str, series: str, values: str, tmp_path: Path) -> None:
    minutes = 40 if values.endswith("x60") else 18
    played = playing(alert, {series: values}, minutes, tmp_path / "test.yml")
    assert played.returncode == 0, played.stdout + played.stderr


PAIRS = [
    # alert, metric, values of the nodes of pair x, then of pair y
    ("ClusterTwoActive", "gateway_cluster_active", ("1x20", "0x20"), ("1x20", "0x20"), False),
    ("ClusterTwoActive", "gateway_cluster_active", ("1x20", "0x20"), ("1x20", "1x20"), True),
    ("ClusterWithoutActive", "gateway_cluster_active", ("1x20", "0x20"), ("0x20", "0x20"), True),
    ("ClusterWithoutStandby", "gateway_cluster_nodes", ("2x20", "2x20"), ("1x20", "_x20"), True),
]


@pytest.mark.parametrize(("alert", "metric", "first", "second", "fires"), PAIRS)
def test_pairs_are_counted_by_their_job(
    alert: str, metric: str, first: tuple[str, str], second: tuple[str, str], fires: bool, tmp_path: Path
) -> None:
    series = {
        f'{metric}{{job="{job}", instance="{instance}"}}': values
        for job, pair in (("x", first), ("y", second))
        for instance, values in zip("ab", pair, strict=True)
    }
    played = playing(alert, series, 18, tmp_path / "test.yml")
    assert played.returncode == fires, played.stdout + played.stderr
    assert ('job="y"' in played.stdout + played.stderr) == fires


@pytest.mark.parametrize(("answered", "alert"), [(1, "EveryCallFails"), (40, "ManyCallsFail")])
def test_calls_that_are_answered_keep_a_ratio_down(answered: int, alert: str, tmp_path: Path) -> None:
    series = {RESULT % "failed": "_x8 12x12", RESULT % "answered": f"_x8 {answered}x12"}
    assert playing(alert, series, 18, tmp_path / "test.yml").returncode == 0


@pytest.mark.parametrize(("free", "code"), [(100, 1), (300, 0)])
def test_ports_that_run_low_are_told_before_calls_fail(free: int, code: int, tmp_path: Path) -> None:
    ports = 'gateway_media_ports{relay="worker 0", state="%s"}'
    series = {ports % "used": f"{900 - free}x20", ports % "silent": "100x20", ports % "free": f"{free}x20"}
    assert playing("MediaPortsLow", series, 18, tmp_path / "test.yml").returncode == code


def test_every_alert_is_played() -> None:
    named = {line.split()[-1] for line in RULES.read_text().splitlines() if "- alert:" in line}
    alone = {"PhonesGone", "MediaPortsLow", "FallbackBudgetSpent", *(alert for alert, *_ in BUDGETS)}
    assert named == {alert for alert, _, _ in FIRES} | {alert for alert, *_ in MEANS} | alone


@pytest.mark.parametrize(("alert", "series", "bad", "good"), MEANS)
def test_a_bad_mean_of_many_calls_is_told(alert: str, series: str, bad: int, good: int, tmp_path: Path) -> None:
    for mean, calls, status in ((bad, 2, 1), (good, 2, 0), (bad, 0.5, 0)):
        sums = {series % "sum": f"0+{mean * calls}x30", series % "count": f"0+{calls}x30"}
        assert playing(alert, sums, 28, tmp_path / "test.yml").returncode == status, (mean, calls)


def test_a_dip_of_registrations_is_told(tmp_path: Path) -> None:
    played = playing("PhonesGone", {"gateway_registrations": "100x70 30x60"}, 90, tmp_path / "test.yml")
    assert played.returncode == 1


def test_what_prometheus_is_started_with_is_right(tmp_path: Path) -> None:
    here = tmp_path / "prometheus.yml"
    here.write_text(CONFIGURATION.read_text().replace("/etc/prometheus/alerts.yml", str(RULES)))
    argv = [find_program("promtool", "prometheus"), "check", "config", str(here)]
    checked = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 rule files found" in checked.stdout
    rules = [find_program("promtool", "prometheus"), "check", "rules", str(RULES)]
    checked = subprocess.run(rules, capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("alert", "kept", "spent", "minutes", "fires"), BUDGETS)
def test_a_budget_that_burns_is_told(
    alert: str, kept: str, spent: str, minutes: int, fires: bool, tmp_path: Path
) -> None:
    calls = 'gateway_budget_calls_total{domain="example.com", outcome="%s"}'
    ratio = {'gateway_budget_ratio{domain="example.com"}': "0.01x600"}
    played = playing(alert, {calls % "kept": kept, calls % "spent": spent, **ratio}, minutes, tmp_path / "test.yml")
    assert played.returncode == fires, played.stdout + played.stderr


@pytest.mark.parametrize(("left", "code"), [("3x8 -1x12", 1), ("3x8 0x12", 0)])
def test_a_budget_that_is_spent_is_told(left: str, code: int, tmp_path: Path) -> None:
    series = {'gateway_budget_left{domain="example.com"}': left}
    assert playing("FallbackBudgetSpent", series, 18, tmp_path / "test.yml").returncode == code
