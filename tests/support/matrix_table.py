"""docs/security-matrix.md, from running every cell: `python -m tests.support.matrix_table` writes it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from gateway.config.model import Downgrade, Security
from tests.support.ladder import AVP, SAVP
from tests.support.matrix_local import PAIRS, LocalCall
from tests.support.matrix_midcall import COURSES, MidCall
from tests.support.matrix_pbx import PBX_COURSES, PbxCall
from tests.support.matrix_phones import COURSES as PHONES_COURSES
from tests.support.matrix_phones import TwoPhones
from tests.support.matrix_web import WEB_COURSES, WebCall
from tests.support.matrix_world import PROVIDERS, Behaviour, World

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "security-matrix.md"

PHONES: Final = {"udp": "UDP and RTP", "tls": "TLS and SRTP"}
NUMBERS: Final = {"sip:bob@example.com": "a normal number", "sip:112@example.com": "an emergency number"}
ARRIVALS: Final = {
    "over our connection, SRTP": ("verified", SAVP),
    "over our connection, RTP": ("verified", AVP),
    "over our connection, SRTP and RTP in two m-lines": ("verified", SAVP + b"m=audio 6002 RTP/AVP 0\r\n"),
    "over a connection of its own, SRTP": ("unverified", SAVP),
    "over a connection of its own, RTP": ("unverified", AVP),
    "over UDP, SRTP": ("udp", SAVP),
    "over UDP, RTP": ("udp", AVP),
}
ATTACKS: Final = {
    "blocks the TLS port": Behaviour("refuses"),
    "swallows what goes to the TLS port": Behaviour("silent"),
    "answers in clear on the TLS port": Behaviour("plain"),
    "presents its own certificate": Behaviour(certificate="self-signed"),
    "presents a certificate of another CA": Behaviour(certificate="unknown"),
    "answers SRTP with 488 (only inside TLS)": Behaviour(answer=488),
    "answers SRTP with RTP (only inside TLS)": Behaviour(answers_rtp=True),
}


@attrs.frozen
class Cell:
    """What one call came to: what the gateway claims, and what the wires and the parties saw."""

    security: Security
    is_emergency: bool
    verdict: str
    reason: str
    status: int
    seen: str
    in_clear: bytes
    is_readable: bool
    downgrades: float = 0.0
    change: str = ""
    """The status that a change of the call was answered with."""

    def __str__(self) -> str:
        what = self.verdict if self.status == 200 else f"{self.verdict} {self.status}"
        change = f", the change {self.change}" if self.change and self.status == 200 else ""
        return f"{what}{change}<br>{self.reason}" if self.reason else what + change


def outward(directory: Path, provider: str, security: Security, phone: str, uri: str) -> Cell:
    """A call from the phone."""
    world = World(directory, PROVIDERS[provider], security, phone)
    world.call_out(uri)
    return _cell(world, security, "112" in uri)


def inward(directory: Path, arrival: str, security: Security, phone: str) -> Cell:
    """A call from the provider."""
    over, offer = ARRIVALS[arrival]
    world = World(directory, PROVIDERS["TLS and SRTP"], security, phone)
    world.call_in(over, offer)
    return _cell(world, security, is_emergency=False)


def rung(directory: Path, course: str, security: Security) -> Cell:
    """A call from the provider to a user with two phones."""
    world = TwoPhones(directory, security, PHONES_COURSES[course])
    world.call_in("verified", SAVP)
    return _cell(world, security, is_emergency=False)


def between(row: str, security: Security) -> Cell:
    """A call from one phone to another, without the provider."""
    return _without_network(LocalCall(security, PAIRS[row]), security)


def of_pbx(row: str, security: Security) -> Cell:
    """A call of a PBX that does not register, or to it."""
    return _without_network(PbxCall(security, PBX_COURSES[row]), security)


def of_browser(row: str, security: Security) -> Cell:
    """A call of a web phone, or to it."""
    return _without_network(WebCall(security, WEB_COURSES[row]), security)


def attacked(directory: Path, attack: str, security: Security, downgrade: Downgrade) -> Cell:
    """A call from the phone after one that was encrypted, with somebody in between."""
    world = World(directory, PROVIDERS["TLS and SRTP"], security, "udp", downgrade)
    world.call_out("sip:bob@example.com")
    world.ladder.calls.end_all("the first call")
    world.becomes(ATTACKS[attack])
    world.network.packets.clear()
    world.network.streams.clear()
    world.call_out("sip:bob@example.com")
    return _cell(world, security, is_emergency=False)


def changed(directory: Path, course: str, security: Security) -> Cell:
    """A call from the phone that changes while it is up, or rings."""
    world = MidCall(directory, security)
    COURSES[course](world)
    cell = attrs.evolve(_cell(world, security, is_emergency=False), change=world.changed)
    if cell.verdict != "REFUSED" or cell.status != 200:
        return cell
    return attrs.evolve(cell, status=int(world.changed), seen="")  # it was answered, and ended by the change


def _without_network(call: LocalCall | PbxCall | WebCall, security: Security) -> Cell:
    """A call that was played by messages alone."""
    verdict, reason, status = call.claim()
    cell = Cell(security, False, verdict, reason, status, call.seen(), call.in_clear(), is_readable=False)
    call.end()
    return cell


def _cell(world: World, security: Security, is_emergency: bool) -> Cell:
    verdict, reason, status = world.claim()
    samples = (sample for metric in world.ladder.metrics.downgrades.collect() for sample in metric.samples)
    downgrades = sum(sample.value for sample in samples if sample.name.endswith("_total"))
    in_clear, is_readable = world.in_clear_to_provider(), world.readable_in_tls()
    cell = Cell(security, is_emergency, verdict, reason, status, world.seen(), in_clear, is_readable, downgrades)
    world.end()
    return cell


def document(directory: Path, judge: Callable[[str, Cell], None] = lambda where, cell: None) -> str:
    """The whole document; ``judge`` is given every cell and where it stands."""
    return "\n".join(_lines(directory, judge)) + "\n"


def _lines(directory: Path, judge: Callable[[str, Cell], None]) -> Iterator[str]:
    yield from _INTRODUCTION.strip().splitlines()
    for uri, number in NUMBERS.items():
        for phone, has in PHONES.items():
            title = f"A phone with {has} calls {number}"

            def called(row: str, security: Security, phone: str = phone, uri: str = uri) -> Cell:
                return outward(directory, row, security, phone, uri)

            yield from _table(title, "provider", PROVIDERS, called, judge)
    for phone, has in PHONES.items():

        def calls(row: str, security: Security, phone: str = phone) -> Cell:
            return inward(directory, row, security, phone)

        yield from _table(f"The provider calls a phone with {has}", "the provider's INVITE", ARRIVALS, calls, judge)

    def rings(row: str, security: Security) -> Cell:
        return rung(directory, row, security)

    title = "The provider calls a user with two phones, by TLS and SRTP"
    yield from _table(title, "two phones", PHONES_COURSES, rings, judge)

    yield from _table("Calls between phones, local_calls = true", "two phones", PAIRS, between, judge)
    yield from _table("A PBX that does not register ([[phone]])", "the PBX", PBX_COURSES, of_pbx, judge)
    yield from _table("A web phone (WSS, DTLS-SRTP)", "the web phone", WEB_COURSES, of_browser, judge)

    def changes(row: str, security: Security) -> Cell:
        return changed(directory, row, security)

    yield from _table("A call that changes, from a phone with UDP and RTP", "then", COURSES, changes, judge)
    for downgrade in Downgrade:

        def after(row: str, security: Security, downgrade: Downgrade = downgrade) -> Cell:
            return attacked(directory, row, security, downgrade)

        title = f'After an encrypted call somebody in between interferes, downgrade = "{downgrade}"'
        yield from _table(title, "who is in between", ATTACKS, after, judge)


def _table(
    title: str,
    rows_are: str,
    rows: Iterable[str],
    run: Callable[[str, Security], Cell],
    judge: Callable[[str, Cell], None],
) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"| {rows_are} | required | preferred | off |", "|---|---|---|---|")
    for row in rows:
        cells = [run(row, security) for security in Security]
        for cell in cells:
            judge(f"{title}: {row}, {cell.security}", cell)
        yield f"| {row} | {' | '.join(map(str, cells))} |"


_INTRODUCTION = """
# What becomes of a call, in every case

Written by `python -m tests.support.matrix_table`; `tests/security/test_matrix.py` runs every cell again and compares.
In each cell stands what the gateway says of the call: the verdict, with the status that the caller was given where it
was refused, and the reason. The test also compares each verdict with taps on every wire and with what the two parties
were sent: **what the gateway claims is what is on the wire.** The words are explained in
[architecture.md](architecture.md#security-policy).

"The change 488" says that a change was refused with that status, and the call went on as it was. Of a call that
changes, the worst that was in force counts, whatever followed it.

The provider here has a `uri` with `transport=tls` and a `fallback_uri` with `transport=udp`. Without a fallback, what
is CLEAR below is refused (503), except to emergency numbers.
"""

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        DOCUMENT.write_text(document(Path(made)), encoding="utf-8")
