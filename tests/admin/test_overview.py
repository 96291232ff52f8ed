"""Answers and notes of the running gateway that need no gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from gateway.admin.overview import REFUSALS, Overview
from gateway.config.model import Domain
from gateway.state.audit import AuditLog


@attrs.frozen
class Current:
    """A configuration, as far as it is looked at."""

    domains: tuple[Domain, ...] = (Domain("example.com", "main"),)


@attrs.frozen
class Settings:
    """The configuration in force."""

    current: Current = attrs.field(factory=Current)


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit.jsonl", lambda: 0.0)


def overview_of(audit: AuditLog, now: list[float]) -> Overview:
    none: Any = None
    return Overview(cast(Any, Settings()), none, none, none, none, audit, lambda: now[0], none, none, none, none)


def test_a_refused_change_is_in_the_audit_of_its_domain(audit: AuditLog) -> None:
    overview_of(audit, [0.0]).refused("switch", "mallory (uid 1001)", "Example.COM")
    (entry,) = audit.about("example.com")
    assert (entry["who"], entry["what"], entry["change"]) == ("mallory (uid 1001)", "refused", "switch")


def test_a_name_that_is_no_domains_is_not_repeated(audit: AuditLog, tmp_path: Path) -> None:
    overview_of(audit, [0.0]).refused("switch", "mallory (uid 1001)", "nonsense")
    assert "nonsense" not in (tmp_path / "audit.jsonl").read_text()


def test_refusals_do_not_fill_the_disk(audit: AuditLog) -> None:
    now = [0.0]
    overview = overview_of(audit, now)
    for number in range(1000):
        overview.refused("switch", f"uid {number}", "example.com")
    assert len(audit.about("example.com")) == REFUSALS.burst
    now[0] = 60.0
    for number in range(1000):
        overview.refused("switch", f"uid {number}", "example.com")
    assert len(audit.about("example.com")) == REFUSALS.burst + 1
