"""The files in deploy/ agree with the gateway."""

import json
import re
import shutil
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from gateway.config import load
from gateway.metrics import FigureCollector, ListenerCollector, Metrics

DEPLOY = Path(__file__).parents[1] / "deploy"
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
