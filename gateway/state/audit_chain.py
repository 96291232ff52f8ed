"""The chain of the audit's lines: each names the SHA-256 of the one before, so that a line that was changed, taken out
or put in is seen.

Here: the digest of a line, the end of a file, and the look at a whole file. Not here: writing (`audit`).

The chain shows that lines were touched, and keeps nobody from touching them: a user that may write the file can write
all of it anew. So the digest of the last line is worth keeping elsewhere: the running gateway knows it, and so may a
log that has left the machine. Lines from before the chain have no `prev`; the first that has one vouches for the last
of them. A line that broke off when the machine died is no JSON, and the next one names its digest as that of any other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

BEGIN: Final = "0" * 64
"""Stands for the line before the first."""

KEY: Final = "prev"
_MOST_FAULTS: Final = 20
_PIECE: Final = 65_536
"""Bytes read at once from the end of a file."""


def digest(line: bytes) -> str:
    """That of a line, without its line break."""
    return hashlib.sha256(line).hexdigest()


@attrs.frozen
class LastLine:
    """The last line of a file: its digest, and whether it broke off before its line break."""

    last: str = BEGIN
    is_torn: bool = False


def ending_of(path: Path) -> LastLine:
    """The end of a file; that of an empty one where there is none. Raises OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return LastLine()
    with file:
        start, found = file.seek(0, os.SEEK_END), b""
        while start > 0 and b"\n" not in found[:-1]:
            end, start = start, max(0, start - _PIECE)
            file.seek(start)
            found = file.read(end - start) + found
    if not found:
        return LastLine()
    *_, line = found.removesuffix(b"\n").split(b"\n")
    return LastLine(digest(line), not found.endswith(b"\n"))


@attrs.frozen
class AuditJudgement:
    """The judgement of a file."""

    lines: int
    older: int
    """Lines from before the chain."""
    torn: int
    """Lines that broke off."""
    last: str
    """The digest of the last line."""
    faults: tuple[str, ...]
    """Sentences, none where the chain is whole."""


def verify(lines: Iterable[bytes], expected: str | None = None) -> AuditJudgement:
    """Look at the lines of an audit, without their line breaks. ``expected``: the digest that the last one has to have,
    where it is known from elsewhere."""
    number = older = torn = 0
    last, is_chained, faults = BEGIN, False, list[str]()
    for number, line in enumerate(lines, start=1):
        prev, is_broken = _prev_of(line)
        if isinstance(prev, str):
            if prev != last and not (number == 1 and len(prev) == len(BEGIN)):
                faults.append(f"line {number} does not follow the line before it: one was changed, taken out or put in")
            is_chained = True
        elif is_broken:
            torn += 1
        elif is_chained:
            faults.append(f"line {number} is not part of the chain")
        older += not is_chained
        last = digest(line)
    if expected is not None and last != expected:
        faults.append("the end is missing: the last line is not the one that was written last")
    return AuditJudgement(number, older, torn, last, tuple(faults[:_MOST_FAULTS]))


def verify_file(path: Path, expected: str | None = None, size: int | None = None) -> AuditJudgement:
    """The same of a file, of its first ``size`` bytes. Raises OSError."""
    with path.open("rb") as file:
        return verify(_lines(file.read() if size is None else file.read(size)), expected)


def _lines(data: bytes) -> list[bytes]:
    return data.removesuffix(b"\n").split(b"\n") if data else []


def _prev_of(line: bytes) -> tuple[object, bool]:
    """The digest that a line names, None for none; and whether the line is no JSON object."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None, True
    return (entry.get(KEY), False) if isinstance(entry, dict) else (None, True)
