"""docs/wire-matrix.md: written from a played matrix, and read as the expectation of the next one.

`python -m tests.support.matrix.table` plays every cell and writes it; look at the changes before it is kept.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support.calls.hosts import Hosts
from tests.support.matrix import attacks, changes, houses, web_phones
from tests.support.matrix.attacks import Attacked, cases, play_attacks
from tests.support.matrix.cells import POLICIES, cells
from tests.support.matrix.changes import Changed, play_changes
from tests.support.matrix.houses import Housed, HouseScene, play_houses
from tests.support.matrix.run import Outcome, play_all
from tests.support.matrix.scene import Scene
from tests.support.matrix.verdict import objections, status
from tests.support.matrix.web_phones import WebPlayed, WebScene, play_web

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "wire-matrix.md"

Place = tuple[str, str, str]
"""Title of the table, row, column."""

INTRODUCTION: Final = """\
# What becomes of a call, on the wire

Written by `python -m tests.support.matrix.table`; the tests in `tests/matrix` play every cell with a real gateway
process and compare. Phones and providers are scripts on loopback with real sockets, TLS and libsrtp. What they
receive is the capture: **in every cell the verdict that the gateway gives over its administration interface is the
one that the bytes give.** A connection is TLS when every byte of it is in TLS records; media is SRTP when every packet
opens with the keys of the two SDPs.

In each cell stand the verdict, with the status that the caller was given where there was no call, and the reason;
[architecture.md](architecture.md#security-policy) explains the words. `-`: the gateway did not take the connection.
[security-matrix.md](security-matrix.md) has more cases, without processes.

Every provider has a `uri` with `transport=tls` and a `fallback_uri` with `transport=udp`. Before a provider calls, its
phone has registered while the policy was `off`, and the domain was switched to its policy at run time; so "the
gateway's connection" is UDP under `off`. An emergency number as the caller proves nothing: such a call is like others.

In calls between phones the caller is asked for its password, and both legs count. A PBX over UDP is known by its
address, one over TLS by its certificate, and the provider that calls one does so over TLS with its own.

A web phone is a script as well: frames, ICE, DTLS and SRTP of its own, and a packet is SRTP when the keys of that
handshake open it. A call in which it shows another certificate than the one of its SDP is answered, since nobody can
know before the handshake; then the gateway ends it, and neither party has heard anything.

A call that changes has media in every phase, each description with ports and keys of its own, and the worst phase
counts. "The change 488" says that a change was refused with that status, and the media went on as they were.
REFUSED in that table: the provider's answer to the call or to the phone's re-INVITE was weaker than the policy allows.
The phone was given that status, the provider (and a phone that was in the call) a BYE, and nothing that the provider
then said in clear was heard.

The last tables have somebody between gateway and provider, who can do everything but show the provider's certificate.
Who knows the provider (from an encrypted call before) tells the operator of every call that is weaker now; who never
met it cannot know better than what it sees.
"""


def shown(outcome: Outcome) -> str:
    """What stands in a cell."""
    if status(outcome) == 0 and not outcome.claim:
        return "-"
    verdict, reason = str(outcome.claim["verdict"]), str(outcome.claim["reason"])
    first = verdict if status(outcome) == 200 else f"{verdict} {status(outcome)}"
    return f"{first}<br>{reason}" if reason else first


def places(outcomes: Iterable[Outcome]) -> dict[Place, str]:
    """The cells of the matrix."""
    return {(one.cell.title, one.cell.row, one.cell.policy): shown(one) for one in outcomes}


def attacked_places(attacked: Iterable[Attacked]) -> dict[Place, str]:
    """The cells of the attacks."""
    return {(one.case.title, one.case.row, one.case.column): shown(one.outcome) for one in attacked}


def changed_places(changed: Iterable[Changed]) -> dict[Place, str]:
    """The cells of the calls that change."""
    return {(changes.TITLE, one.case.row, one.case.policy): changes.shown(one) for one in changed}


def housed_places(housed: Iterable[Housed]) -> dict[Place, str]:
    """The cells of local calls and PBXs."""
    return {(one.case.title, one.case.row, one.case.policy): houses.shown(one) for one in housed}


def web_places(played: Iterable[WebPlayed]) -> dict[Place, str]:
    """The cells of web phones."""
    return {(web_phones.TITLE, one.case.row, one.case.policy): web_phones.shown(one) for one in played}


def document(
    outcomes: Iterable[Outcome],
    attacked: Iterable[Attacked],
    changed: Iterable[Changed],
    housed: Iterable[Housed],
    of_web_phones: Iterable[WebPlayed],
) -> str:
    """The whole text."""
    inside = housed_places(housed)
    local = {place: cell for place, cell in inside.items() if place[0] == houses.LOCAL}
    lines = [
        *_tables(places(outcomes), "the provider", POLICIES),
        *_tables(local, "two phones", POLICIES),
        *_tables({place: cell for place, cell in inside.items() if place not in local}, "the PBX", POLICIES),
        *_tables(web_places(of_web_phones), "the web phone", POLICIES),
        *_tables(changed_places(changed), "then", POLICIES),
        *_tables(attacked_places(attacked), "what somebody in between does", attacks.COLUMNS),
    ]
    return INTRODUCTION + "\n".join(lines).rstrip("\n") + "\n"


def expected(text: str) -> dict[Place, str]:
    """Every cell of the document."""
    found: dict[Place, str] = {}
    title, columns = "", [""]
    for line in text.splitlines():
        title = line.removeprefix("## ") if line.startswith("## ") else title
        row, *fields = line.removeprefix("| ").removesuffix(" |").split(" | ")
        if len(fields) < len(POLICIES):
            continue
        if fields[0] == POLICIES[0]:
            columns = fields
        else:
            found.update({(title, row, column): field for column, field in zip(columns, fields, strict=True)})
    return found


def _tables(cells: Mapping[Place, str], rows_are: str, columns: tuple[str, ...]) -> Iterator[str]:
    for title in dict.fromkeys(place[0] for place in cells):
        yield from ("", f"## {title}", "", f"| {rows_are} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|")
        for row in dict.fromkeys(place[1] for place in cells if place[0] == title):
            yield f"| {row} | {' | '.join(cells[title, row, column] for column in columns)} |"


def _write() -> None:
    hosts = Hosts.claim()
    scenes = [Scene(hosts, Path(tempfile.mkdtemp()), plays) for plays in ("matrix", "attacks", "changes")]
    in_houses = HouseScene(hosts, Path(tempfile.mkdtemp()), [*houses.cases()])
    of_pages = WebScene(hosts, Path(tempfile.mkdtemp()))
    try:
        outcomes = asyncio.run(play_all(scenes[0], [*cells()]))
        attacked = asyncio.run(play_attacks(scenes[1], [*cases()]))
        changed = asyncio.run(play_changes(scenes[2], [*changes.cases()]))
        housed = asyncio.run(play_houses(in_houses, [*houses.cases()]))
        webbed = asyncio.run(play_web(of_pages, [*web_phones.cases()]))
    finally:
        for scene in (*scenes, in_houses, of_pages):
            scene.gateway.stop()
        hosts.release()
    for one in (*outcomes, *(played.outcome for played in attacked)):
        for objection in objections(one):
            print(f"{one.cell}: {objection}")
    DOCUMENT.write_text(document(outcomes, attacked, changed, housed, webbed), encoding="utf-8")


if __name__ == "__main__":
    _write()
