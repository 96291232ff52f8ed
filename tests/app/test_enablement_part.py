"""Enablement, as a process begins with it: the mark of an open roll-out, and the share of encrypted calls."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.admin.enablement.rollout_office import OfficeMeans
from gateway.admin.turns import Turns
from gateway.app.administration.enablement_part import LOOK_SECONDS, MARKER, EnablementPart
from tests.registrar.enablement.world import ScriptedPhone, World


def started(world: World) -> EnablementPart:
    """The roll-outs of a process that begins with the file of before."""
    world.settings.audit = None
    basis: Any = SimpleNamespace(
        clock=world,
        reactor=world.clock,
        metrics=world.metrics,
        routes=[],
        pages=[],
        configuration=SimpleNamespace(gateway=SimpleNamespace(state_directory=world.directory)),
    )
    state: Any = SimpleNamespace(rollouts=world.table, device_watches=set())
    outlooks: Any = None
    part = EnablementPart(basis, state, world.around, OfficeMeans(Turns(world.clock).next, outlooks))
    part.start()
    world.clock.advance(LOOK_SECONDS)
    return part


def test_the_mark_is_there_as_long_as_a_roll_out_is_open_whatever_the_process_before_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / MARKER).touch()  # of a roll-out that nothing is known of any more
    started(world).stop()
    assert not (tmp_path / MARKER).exists()
    world.add(ScriptedPhone("u1"))
    world.begin()
    part = started(world)
    assert (tmp_path / MARKER).exists()
    part.stop()


def test_the_share_is_of_answered_calls_that_are_no_emergency(tmp_path: Path) -> None:
    world = World(tmp_path)
    part = started(world)
    for verdict, reason, number in (
        ("ENCRYPTED", "", 3),
        ("ENCRYPTED_TO_PROVIDER", "", 1),
        ("CLEAR", "CLEAR_POLICY_OFF", 1),
        ("CLEAR", "CLEAR_EMERGENCY", 10),
        ("REFUSED", "REFUSED_NO_TLS", 10),
        ("UNANSWERED", "", 10),
        ("", "", 10),
    ):
        for _ in range(number):
            world.metrics.calls.labels("example.com", "outbound", verdict, reason).inc()
    assert world.metrics.value("gateway_encrypted_call_share", {"domain": "example.com"}) == 0.6
    part.stop()
