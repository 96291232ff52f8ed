"""The report of the posture as one file: rules of accessibility, and its print to PDF by Chromium."""

from __future__ import annotations

import subprocess
from pathlib import Path

import attrs

from gateway.security.posture.assessment import assessed
from gateway.security.posture.documents import as_html
from gateway.security.posture.report import report_of
from gateway.state.devices.device_table import DeviceCount
from tests.browser.looking import axe_faults, wider_than_window
from tests.browser.stage import SWITCHES, Stage
from tests.security.posture.posture_world import GOOD, calls, domain
from tests.support.calls.processes import find_program

FACTS = attrs.evolve(
    domain(security="off"),
    calls=(calls(30, "CLEAR", "CLEAR_POLICY_OFF"),),
    devices=(DeviceCount("Cisco", "SPA504G", "7.5.5", 3),),
)


def test_the_file_breaks_no_rule_of_accessibility_and_fits_its_window(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "posture.html"
    file.write_text(as_html(report_of(assessed(FACTS), report_of(assessed(GOOD)))))
    for width in (1280, 360):
        stage.resize(width)
        stage.browser.get(file.as_uri())
        assert axe_faults(stage) == []
        assert wider_than_window(stage) == []
    stage.resize(1440)


def test_chromium_prints_it(tmp_path: Path) -> None:
    file, printed = tmp_path / "posture.html", tmp_path / "posture.pdf"
    file.write_text(as_html(report_of(assessed(FACTS))))
    chromium = [find_program("chromium", "chromium"), *SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"]
    command = [*chromium, "--no-pdf-header-footer", f"--print-to-pdf={printed}", file.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    told = subprocess.run(
        [find_program("pdftotext", "poppler-utils"), "-layout", str(printed), "-"],
        check=True, capture_output=True, text=True, timeout=30,
    ).stdout  # fmt: skip
    words = " ".join(told.split())
    assert "Security posture of gw-berlin" in words
    assert "gatewayctl domain example.com --security required" in words
    assert "CVE-2024-20450" in words
    assert "by its User-Agent, not verified" in words
    assert told.count("\f") >= 2, "several pages"
