"""docs/wire-matrix.md: written from a played matrix, and read as what is expected of the next one.

`python -m tests.support.matrix.table` plays every cell and writes it; look at what changed before it is kept.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.support.calls.hosts import Hosts
from tests.support.matrix.cells import POLICIES, cells
from tests.support.matrix.run import Outcome, play_all
from tests.support.matrix.scene import Scene
from tests.support.matrix.verdict import objections, status

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "wire-matrix.md"

Place = tuple[str, str, str]
"""Title of the table, row, policy."""

INTRODUCTION: Final = """\
# What becomes of a call, on the wire

Written by `python -m tests.support.matrix.table`; `tests/matrix/test_matrix.py` plays every cell with a real gateway
process and compares. Phones and providers are scripts on loopback with real sockets, TLS and libsrtp. What they
receive is the capture: **in every cell the verdict that the gateway gives over its administration interface is the
one that the bytes give.** A connection is TLS when every byte of it is in TLS records; media is SRTP when every packet
opens with the keys of the two SDPs.

In each cell stand the verdict, with the status that the caller was given where there was no call, and the reason;
[architecture.md](architecture.md#security-policy) explains the words. `-`: the gateway did not take the connection.
[security-matrix.md](security-matrix.md) has more cases, without processes.

Every provider has a `uri` with `transport=tls` and a `fallback_uri` with `transport=udp`. Before a provider calls, its
phone has registered while the policy was `off`, and the domain was switched to its policy at run time; so "the
gateway's connection" is UDP under `off`. An emergency number as the caller proves nothing: such a call is like others.
"""


def shown(outcome: Outcome) -> str:
    """What stands in a cell."""
    if status(outcome) == 0 and not outcome.claim:
        return "-"
    verdict, reason = str(outcome.claim["verdict"]), str(outcome.claim["reason"])
    first = verdict if status(outcome) == 200 else f"{verdict} {status(outcome)}"
    return f"{first}<br>{reason}" if reason else first


def document(outcomes: Iterable[Outcome]) -> str:
    """The whole text."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for outcome in outcomes:
        cell = outcome.cell
        tables.setdefault(cell.title, {}).setdefault(cell.row, {})[cell.policy] = shown(outcome)
    return INTRODUCTION + "".join(f"\n{line}" for title, rows in tables.items() for line in _table(title, rows)) + "\n"


def expected(text: str) -> dict[Place, str]:
    """Every cell of the document."""
    found: dict[Place, str] = {}
    title = ""
    for line in text.splitlines():
        title = line.removeprefix("## ") if line.startswith("## ") else title
        fields = re.fullmatch(r"\| (.+) \| (.+) \| (.+) \| (.+) \|", line)
        if fields and fields[2] != POLICIES[0]:
            found.update({(title, fields[1], policy): fields[at] for at, policy in enumerate(POLICIES, 2)})
    return found


def _table(title: str, rows: dict[str, dict[str, str]]) -> Iterator[str]:
    yield from (f"## {title}", "", f"| the provider | {' | '.join(POLICIES)} |", "|---|---|---|---|")
    for row, found in rows.items():
        yield f"| {row} | {' | '.join(found[policy] for policy in POLICIES)} |"
    yield ""


def _play(directory: Path) -> list[Outcome]:
    hosts = Hosts.claim()
    scene = Scene(hosts, directory)
    try:
        return asyncio.run(play_all(scene, [*cells()]))
    finally:
        scene.gateway.stop()
        hosts.release()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        played = _play(Path(made))
    for one in played:
        for objection in objections(one):
            print(f"{one.cell}: {objection}")
    DOCUMENT.write_text(document(played).rstrip("\n") + "\n", encoding="utf-8")
