"""The report: its schema, its difference to an earlier one, as text and HTML, signed; and its bad input."""

from __future__ import annotations

import json
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import attrs
import jsonschema
import pytest

from gateway.security.posture.advisories import BadAdvisories, read_advisories
from gateway.security.posture.assessment import assessed
from gateway.security.posture.controls import CONTROLS
from gateway.security.posture.documents import as_html, as_text
from gateway.security.posture.posture_facts import PostureFacts
from gateway.security.posture.report import (
    SCHEMA_FILE,
    NoReport,
    Report,
    checked_report,
    delta_of,
    is_worse,
    report_of,
)
from gateway.security.posture.signature import KEY_FILE, NotVerified, ReportKey, canonical, verified
from gateway.state.devices.device_table import DeviceCount
from tests.security.posture.posture_world import GOOD, but, calls, domain, process

SCHEMA = json.loads(SCHEMA_FILE.read_text())
MARKUP = '<script>alert("x")</script>'
WORSE = process(clock_synchronized=False)


def conforms(report: Report) -> Report:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(canonical(report)))
    return report


def test_the_schema_is_one_of_draft_2020_12() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("facts", [GOOD, WORSE, PostureFacts(), but(only_domain="example.com")])
def test_each_report_conforms_to_the_schema(facts: PostureFacts) -> None:
    report = conforms(report_of(assessed(facts)))
    conforms(report_of(assessed(WORSE), report))


def test_the_schema_takes_nothing_else() -> None:
    report = report_of(assessed(GOOD))
    wrong: tuple[Report, ...] = ({"more": 1}, {"score": 101}, {"grade": "Z"}, {"findings": []})
    for one in wrong:
        with pytest.raises(jsonschema.ValidationError):
            conforms({**report, **one})


def test_the_difference_names_what_changed() -> None:
    before, after = report_of(assessed(GOOD)), report_of(assessed(WORSE))
    delta = cast("dict[str, Any]", delta_of(before, after))
    assert (delta["worse"], delta["better"], delta["new"], delta["gone"]) == (["OPS-2"], [], [], [])
    assert delta["score"] == -4.0
    assert is_worse(delta)
    back = cast("dict[str, Any]", delta_of(after, before))
    assert (back["worse"], back["better"]) == ([], ["OPS-2"])
    assert not is_worse(back)
    assert "-4.0 points; worse: OPS-2" in as_text({**after, "delta": delta})


def test_a_report_of_another_version_is_compared_as_far_as_it_goes() -> None:
    now = report_of(assessed(GOOD))
    theirs: Report = {
        "format": "gateway-posture",
        "format_version": 1,
        "score": 5,
        "findings": [{"id": "ENC-1", "result": "dreadful"}, {"id": "OLD-1", "result": "pass"}, "nonsense", {}],
    }
    delta = cast("dict[str, Any]", delta_of(checked_report(theirs), now))
    assert delta["better"] == ["ENC-1"]
    assert "OLD-1" in delta["gone"]
    assert len(delta["new"]) == 47
    conforms({**now, "delta": delta})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([], "no report"),
        ({"format": "sarif"}, "no report"),
        ({"format": "gateway-posture", "format_version": 2, "score": 1, "findings": []}, "format 2"),
        ({"format": "gateway-posture", "format_version": 1, "findings": []}, "no score"),
        ({"format": "gateway-posture", "format_version": 1, "score": 1, "findings": {}}, "no findings"),
    ],
)
def test_another_file_is_no_report(value: object, told: str) -> None:
    with pytest.raises(NoReport, match=told):
        checked_report(value)


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_with_markup_are_text_everywhere() -> None:
    facts = attrs.evolve(
        domain(name=MARKUP, security="off"),
        gateway=MARKUP,
        devices=(DeviceCount(MARKUP, "\x1b[31m\u202e", "\n", 9),),
        calls=(calls(3, "CLEAR", "CLEAR_POLICY_OFF", MARKUP),),
    )
    report = conforms(report_of(assessed(facts)))
    page = Tags(as_html(report))
    assert "script" not in page.seen
    assert MARKUP in page.text
    text = as_text(report)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_page_is_one_file_that_asks_for_nothing() -> None:
    page = as_html(report_of(assessed(WORSE)))
    assert "http://" not in page
    assert "https://" not in page
    assert not {"script", "img", "link", "iframe"} & {*Tags(page).seen}
    assert "@media print" in page
    assert "systemctl enable --now systemd-timesyncd" in page


def test_the_text_has_the_next_steps_first() -> None:
    text = as_text(report_of(assessed(WORSE)))
    assert text.startswith("gw-berlin: 96.0 of 100 points, grade B")
    assert text.index("Next steps") < text.index("OPS-2   FAIL") < text.index("Controls")
    assert "(unverified)" in text


def test_controls_that_nobody_looked_up_are_marked() -> None:
    report = report_of(assessed(GOOD))
    rows = cast("list[dict[str, Any]]", report["controls"])
    assert all(row["verified"] is bool(row["source"]) for row in rows)
    assert {row["framework"] for row in rows if row["verified"]} == {
        "HIPAA 45 CFR 164.312", "PCI DSS 4.0.1", "ISO/IEC 27002:2022", "NIST SP 800-58",
    }  # fmt: skip
    assert not any(row["verified"] for row in rows if row["framework"].startswith("BSI"))
    known = {finding["id"] for finding in cast("list[dict[str, Any]]", report["findings"])}
    families = {name.partition("-")[0] for name in known}
    assert {name for control in CONTROLS for name in control.checks} <= known | families


def test_a_signed_report_is_the_one_that_was_signed(tmp_path: Path) -> None:
    key, report = ReportKey(tmp_path), report_of(assessed(GOOD))
    data, signature = canonical(report), json.dumps(key.sign(report)).encode()
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    one = verified(data, signature, ReportKey(tmp_path).public())
    assert one.report == report
    assert one.is_key_known
    assert not verified(data, signature).is_key_known


def test_no_byte_of_a_signed_report_can_be_changed(tmp_path: Path) -> None:
    key, report = ReportKey(tmp_path), report_of(assessed(WORSE))
    data, signature = canonical(report), json.dumps(key.sign(report)).encode()
    for place in range(0, len(data), 97):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(NotVerified, match="changed"):
            verified(changed, signature, key.public())
    for more in (data + b" ", data[:-1], b"", b" " + data):
        with pytest.raises(NotVerified):
            verified(more, signature)


def test_no_byte_of_a_signature_can_be_changed(tmp_path: Path) -> None:
    key, report = ReportKey(tmp_path), report_of(assessed(GOOD))
    data, told = canonical(report), cast("dict[str, str]", key.sign(report))
    for name in ("signature", "public_key"):
        for place in range(len(told[name])):
            letter = "A" if told[name][place] != "A" else "B"
            text = told[name][:place] + letter + told[name][place + 1 :]
            with pytest.raises(NotVerified):
                verified(data, json.dumps({**told, name: text}).encode(), key.public())


@pytest.mark.parametrize("signature", [b"", b"[]", b"{}", b"\xff", b'{"algorithm": "none"}', b"[" * 100_000])
def test_a_signature_that_is_none_proves_nothing(signature: bytes) -> None:
    with pytest.raises(NotVerified):
        verified(b"{}", signature)


def test_another_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    report = report_of(assessed(GOOD))
    signature = json.dumps(ReportKey(tmp_path / "other").sign(report)).encode()
    with pytest.raises(NotVerified, match="another key"):
        verified(canonical(report), signature, ReportKey(tmp_path).public())


ADVISORY = '\n[[advisory]]\nname = "a"\nremedy = "b"\nsource = "c"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("date =", "no TOML|is not TOML"),
        ("", "date is missing"),
        ('date = "tomorrow"', "no day"),
        ("date = 2026-01-01\nadvisory = 3", "tables"),
        (f"date = 2026-01-01{ADVISORY}cves = 3", "cves"),
        (f"date = 2026-01-01{ADVISORY}end_of_support = 3", "end_of_support"),
        (f'date = 2026-01-01{ADVISORY}model = "*a*b*c*d*"', "stars"),
        (f'date = 2026-01-01{ADVISORY}model = ""', "stars"),
        (f"date = 2026-01-01{ADVISORY}model = []", "stars"),
        ('date = 2026-01-01\n[[advisory]]\nname = "a"', "remedy is missing"),
    ],
)
def test_a_file_of_advisories_that_is_none_is_told(text: str, told: str) -> None:
    with pytest.raises(BadAdvisories, match=told):
        read_advisories(text)


def test_advisories_of_ones_own_count_instead() -> None:
    text = f'date = "2027-01-01"{ADVISORY}make = "Yealink"\nmodel = "SIP-T5*"\ncves = ["CVE-2027-1"]\nfixed_in = "97"\n'
    one = assessed(GOOD, read_advisories(text))
    found = next(finding for finding in one.findings if finding.check.id == "DEV-2")
    assert "fixed in 97" in found.judgement.evidence[0].text
    assert report_of(one)["advisories"] == {"date": "2027-01-01", "count": 1}
