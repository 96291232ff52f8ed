"""Writes the sections of docs/troubleshooting.md about reason codes, from the table that gatewayctl and the pages show.

`python tools/write_reasons.py` writes them; with --check it exits 1 where the document says something else. The rest of
the document is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.state.reasons import Reason
from gateway.state.remedies import REMEDIES

DOCUMENT = Path(__file__).parents[1] / "docs" / "troubleshooting.md"
BEGIN = "<!-- Written by tools/write_reasons.py from gateway/state/remedies.py: change that. -->"
END = "<!-- End of the codes. -->"


def sections() -> str:
    """A section for each code, in the order of their declaration: its cause, and the remedy."""
    written = (f"### {code}\n\n{REMEDIES[code].cause}\n\n**Remedy:** {REMEDIES[code].remedy}\n" for code in Reason)
    return "\n".join(written)


def document(text: str) -> str:
    """The document with its sections as they should be. Raises ValueError where their place is not marked."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{DOCUMENT}: the marks of the codes' place are missing")
    return f"{before}{BEGIN}\n\n{sections()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the document, or compare it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    made = document(text)
    if "--check" in arguments:
        return int(made != text)
    DOCUMENT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
