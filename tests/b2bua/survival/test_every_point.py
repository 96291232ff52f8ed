"""The gateway is killed at every point of a call: before and after each message that it sends and each record that it
writes, while the call is set up (also with a late offer, and by reliable provisional responses), held, resumed,
refreshed and hung up. Afterwards the call is up on both sides and obeys, or it is
over on both within 40 seconds; and it has one record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kill_points import Life, Scene, killed_everywhere

KINDS = [
    ("held", "caller"),
    ("held", "callee"),
    ("late offer", "caller"),
    ("PRACK", "caller"),
    ("refreshing", "callee"),
]
SEEN = {"held": "ACK", "late offer": "ACK", "PRACK": "PRACK"}
"""A message that the callee gets in a call of each kind."""


@pytest.mark.parametrize(("kind", "hangs_up"), KINDS)
@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_no_call_is_left_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str, kind: str, hangs_up: str
) -> None:
    whole = killed_everywhere(
        Life(monkeypatch), tmp_path, lambda path, life: Scene(path, life, direction, kind), hangs_up
    )
    assert whole.life.most > (30 if kind == "held" else 12)
    seen = whole.callee.seen
    assert (SEEN.get(kind) or ("UPDATE" if direction == "outbound" else "INVITE")) in seen[1:], seen
