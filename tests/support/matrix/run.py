"""Playing cells: the gateway's claim of each call, beside the observations of the two parties.

Cells run side by side, so many at a time that the machine keeps up. Inbound ones first register their phone, while
their domain is ``off`` (so that it can register at a provider of any kind), and are switched to their policy at run
time; the next REGISTER then goes the new way, where there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import attrs

from tests.support import messages
from tests.support.matrix.cells import ARRIVALS, Cell
from tests.support.matrix.configuration import Served
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.gateway import Row
from tests.support.matrix.scene import Scene
from tests.support.matrix.wires import Wire

AT_ONCE: Final = 12
HEAR_WITHIN: Final = 1.5  # seconds


@attrs.define
class Outcome:
    """One cell, played."""

    cell: Cell
    caller: Exchange | None = None
    """What the caller saw; None: it had no connection to call over."""
    callees: list[Exchange] = attrs.field(factory=list)
    """What the callee saw: one for each INVITE that came."""
    claim: Row = attrs.field(factory=dict)
    calls: int = 0
    """How many calls of this cell the gateway knows."""
    heard: tuple[str, str] = ("", "")
    """What came to the phone and to the provider."""

    @property
    def callee(self) -> Exchange:
        """What the callee saw of the call that came about: the INVITE whose answer was acknowledged. One that somebody
        in between held up may come after it."""
        return next((one for one in reversed(self.callees) if one.dialog[0]), self.callees[-1])


def served(cell: Cell, scene: Scene) -> Served:
    """The domain of a cell."""
    security = cell.policy if cell.direction == "out" else "off"
    has_certificate = cell.kind.gateway_has_certificate
    return Served(cell.domain, security, scene.tls_ports[cell.kind_name], scene.udp_port, has_certificate)


async def play_all(scene: Scene, cells: Sequence[Cell]) -> list[Outcome]:
    """Every cell, and then what the gateway says of it."""
    scene.kinds.update({cell.domain: cell.kind_name for cell in cells})
    try:
        await scene.begin([served(cell, scene) for cell in cells])
        room = asyncio.Semaphore(AT_ONCE)
        outcomes = await asyncio.gather(*(_played(scene, cell, room) for cell in cells))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(_ask, scene, outcomes)
        return list(outcomes)
    finally:
        scene.close()


async def _played(scene: Scene, cell: Cell, room: asyncio.Semaphore) -> Outcome:
    async with room:
        outcome = Outcome(cell)
        play = play_out if cell.direction == "out" else play_in
        await play(scene, outcome)
        return outcome


async def play_out(scene: Scene, outcome: Outcome) -> None:
    """The phone calls."""
    cell = outcome.cell
    wire = scene.phone_wire(cell.phone, cell.index)
    uri = f"sip:{cell.number}@{cell.domain}"
    peers = f"<sip:alice@{cell.domain}>", f"<{uri}>"
    offer = partial(messages.offer, scene.hosts.phone, srtp=cell.phone == "tls")
    outcome.caller = await scene.phone.call(wire, uri, peers, offer, cell.domain)
    outcome.callees = [one for one in scene.provider.exchanges.values() if one.domain == cell.domain]
    await _finish(scene, outcome, scene.phone.mark(cell.domain), scene.provider.mark(cell.domain))


async def play_in(scene: Scene, outcome: Outcome) -> None:
    """The provider calls, over whatever its row says, a phone that is registered."""
    cell = outcome.cell
    arrival = ARRIVALS[cell.row]
    contact = await _register(scene, cell)
    if arrival.is_known:
        await asyncio.to_thread(scene.gateway.learn, cell.domain)
    wire = await _way_in(scene, cell)
    if wire is None:
        return
    uri = messages.uri_in(contact)
    peers = f"<sip:{cell.number}@{cell.domain}>", f"<sip:{cell.domain.partition('.')[0]}@{cell.domain}>"
    has_key = "without a key" not in cell.row
    offer = partial(messages.offer, scene.hosts.provider, srtp=arrival.offers_srtp, keys=has_key)
    outcome.caller = await scene.provider.call(wire, uri, peers, offer, cell.domain)
    outcome.callees = [one for one in scene.phone.exchanges.values() if one.domain == cell.domain]
    await _finish(scene, outcome, scene.provider.mark(cell.domain), scene.phone.mark(cell.domain))


async def _finish(scene: Scene, outcome: Outcome, caller: str, callee: str) -> None:
    """Let both hear each other, hang up, and note what they heard."""
    one = outcome.caller
    agent = scene.phone if outcome.cell.direction == "out" else scene.provider
    if one is not None and one.status == 200:
        other = outcome.callee
        for _ in range(int(HEAR_WITHIN / 0.05)):
            if _count(one) >= 5 and _count(other) >= 5:
                break
            await asyncio.sleep(0.05)
        await agent.hang_up(one)
        heard = str(one.heard(callee)), str(other.heard(caller))
        outcome.heard = heard if outcome.cell.direction == "out" else (heard[1], heard[0])


def _count(exchange: Exchange) -> int:
    return 0 if exchange.sound is None else len(exchange.sound.received)


async def _register(scene: Scene, cell: Cell) -> str:
    """Register the phone under ``off``, switch, register again; the Contact that the provider was given last."""
    wire, user = scene.phone_wire(cell.phone, cell.index), cell.domain.partition(".")[0]
    for number in (1, 2):
        register = scene.phone.register(wire, f"sip:{user}@{cell.domain}", user, number, f"reg-{cell.domain}")
        answer = await scene.phone.ask(wire, register, 15)
        assert answer is not None, f"{cell}: no answer to REGISTER {number}"
        assert number == 2 or answer.status == 200, f"{cell}: {answer.first_line}"
        if number == 1 and cell.policy != "off":
            await asyncio.to_thread(scene.gateway.switch, cell.domain, cell.policy)
    return _registered(scene, cell)[0]


def _registered(scene: Scene, cell: Cell) -> tuple[str, Wire]:
    return [
        (message.header("contact"), wire)
        for message, wire in scene.provider.requests
        if message.method == "REGISTER" and message.header("to").rstrip(">").endswith(f"@{cell.domain}")
    ][-1]


async def _way_in(scene: Scene, cell: Cell) -> Wire | None:
    """What the provider calls over; None when the gateway does not take its connection."""
    arrival = ARRIVALS[cell.row]
    if arrival.over == "udp":
        return scene.wire_from_provider()
    if arrival.over == "gateway's":
        return _registered(scene, cell)[1]
    stream = await scene.connect(scene.provider, scene.site.ports.provider_tls, arrival.certificate, cell.kind_name)
    return stream.wire


def _ask(scene: Scene, outcomes: Iterable[Outcome]) -> None:
    calls: dict[str, list[Row]] = {}
    for call in scene.gateway.calls():
        calls.setdefault(str(call["domain"]), []).append(call)
    for outcome in outcomes:
        found = calls.get(outcome.cell.domain, [])
        outcome.calls = len(found)
        if found:
            outcome.claim = scene.gateway.call(str(found[0]["id"]))
