"""`gatewayctl status` as text: the line about the defence."""

from __future__ import annotations

import pytest

from gateway.ctl.state_text import status


@pytest.mark.parametrize(
    ("defence", "line"),
    [
        ({"mode": "off"}, "Defence: off"),
        (
            {"mode": "report", "defends_from": 1_796_000_000.0, "would_be": 3},
            "Defence: it only reports until 2026-11-30 00:53:20Z, then it defends; 3 sources would be banned",
        ),
        (
            {"mode": "report", "defends_from": None, "would_be": 0},
            "Defence: it only reports; 0 sources would be banned",
        ),
        ({"mode": "defend", "bans": 2, "waiting": 0}, "Defence: 2 sources are banned"),
        ({"mode": "defend", "bans": 2, "waiting": 1}, "Defence: 2 sources are banned; waiting for approval: 1"),
    ],
)
def test_the_mode_and_its_bans(defence: dict[str, object], line: str) -> None:
    assert line in status({"name": "gw", "defence": defence}).splitlines()


def test_an_older_gateway_says_nothing_of_it() -> None:
    assert "Defence" not in status({"name": "gw"})
