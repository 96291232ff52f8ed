"""Writes the sections of docs/troubleshooting.md about reason codes, from the table that gatewayctl and the pages show.

`python tools/write_reasons.py` writes them; with --check it exits 1 where the document says something else. The rest of
the document is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.state.reasons import Reason
from gateway.state.remedies import REMEDIES
from tools.documents import placed, write_or_compare

DOCUMENT = Path(__file__).parents[1] / "docs" / "troubleshooting.md"
BEGIN = "<!-- Written by tools/write_reasons.py from gateway/state/remedies.py: change that. -->"
END = "<!-- End of the codes. -->"


def sections() -> str:
    """A section for each code, in the order of their declaration: its cause, and the remedy."""
    written = (f"### {code}\n\n{REMEDIES[code].cause}\n\n**Remedy:** {REMEDIES[code].remedy}\n" for code in Reason)
    return "\n".join(written)


def document(text: str) -> str:
    """The document with its sections as they should be. Raises ValueError where their place is not marked."""
    return placed(text, BEGIN, END, sections())


def main(arguments: list[str]) -> int:
    """Write the document, or compare it."""
    made = document(DOCUMENT.read_text(encoding="utf-8"))
    return write_or_compare({DOCUMENT: made}, arguments, "python tools/write_reasons.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
