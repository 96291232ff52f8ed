"""The posture of a running gateway: gatewayctl assess as an administrator uses it, and the page."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import jsonschema

from gateway.security.posture.report import SCHEMA_FILE
from tests.security.posture.test_assessment import UNSEEN
from tests.support.admin_gateway import AdminGateway


def test_an_administrator_assesses_signs_and_verifies(gateway: AdminGateway) -> None:
    text = gateway.ctl("assess")
    assert "of 100 points, grade" in text
    assert "gatewayctl domain example.com --security preferred" in text
    schema = json.loads(SCHEMA_FILE.read_text())
    report = json.loads(gateway.ctl("assess", "--format", "json", "--since", "7d", "--domain", "example.com"))
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["domain"] == "example.com"
    assert {one["id"] for one in report["findings"] if one["result"] == "unknown"} >= UNSEEN
    longest = json.loads(gateway.ctl("assess", "--json", "--since", "31d"))
    assert round((longest["at"] - longest["since"]) / 86_400) == 31
    told = gateway.ctl("assess", "--sign", "--format", "json", "--out", "assess.json")
    assert told.startswith("assess.json: ")
    file = gateway.directory / "assess.json"
    assert file.stat().st_mode & 0o777 == 0o600
    jsonschema.Draft202012Validator(schema).validate(json.loads(file.read_text()))
    (gateway.directory / "key").write_text(gateway.ctl("assess", "key"))
    assert "signed by the key" in gateway.ctl("assess", "verify", "assess.json", "--key", "key")
    assert "compare it" in gateway.ctl("assess", "verify", "assess.json")
    data = bytearray(file.read_bytes())
    place = data.index(b'"score":') + len(b'"score":')
    data[place] ^= 1
    file.write_bytes(data)
    assert "changed after it was signed" in gateway.ctl("assess", "verify", "assess.json", status=1)
    audit = (gateway.rig.state / "audit.jsonl").read_text()
    assert "posture signed" in audit
    assert (gateway.rig.state / "posture.key").stat().st_mode & 0o777 == 0o600


def test_another_report_or_advisories_of_ones_own_are_taken(gateway: AdminGateway, tmp_path: Path) -> None:
    gateway.ctl("assess", "--format", "json", "--out", "before.json")
    assert "+0.0 points; no check changed" in gateway.ctl("assess", "--compare", "before.json")
    assert "no report is kept yet" in gateway.ctl("assess", "--compare", "last", status=1)
    (gateway.directory / "mine.toml").write_text('date = "2020-01-01"\ngateway = "99.0"\n')
    report = json.loads(gateway.ctl("assess", "--advisories", "mine.toml", "--format", "json"))
    assert report["advisories"] == {"count": 0, "date": "2020-01-01"}
    assert next(one for one in report["findings"] if one["id"] == "OPS-1")["result"] == "fail"
    (gateway.directory / "mine.toml").write_text("nonsense")
    assert "advisories: is not TOML" in gateway.ctl("assess", "--advisories", "mine.toml", status=1)
    html = gateway.ctl("assess", "--format", "html", "--out", "report.html")
    assert "grade" in html
    assert "<script" not in (gateway.directory / "report.html").read_text()
    for wrong, words in (
        (("--since", "1y"), "a length of time"),
        (("--since", "60d"), "a time of the last 31 days"),
        (("--domain", "elsewhere.example"), "no domain"),
        (("--sign",), "needs --format json"),
        (("--compare", "nowhere.json"), "cannot be read"),
        (("--sign", "--format", "json", "--out", "x", "--compare", "before.json"), "--compare last"),
    ):
        done = gateway.ctl("assess", *wrong, status=2 if words.startswith(("a length", "needs", "--comp")) else 1)
        assert words in done


def test_the_page_and_the_metrics_tell_the_same_and_need_the_right_to_look(gateway: AdminGateway) -> None:
    page = gateway.curl("/posture", "--header", "Accept: text/html")
    assert page.status == 200
    assert "of 100 points, grade" in page.text
    assert "gatewayctl domain example.com --security preferred" in page.text
    report = json.loads(gateway.curl("/api/v1/posture").text)
    metrics = gateway.curl("/metrics").text
    assert f"gateway_posture_score {report['score']:.1f}" in metrics
    bad = [one for one in report["findings"] if one["result"] in ("fail", "warn") and one["severity"] == "high"]
    assert f'gateway_posture_findings{{severity="high"}} {len(bad)}.0' in metrics
    assert "gateway_posture_time_seconds 1" in metrics
    assert gateway.curl("/posture/report.html").text.startswith("<!doctype html>")
    gateway.add("alice")
    gateway.add("bob", "viewer")
    assert gateway.curl("/api/v1/posture").status == 401
    gateway.log_in("bob")
    assert gateway.curl("/posture", "--cookie", "jar").status == 200
    signed = ("--header", "Content-Type: application/json", "--data", '{"sign": true}')
    assert gateway.curl("/api/v1/posture", "--cookie", "jar", *signed).status == 403


def test_kept_reports_outlive_the_process(gateway: AdminGateway) -> None:
    report = json.loads(gateway.ctl("assess", "--format", "json"))
    gateway.rig.stop()
    with closing(sqlite3.connect(gateway.rig.state / "posture.sqlite")) as file, file:
        at = report["at"] - 60
        value = json.dumps({**report, "score": 100.0, "at": at})
        file.execute("INSERT INTO kept VALUES (?, ?, ?)", (f"{at:.3f}", at, value))
        file.execute("INSERT INTO kept VALUES ('1', 1, '{\"format\": \"of another version\"}')")
    gateway.begin()
    told = gateway.ctl("assess", "--compare", "last")
    assert f"{report['score'] - 100:+} points" in told
    kept = json.loads(gateway.curl("/api/v1/posture/reports").text)
    assert [row["score"] for row in kept] == [100.0]
    assert json.loads(gateway.curl(f"/api/v1/posture/reports/{kept[0]['id']}").text)["score"] == 100.0
    assert json.loads(gateway.curl("/api/v1/posture/reports/last").text)["score"] == 100.0
    assert gateway.curl("/api/v1/posture/reports/nothing").status == 404
