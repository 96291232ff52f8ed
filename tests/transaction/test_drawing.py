"""docs/transactions.md is what the tables say."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_drawings_are_current() -> None:
    drawing = runpy.run_path(str(ROOT / "tools" / "draw_transactions.py"))
    written = (ROOT / "docs" / "transactions.md").read_text()
    assert written == drawing["document"](), "run: python tools/draw_transactions.py"
