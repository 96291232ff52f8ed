"""Calls that change while they are up, or ring: a call from a phone with UDP and RTP to a provider with TLS and SRTP,
and then another exchange, another fork, another flow or a transfer.

Each description that was agreed on has a port of its own, so that each phase's media are judged by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import attrs

from tests.support import messages
from tests.support.matrix.agent import fork_mark
from tests.support.matrix.cells import POLICIES, Cell
from tests.support.matrix.configuration import Served
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.gateway import Row
from tests.support.matrix.scene import Scene
from tests.support.matrix.sound import Heard
from tests.support.matrix.wires import Wire

HONEST: Final = "TLS and SRTP"
TITLE: Final = "A call changes, from a phone with UDP and RTP"
HEAR_WITHIN: Final = 1.5  # seconds


@attrs.frozen
class Change:
    """One thing that happens to a call."""

    offers: tuple[bool, ...] = ()
    """Changes of the provider, each with SRTP or with RTP."""
    method: str = "INVITE"
    over: str = "its own"
    """"its own": the call's connection; "good": another, with the provider's certificate; "none": another; "udp"."""
    is_refused: bool = False
    """Whether the phone takes none."""
    rings: bool | None = None
    """A fork that rings before the provider answers, with SRTP or with RTP."""
    is_transfer: bool = False


CHANGES: Final = {
    "the provider's re-INVITE brings a new key": Change((True,)),
    "the provider's re-INVITE takes SRTP away": Change((False,)),
    "the provider's re-INVITE takes SRTP away, another brings it back": Change((False, True)),
    "the provider's re-INVITE would take SRTP away, and the phone refuses it": Change((False,), is_refused=True),
    "the provider's UPDATE brings a new key": Change((True,), "UPDATE"),
    "the provider's UPDATE takes SRTP away": Change((False,), "UPDATE"),
    "two forks, SRTP and SRTP": Change(rings=True),
    "a fork rings with RTP, another answers with SRTP": Change(rings=False),
    "a new key over another connection with the provider's certificate": Change((True,), over="good"),
    "a new key over another connection without certificate": Change((True,), over="none"),
    "a new key over UDP": Change((True,), over="udp"),
    "the provider transfers the phone, which calls again": Change(is_transfer=True),
}


@attrs.frozen
class Case:
    """One change under one policy."""

    index: int
    row: str
    policy: str

    @property
    def change(self) -> Change:
        return CHANGES[self.row]

    @property
    def domain(self) -> str:
        return Cell(20_000 + self.index, "out", "udp", HONEST, "bob", self.policy).domain

    def __str__(self) -> str:
        return f"{self.row}, {self.policy}"


def cases() -> Iterator[Case]:
    """All of them."""
    for index, (row, policy) in enumerate((row, policy) for row in CHANGES for policy in POLICIES):
        yield Case(index, row, policy)


@attrs.define
class Changed:
    """One case, played."""

    case: Case
    phases: list[tuple[Exchange, Exchange]] = attrs.field(factory=list)
    """Both sides of every exchange that was agreed on: the phone's and the provider's."""
    statuses: list[int] = attrs.field(factory=list)
    """The provider's changes were answered with these."""
    claim: Row = attrs.field(factory=dict)

    def seen(self, mark: str) -> str:
        """The verdict of the bytes: each phase's media as the provider heard them, those of a fork that rang as they
        reached the phone, and the wires that they were agreed on over."""
        is_tls = all(provider.wire.is_tls for _, provider in self.phases)
        is_srtp = all(provider.heard(mark) == Heard.SRTP for _, provider in self.phases)
        is_srtp = is_srtp and not self.heard_early
        if is_srtp:
            return "ENCRYPTED_TO_PROVIDER" if is_tls else "MEDIA_ONLY_WEAK"
        return "SIGNALLING_ONLY" if is_tls else "CLEAR"

    @property
    def heard_early(self) -> bool:
        """Whether the phone heard the fork that rang."""
        sound, mark = self.phases[0][0].sound, fork_mark(self.case.domain).encode()
        return sound is not None and any(mark in packet for packet in sound.received)


async def play_changes(scene: Scene, wanted: Sequence[Case]) -> list[Changed]:
    """Every case, and then what the gateway says of it."""
    scene.kinds.update({case.domain: HONEST for case in wanted})
    scene.ringing.update({case.domain: case.change.rings for case in wanted if case.change.rings is not None})
    scene.phone.refusing.update(case.domain for case in wanted if case.change.is_refused)
    try:
        await scene.begin(Served(case.domain, case.policy, scene.tls_ports[HONEST], scene.udp_port) for case in wanted)
        played = await asyncio.gather(*(_play(scene, case) for case in wanted))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(_ask, scene, played)
        return list(played)
    finally:
        scene.close()


async def _play(scene: Scene, case: Case) -> Changed:
    changed = Changed(case)
    caller = await _call(scene, changed)
    if case.change.is_transfer:
        refer = "Refer-To: <sip:carol@" + case.domain + ">"
        answer = await scene.provider.ask_within(changed.phases[-1][1], "REFER", 2, refer)
        changed.statuses.append(0 if answer is None else answer.status)
        await scene.phone.hang_up(caller)
        changed.phases.clear()
        caller = await _call(scene, changed)
    for number, is_srtp in enumerate(case.change.offers, 2):
        await _change(scene, changed, caller, is_srtp, number)
    await scene.phone.hang_up(caller)
    return changed


async def _call(scene: Scene, changed: Changed) -> Exchange:
    case = changed.case
    uri = f"sip:bob@{case.domain}"
    offer = partial(messages.offer, scene.hosts.phone, srtp=False)
    wire = scene.phone_wire("udp", case.index)
    caller = await scene.phone.call(wire, uri, (f"<sip:alice@{case.domain}>", f"<{uri}>"), offer, case.domain)
    assert caller.status == 200, f"{case}: {caller.status}"
    callee = [one for one in scene.provider.exchanges.values() if one.domain == case.domain][-1]
    changed.phases.append((caller, callee))
    await _hear(caller, callee)
    return caller


async def _change(scene: Scene, changed: Changed, caller: Exchange, is_srtp: bool, number: int) -> None:
    provider = changed.phases[-1][1]
    wire = await _way(scene, changed.case.change.over, changed.phases[0][1])
    offer = partial(messages.offer, scene.hosts.provider, srtp=is_srtp)
    change = await scene.provider.change(provider, wire, offer, number, changed.case.change.method)
    changed.statuses.append(change.status)
    if change.status == 200:
        phone = scene.phone.exchanges[caller.call_id]
        changed.phases.append((phone, change))
        await _hear(phone, change)
    else:
        before = len(provider.sound.received) if provider.sound is not None else 0
        await scene.phone.talk_again(changed.phases[-1][0])
        await _hear(provider, provider, before + 5)


async def _way(scene: Scene, over: str, provider: Exchange) -> Wire:
    if over == "its own":
        return provider.wire
    if over == "udp":
        return scene.wire_from_provider()
    certificate = None if over == "none" else over
    return (await scene.connect(scene.provider, scene.site.ports.provider_tls, certificate)).wire


async def _hear(one: Exchange, other: Exchange, least: int = 5) -> None:
    for _ in range(int(HEAR_WITHIN / 0.05)):
        if all(side.sound is not None and len(side.sound.received) >= least for side in (one, other)):
            return
        await asyncio.sleep(0.05)


def shown(changed: Changed) -> str:
    """What stands in a cell."""
    verdict, reason = str(changed.claim["verdict"]), str(changed.claim["reason"])
    first = verdict + "".join(f", the change {status}" for status in changed.statuses[-1:])
    return f"{first}<br>{reason}" if reason else first


def _ask(scene: Scene, played: Sequence[Changed]) -> None:
    calls: dict[str, Row] = {}
    for call in scene.gateway.calls():
        calls.setdefault(str(call["domain"]), call)
    for one in played:
        one.claim = scene.gateway.call(str(calls[one.case.domain]["id"]))
