"""`gatewayctl check` while a roll-out is not over: phones that fail need a listener without TLS."""

from __future__ import annotations

from pathlib import Path

import attrs

from gateway.app.administration.enablement_part import MARKER
from gateway.config.load import load
from gateway.ctl.this_machine import ROLL_OUT_OPEN, doubts
from tests.support.small_configuration import SMALLEST


def told(directory: Path, transport: str) -> list[str]:
    file = directory / "gateway.toml"
    file.write_text(SMALLEST.replace("/var/lib/gateway", str(directory)))
    configuration = load(file)
    phones, provider = configuration.listeners
    listeners = (attrs.evolve(phones, transport=transport), provider)
    return [
        doubt.text for doubt in doubts(attrs.evolve(configuration, listeners=listeners)) if doubt.path == "listener"
    ]


def test_a_configuration_without_a_way_back_is_told_while_a_roll_out_is_open(tmp_path: Path) -> None:
    assert told(tmp_path, "tls") == []
    (tmp_path / MARKER).touch()
    (doubt,) = told(tmp_path, "tls")
    assert "way back" in doubt
    assert told(tmp_path, "udp") == []


def test_both_sides_name_the_same_file() -> None:
    assert MARKER == ROLL_OUT_OPEN
