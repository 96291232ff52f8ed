"""Pages of docs/ as blocks: commands, configurations, settings of phones, output.

    docs/NAME.md -> blocks(): language, text, remark -> a block of commands is run, or its remark says why it is not

A remark is a comment of HTML on the line before the block: `<!-- not run: needs root -->`. No other remark is known,
and no other language than those of LANGUAGES: a block that nobody looks at is an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"

PAGES: Final = (
    "install", "first-provider", "phones", "provisioning", "providers", "pbx", "certificates", "probe",
    "enable-a-domain", "firewall", "fallback-budget", "capacity", "toll-fraud", "defence", "alerts",
    "upgrade-and-backup", "assess", "security-life-cycle",
)  # fmt: skip
"""The pages whose every block is tried, in the order of the tasks."""

LANGUAGES: Final = {"sh", "text", "toml", "nft", "xml", "ini"}

_FENCE: Final = re.compile(r"(?:^<!-- (?P<remark>[^\n]*) -->\n)?^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.M | re.S)


@attrs.frozen
class Block:
    """A block of a page."""

    page: str
    line: int
    language: str
    text: str
    why_not_run: str = ""
    """Why its commands are not run; empty: they are."""
    output: str | None = None
    """The output that the page shows of its commands."""

    def __str__(self) -> str:
        return f"{self.page}.md:{self.line}"


def text_of(page: str) -> str:
    """The page as it is."""
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def blocks(page: str, text: str | None = None) -> list[Block]:
    """The blocks of a page, in their order. Raises ValueError for a language or remark that nobody knows."""
    text = text_of(page) if text is None else text
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("text"))
        remark, language = match["remark"] or "", match["language"]
        told, _, why = remark.partition("not run: ")
        if language not in LANGUAGES or told or (why and language != "sh"):
            raise ValueError(f"{page}.md:{line}: nobody knows {language!r} with {remark!r}")
        if language == "text":
            if not found or found[-1].language != "sh" or found[-1].why_not_run or found[-1].output is not None:
                raise ValueError(f"{page}.md:{line}: output of no commands")
            found[-1] = attrs.evolve(found[-1], output=match["text"])
        else:
            found.append(Block(page, line, language, match["text"], why))
    fences = len(re.findall(r"^ *```", text, re.M))
    if fences != 2 * len([*_FENCE.finditer(text)]):
        raise ValueError(f"{page}.md: a block that does not begin or end at the margin")
    return found


def shows(pattern: str, output: str) -> bool:
    """Whether an output is as a page shows it, where `...` stands for anything, and blanks for one another."""
    wanted = r"\s+".join(".*?".join(re.escape(part) for part in word.split("...")) for word in pattern.split())
    return re.search(wanted, output, re.S) is not None
