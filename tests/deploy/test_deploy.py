"""The files in deploy/ agree with the gateway."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.app.watchdog import TICK
from gateway.base.build import build
from gateway.base.network.dhcp.__main__ import options
from gateway.config.load import load
from gateway.config.model import GatewaySection, NetworkTerms
from gateway.ctl.main import main
from tests.support.metric_table import metric_table
from tools import make_dashboards

DEPLOY = Path(__file__).parents[2] / "deploy"
SHOWN = sorted([*DEPLOY.glob("grafana/dashboards/*.json"), DEPLOY / "prometheus-alerts.yml"])


def series() -> dict[str, set[str]]:
    """The labels of every series of the gateway's own."""
    found: dict[str, set[str]] = {}
    for name, (kind, labels) in metric_table().items():
        if kind == "histogram":
            found |= {f"{name}_bucket": {*labels, "le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    return found


def expressions(file: Path) -> list[str]:
    """The PromQL in a dashboard or a file of alerts."""
    if file.suffix != ".json":
        return re.findall(r"expr: (.*)", file.read_text())
    panels = json.loads(file.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


@pytest.mark.parametrize("file", SHOWN, ids=lambda file: file.name)
def test_dashboards_and_alerts_ask_for_series_and_labels_that_exist(file: Path) -> None:
    known = series()
    for expression in expressions(file):
        used = set(re.findall(r"gateway_\w+", expression))
        assert used <= known.keys(), expression
        labels = set(re.findall(r"(\w+)[!=]~?\"", expression))
        labels |= {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
        assert labels - {"job", "alertstate"} <= {label for name in used for label in known[name]}, expression


def test_every_series_is_on_a_dashboard() -> None:
    dashboards = (file for file in SHOWN if file.suffix == ".json")
    shown = " ".join(expression for file in dashboards for expression in expressions(file))
    assert not [name for name in metric_table() if name not in shown]


def test_dashboards_are_as_their_source_says_and_each_panel_has_its_question() -> None:
    assert make_dashboards.main(["--check"]) == 0
    assert {file.stem for file in SHOWN if file.suffix == ".json"} == {one.file for one in make_dashboards.BOARDS}
    for board in make_dashboards.BOARDS:
        for panel in (panel for panels in board.rows.values() for panel in panels):
            assert "?" in panel.question, panel.title


def test_a_dashboard_that_was_changed_by_hand_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(make_dashboards.TARGET, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(make_dashboards, "TARGET", tmp_path)
    changed = tmp_path / "tls.json"
    changed.write_text(changed.read_text().replace("Handshakes", "Handshake"))
    assert make_dashboards.main(["--check"]) == 1
    assert "tls.json" in capsys.readouterr().err
    assert make_dashboards.main([]) == 0
    assert make_dashboards.main(["--check"]) == 0


def test_the_demonstration_is_a_right_configuration(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "certs").mkdir()
    for name in ("ca.pem", "gateway.pem", "gateway.key"):
        (tmp_path / "certs" / name).touch()
    demo = Path(shutil.copy(DEPLOY / "demo.toml", tmp_path / "deploy"))
    configuration = load(demo)
    assert configuration.providers[0].uri == "sip:127.0.0.21:5061;transport=tls"
    assert configuration.admin.address == "127.0.0.20"


def unit(name: str = "gateway.service") -> dict[str, list[str]]:
    """What the unit of systemd says, by key."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_runs_what_the_image_runs() -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    entry, command = (json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", image, re.MULTILINE))
    (start,) = unit()["ExecStart"]
    assert shlex.split(start.removeprefix("/opt/gateway/bin/")) == [*entry, *command]
    for line in (*unit()["ExecStartPre"], *unit()["ExecReload"]):
        program, name, *_ = shlex.split(line)
        assert program == "/opt/gateway/bin/gatewayctl"
        assert name in main.commands


def test_the_unit_lets_audio_outlive_a_crash_and_keys_stay_out_of_dumps() -> None:
    assert unit()["KillMode"] == ["process"]
    assert unit()["Restart"] == ["always"]
    assert unit()["LimitCORE"] == ["0"]


def test_the_unit_waits_for_ready_and_ends_a_gateway_that_stands_still() -> None:
    assert unit()["Type"] == ["notify"]
    (seconds,) = unit()["WatchdogSec"]
    assert float(seconds) >= 5 * TICK, "a tick or two may come late"


def test_the_dhcp_clients_unit_starts_it_with_two_rights_and_the_gateways_keys_out_of_sight() -> None:
    said = unit("gateway-network.service")
    python, *words = shlex.split(said["ExecStart"][0].replace("${INTERFACE}", "eth0"))
    assert (python, words[:2]) == ("/opt/gateway/bin/python", ["-m", "gateway.base.network.dhcp"])
    given = options(words[2:])
    assert (given.interface, given.user) == ("eth0", *unit()["User"])
    terms = NetworkTerms()
    assert given.socket == terms.helper
    assert said["User"] == [terms.helper_user]
    assert said["RuntimeDirectory"] == [terms.helper.parent.name]
    assert said["AmbientCapabilities"] == said["CapabilityBoundingSet"] == ["CAP_NET_ADMIN CAP_NET_RAW"]
    assert set(unit()["StateDirectory"]) <= {Path(one).name for one in said["InaccessiblePaths"][0].split()}


def test_the_dhcp_client_of_compose_has_two_rights_and_no_file_of_the_gateway() -> None:
    services = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]
    client, gateway = services["network"], services["gateway"]
    given = options([word.replace("${GATEWAY_INTERFACE:-eth0}", "eth0") for word in client["command"]])
    assert (given.interface, given.user, given.socket) == ("eth0", "5060", NetworkTerms().helper)
    assert client["entrypoint"] == ["python", "-m", "gateway.base.network.dhcp"]
    assert (client["cap_drop"], client["cap_add"]) == (["ALL"], ["NET_ADMIN", "NET_RAW"])
    assert client["volumes"] == ["lease:/run/gateway-network"]
    assert "lease:/run/gateway-network:ro" in gateway["volumes"]
    assert gateway["cap_drop"] == ["ALL"]
    assert "cap_add" not in gateway


@pytest.mark.parametrize("name", ["gateway.service", "gateway-network.service"])
def test_systemd_understands_the_unit(tmp_path: Path, name: str) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        return  # not on every machine that runs tests: what matters is tested above
    here = tmp_path / name
    here.write_text(re.sub(r"/opt/gateway/bin/\w+", "/bin/true", (DEPLOY / name).read_text()))
    verified = subprocess.run([systemd, "verify", str(here)], capture_output=True, text=True, timeout=60, check=False)
    assert name not in verified.stderr, verified.stderr


def test_the_changelog_of_the_next_release_can_be_made() -> None:
    towncrier = Path(sys.executable).with_name("towncrier")
    made = subprocess.run(
        [towncrier, "build", "--draft"], cwd=DEPLOY.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert made.returncode == 0, made.stderr
    assert re.search(rf"^## {re.escape(build().version)} \(", made.stdout, re.MULTILINE)
    assert "towncrier build --draft" in (DEPLOY.parent / "Makefile").read_text()


def test_a_stop_waits_for_the_drain_and_for_the_end_of_calls() -> None:
    drain = GatewaySection("gw", Path("/nowhere")).drain_seconds
    assert drain > 0
    (unit_waits,) = unit()["TimeoutStopSec"]
    compose = (DEPLOY.parent / "docker-compose.yml").read_text()
    gateway = compose[compose.index("  gateway:") : compose.index("  prometheus:")]
    (compose_waits,) = re.findall(r"stop_grace_period: (\d+)s", gateway)
    assert min(int(unit_waits), int(compose_waits)) >= drain + 10
    assert "STOPSIGNAL SIGTERM" in (DEPLOY / "Dockerfile").read_text()
    assert unit().get("KillSignal", ["SIGTERM"]) == ["SIGTERM"]
