"""Answers and notes of the running gateway that need no gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from prometheus_client import CollectorRegistry

from gateway.admin.overview import REFUSALS, Overview
from gateway.config.model import Domain, Provider
from gateway.observe.metrics import Metrics
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.state.audit import AuditLog


@attrs.frozen
class Current:
    """A configuration, as far as it is looked at."""

    domains: tuple[Domain, ...] = (Domain("example.com", "main"),)
    providers: tuple[Provider, ...] = (Provider("main", "sip:provider.example.com"),)


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


def test_a_provider_is_told_once_before_the_phones(audit: AuditLog) -> None:
    memory = PeerMemory(lambda: 5.0, Metrics(CollectorRegistry()))
    memory.saw(Peer.of(Current().providers[0]), Feature.TLS, did=True)
    memory.saw(Peer("sip:alice@example.com"), Feature.SRTP, did=True)
    overview = attrs.evolve(overview_of(audit, [5.0]), memory=memory)
    [main] = overview.providers()
    assert (main["name"], main["did_tls_at"], main["did_srtp_at"], main["srtp_offer"]) == ("main", 5.0, None, "savp")
    alice = {**dict.fromkeys(main), "name": "sip:alice@example.com", "uri": "", "did_srtp_at": 5.0}
    assert overview.peers() == [main, {key: alice[key] for key in alice if key not in ("srtp_offer", "trust")}]
