"""Processes of another user than the one that runs the tests, who may not reach a checkout in a private home."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

NOBODY = 65534
ROOT = Path(__file__).parents[2]
PYTHON = (os.path.realpath(sys.executable), "-I")
"""The interpreter itself, outside of the checkout's environment: it needs nothing of the checkout."""


def need_reachable_checkout() -> None:
    """The test is not run, and counted as such, where another user cannot read this checkout."""
    if os.getuid() != 0:
        return
    for place in (ROOT, *ROOT.parents):
        if not place.stat().st_mode & 0o001:
            pytest.skip(f"an ordinary user cannot reach this checkout, since {place} is private")
