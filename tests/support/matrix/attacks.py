"""Calls with an attacker between gateway and provider: one call before it strikes where the peer is known, one after.

Each case has ports, a domain and a provider of its own in the one configuration; all are played side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from tests.support.matrix.attacker import InClear, OnTls, TlsPort, UdpPort, impostor
from tests.support.matrix.cells import KINDS, Cell
from tests.support.matrix.configuration import Served
from tests.support.matrix.gateway import Row
from tests.support.matrix.run import Outcome, play_out
from tests.support.matrix.scene import Scene

AT_ONCE: Final = 40
HONEST: Final = "TLS and SRTP"
COLUMNS: Final = ("required", "preferred", 'preferred, downgrade = "refuse"', "off")
KNOWN: Final = {
    True: "After an encrypted call somebody stands between",
    False: "Somebody has always stood between",
}


@attrs.frozen
class Attack:
    """What somebody does."""

    on_tls: OnTls
    in_clear: InClear = InClear.NOTHING
    provider: str = HONEST
    """Who the gateway meets over TLS: the provider, or an impostor with that certificate."""


ATTACKS: Final = {
    "refuses on the TLS port": Attack(OnTls.REFUSES),
    "drops what goes to the TLS port": Attack(OnTls.DROPS),
    "takes the connection and is silent": Attack(OnTls.SILENT),
    "answers in clear on the TLS port": Attack(OnTls.PLAIN),
    "cuts the connection at the TLS hello": Attack(OnTls.CUTS),
    "changes bits within TLS": Attack(OnTls.GARBLES),
    "presents a certificate of its own": Attack(OnTls.CERTIFICATE, provider="certificate self-signed"),
    "presents a certificate of another CA": Attack(OnTls.CERTIFICATE, provider="certificate of an unknown CA"),
    "presents a good certificate of another name": Attack(OnTls.CERTIFICATE, provider="certificate of another name"),
    "presents the provider's expired certificate": Attack(OnTls.CERTIFICATE, provider="certificate expired"),
    "refuses TLS, and says 488 to the call in clear": Attack(OnTls.REFUSES, InClear.REFUSES),
    "refuses TLS, and adds a key to the answer in clear": Attack(OnTls.REFUSES, InClear.ADDS_KEY),
    "refuses TLS, and makes RTP/SAVP of the answer in clear": Attack(OnTls.REFUSES, InClear.SAYS_SRTP),
}


@attrs.frozen
class Case:
    """One attack on one domain."""

    index: int
    row: str
    column: str
    is_known: bool
    number: str

    @property
    def attack(self) -> Attack:
        return ATTACKS[self.row]

    @property
    def policy(self) -> str:
        return self.column.partition(",")[0]

    @property
    def domain(self) -> str:
        return self.cell(HONEST).domain

    @property
    def title(self) -> str:
        """The table it stands in."""
        called = "" if self.number == "bob" else ", and an emergency number is called"
        return KNOWN[self.is_known] + called

    def cell(self, provider: str) -> Cell:
        """The call, to that provider."""
        return Cell(10_000 + self.index, "out", "udp", provider, self.number, self.policy)

    def __str__(self) -> str:
        return f"{self.title}: {self.row}, {self.column}"


def cases() -> Iterator[Case]:
    """All of them, table by table."""
    index = 0
    for number in ("bob", "112"):
        for is_known in KNOWN:
            for row in ATTACKS:
                for column in COLUMNS:
                    index += 1
                    yield Case(index, row, column, is_known, number)


@attrs.define
class Attacked:
    """One case, played."""

    case: Case
    tls_port: int
    outcome: Outcome
    before: Outcome | None = None
    """The call before the attacker struck."""
    in_clear: list[bytes] = attrs.field(factory=list)
    """What the gateway sent in clear to where the provider is, after it struck."""


class _Between:
    """The attacker of one case."""

    def __init__(self, scene: Scene, case: Case) -> None:
        address = scene.hosts.provider
        self.scene, self.case = scene, case
        self.ports = scene.hosts.port(address), scene.hosts.port(address)
        self.tls = TlsPort((address, self.ports[0]), (address, scene.tls_ports[HONEST]))
        self.udp = UdpPort(case.attack.in_clear)

    async def open(self) -> None:
        address = self.scene.hosts.provider
        await self.udp.open((address, self.ports[1]), (address, self.scene.udp_port))
        await self.tls.pass_on()
        if not self.case.is_known:
            await self.strike()

    async def strike(self) -> None:
        attack, scene = self.case.attack, self.scene
        context = scene.identities.server(KINDS[attack.provider])
        self.udp.strike()
        self.udp.seen.clear()
        await self.tls.strike(attack.on_tls, impostor(context, scene.provider.receive))

    async def play(self, room: asyncio.Semaphore) -> Attacked:
        async with room:
            return await self._play()

    async def _play(self) -> Attacked:
        before = None
        if self.case.is_known:
            before = Outcome(attrs.evolve(self.case.cell(HONEST), number="bob"))
            await play_out(self.scene, before)
            await self.strike()
        outcome = Outcome(self.case.cell(self.case.attack.provider))
        await play_out(self.scene, outcome)
        earlier = [] if before is None else before.callees
        outcome.callees = [one for one in outcome.callees if one not in earlier]
        return Attacked(self.case, self.ports[0], outcome, before, [*self.udp.seen])


async def play_attacks(scene: Scene, wanted: Sequence[Case]) -> list[Attacked]:
    """Every case, and then what the gateway says of it."""
    scene.kinds.update({case.domain: HONEST for case in wanted})
    between = [_Between(scene, case) for case in wanted]
    try:
        for one in between:
            await one.open()
        await scene.begin([_served(one) for one in between])
        room = asyncio.Semaphore(AT_ONCE)
        played = await asyncio.gather(*(one.play(room) for one in sorted(between, key=_is_quick)))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(_ask, scene, played)
        return sorted(played, key=lambda one: one.case.index)
    finally:
        for one in between:
            one.tls.close()
            one.udp.close()
        scene.close()


def _is_quick(between: _Between) -> bool:
    """Those that keep the gateway waiting begin first."""
    return between.case.attack.on_tls not in (OnTls.DROPS, OnTls.SILENT)


def _served(between: _Between) -> Served:
    downgrade = "refuse" if "refuse" in between.case.column else "alert"
    return Served(between.case.domain, between.case.policy, *between.ports, downgrade=downgrade)


def _ask(scene: Scene, played: Sequence[Attacked]) -> None:
    calls: dict[str, list[Row]] = {}
    for call in scene.gateway.calls():
        calls.setdefault(str(call["domain"]), []).append(call)
    for one in played:
        found = calls.get(one.case.domain, [])
        one.outcome.calls = len(found) - (one.before is not None)
        if found:
            one.outcome.claim = scene.gateway.call(str(found[0]["id"]))
