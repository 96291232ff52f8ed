"""The files in deploy/ agree with the gateway."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from gateway.config.load import load
from gateway.ctl.main import main
from gateway.observe.figures import FigureCollector, ListenerCollector
from gateway.observe.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
SHOWN = sorted([*DEPLOY.glob("grafana/dashboards/*.json"), DEPLOY / "prometheus-alerts.yml"])


def series() -> dict[str, set[str]]:
    """The labels of every series of the gateway's own."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics(CollectorRegistry())).values():
        if isinstance(metric, MetricWrapperBase | ListenerCollector | FigureCollector):
            for described in metric.describe():
                labels: tuple[str, ...] = getattr(metric, "_labelnames", ()) or getattr(described, "_labelnames", ())
                if described.type == "histogram":
                    found[f"{described.name}_bucket"] = {*labels, "le"}
                else:
                    found[described.name + ("_total" if described.type == "counter" else "")] = set(labels)
    return found


def expressions(file: Path) -> list[str]:
    """The PromQL in a dashboard or a file of alerts."""
    if file.suffix != ".json":
        return re.findall(r"expr: (.*)", file.read_text())
    panels = json.loads(file.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


@pytest.mark.parametrize("file", SHOWN, ids=lambda file: file.name)
def test_dashboards_and_alerts_ask_for_series_and_labels_that_exist(file: Path) -> None:
    known = series()
    for expression in expressions(file):
        used = set(re.findall(r"gateway_\w+", expression))
        assert used <= known.keys(), expression
        labels = set(re.findall(r"(\w+)[!=]~?\"", expression))
        labels |= {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
        assert labels - {"job"} <= {label for name in used for label in known[name]}, expression


def test_every_series_is_on_a_dashboard() -> None:
    shown = " ".join(expression for file in SHOWN for expression in expressions(file))
    assert not [name for name in series() if name not in shown]


def test_the_demonstration_is_a_right_configuration(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "certs").mkdir()
    for name in ("ca.pem", "gateway.pem", "gateway.key"):
        (tmp_path / "certs" / name).touch()
    demo = Path(shutil.copy(DEPLOY / "demo.toml", tmp_path / "deploy"))
    configuration = load(demo)
    assert configuration.providers[0].uri == "sip:127.0.0.21:5061;transport=tls"
    assert configuration.admin.address == "127.0.0.20"


def unit() -> dict[str, list[str]]:
    """What the unit of systemd says, by key."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "gateway.service").read_text().splitlines():
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


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        return  # not on every machine that runs tests: what matters is tested above
    here = tmp_path / "gateway.service"
    here.write_text(re.sub(r"/opt/gateway/bin/\w+", "/bin/true", (DEPLOY / "gateway.service").read_text()))
    verified = subprocess.run([systemd, "verify", str(here)], capture_output=True, text=True, timeout=60, check=False)
    assert "gateway.service" not in verified.stderr, verified.stderr
