"""docs/sip-conformance.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "sip-conformance.md").read_text()
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
DEFINED = set(re.findall(r"def (test_\w+)\(", TESTS))


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", DOCUMENT))
    assert len(named) > 30
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_every_test_that_it_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    assert len(named) > 30
    assert not named - DEFINED


def test_what_is_claimed_is_shown() -> None:
    """Whatever a row says is done, it names a test for, or a reason why there is none."""
    rows = [line.split("|")[1:-1] for line in DOCUMENT.splitlines() if re.match(r"\| \d{4}", line)]
    assert len(rows) > 40
    unshown = [rfc.strip() for rfc, done, shown, _missing in rows if done.strip() and "test" not in shown]
    assert unshown == ["8224: Identity"]
