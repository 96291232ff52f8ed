"""Files that a tool writes whole, or between two marks: written, or with --check only compared.

    text, marks, contents -> placed -> text as it should be -> write_or_compare -> exit status, 1 where a file is old

Here: the place between marks, and the two ways of every such tool. Not here: the contents (draw_layers,
write_configuration, write_reasons, make_dashboards).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def placed(text: str, begin: str, end: str, made: str) -> str:
    """A text with ``made`` between two marks, which stay. Raises ValueError where one of them is missing."""
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ValueError(f"the marks of its place are missing: {begin} and, after it, {end}")
    return f"{before}{begin}\n\n{made.strip()}\n\n{end}{after}"


def write_or_compare(files: Mapping[Path, str], arguments: Sequence[str], command: str) -> int:
    """Write the files that are not as they should be; or, with --check among the arguments, tell of each, and by which
    ``command`` it is written: 1 where there are any."""
    old = [file for file, text in files.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for file in old:
            file.write_text(files[file], encoding="utf-8")
        return 0
    for file in old:
        print(f"{file} is old; run: {command}", file=sys.stderr)
    return int(bool(old))
