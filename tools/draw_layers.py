"""Draws the table of layers in docs/architecture.md: `python tools/draw_layers.py` writes it, `--check` only compares.

The order is that of the layers in pyproject.toml (import-linter), and the words are the packages' own: the docstring of
each `__init__.py`, which is one line.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tools.documents import placed, write_or_compare

ROOT = Path(__file__).parents[1]
DOCUMENT = Path("docs/architecture.md")
BEGIN = "<!-- Written by tools/draw_layers.py from pyproject.toml and the packages' docstrings: change those. -->"
END = "<!-- End of the layers. -->"


def table(root: Path) -> str:
    """The table: a row for each package, its parts below it, from the top layer to the bottom."""
    layers = _layers(root)
    rows = [
        f"| {len(layers) - number if is_first else ''} | `{package}` | {text} |"
        for number, layer in enumerate(layers)
        for is_first, package, text in _rows(root, layer)
    ]
    return "\n".join(["| layer | package | |", "|---|---|---|", *rows])


def _layers(root: Path) -> list[str]:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [str(layer) for contract in contracts if contract["type"] == "layers" for layer in contract["layers"]]


def _rows(root: Path, layer: str) -> Iterator[tuple[bool, str, str]]:
    names = re.split(r"\s*[:|]\s*", layer)
    for name in names:
        for path in sorted((root / "gateway" / name).rglob("__init__.py")):
            package = str(path.parent.relative_to(root / "gateway"))
            yield package == names[0], package, _docstring(path)


def _docstring(path: Path) -> str:
    """The docstring of a package. Raises ValueError unless it is one line."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    if not text or "\n" in text:
        raise ValueError(f"{path}: its docstring is not one line")
    return text


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Draw the table, or with --check say whether it is as drawn: 1 where it is not. Raises ValueError where the
    document has no place for one."""
    document = root / DOCUMENT
    drawn = placed(document.read_text(encoding="utf-8"), BEGIN, END, table(root))
    return write_or_compare({document: drawn}, arguments, "python tools/draw_layers.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
