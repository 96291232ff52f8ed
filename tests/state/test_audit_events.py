"""Changes that are audited are events, too, where others want to hear of them."""

from __future__ import annotations

from pathlib import Path

from gateway.observe.events import Events
from gateway.state.audit import AuditLog, Author


def test_a_switch_a_reload_and_a_refusal_are_events(tmp_path: Path) -> None:
    events = Events(lambda: 1.5)
    audit = AuditLog(tmp_path / "audit.jsonl", lambda: 0.0, events)
    audit.write(Author("alice", "192.0.2.1"), "switch", domain="example.com", **{"from": "required", "to": "off"})
    audit.write("root", "reload", changes=["domain a: new", "domain b: gone"])
    audit.write("mallory (uid 7)", "refused", change="reload")
    audit.write("alice", "learn", peer="main", features=["tls"])
    told = [(str(event.name), event.who, dict(event.fields)) for _, event in events.after(0)]
    assert told == [
        ("domain.switched", "alice", {"from": "required", "to": "off"}),
        ("configuration.reloaded", "root", {"changes": "domain a: new; domain b: gone"}),
        ("security.change_refused", "mallory (uid 7)", {"change": "reload"}),
    ]
    first = events.after(0)[0][1]
    assert (first.domain, first.source) == ("example.com", "192.0.2.1")
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 4
