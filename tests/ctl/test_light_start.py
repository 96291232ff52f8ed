"""A command of gatewayctl that only asks loads little: scripts call it often, and an administrator waits for it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("twisted.internet.defer", "jinja2", "prometheus_client", "gateway.security.posture.assessment")


def test_a_command_that_asks_loads_no_judgement_and_no_event_loop() -> None:
    script = f"import sys, gateway.ctl.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
