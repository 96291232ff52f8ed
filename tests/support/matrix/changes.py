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
from tests.support.matrix.sound import PACKETS, PERIOD, Heard
from tests.support.matrix.wires import Wire

HONEST: Final = "TLS and SRTP"
TITLE: Final = "A call that changes, from a phone with UDP and RTP"
HEAR_WITHIN: Final = 1.5  # seconds
END_WITHIN: Final = 5.0  # seconds


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
    is_by_phone: bool = False
    """Whether the phone sends a re-INVITE."""
    answers_rtp: bool = False
    """Whether the provider's last answer, to the call or to the phone's re-INVITE, is RTP whatever was offered."""


CHANGES: Final = {
    "the provider's re-INVITE brings a new key": Change((True,)),
    "the provider's re-INVITE takes SRTP away": Change((False,)),
    "the provider's re-INVITE takes SRTP away, another brings it back": Change((False, True)),
    "the provider's re-INVITE would take SRTP away, and the phone refuses it": Change((False,), is_refused=True),
    "the provider's UPDATE brings a new key": Change((True,), "UPDATE"),
    "the provider's UPDATE takes SRTP away": Change((False,), "UPDATE"),
    "the provider answers the phone's re-INVITE with RTP": Change(is_by_phone=True, answers_rtp=True),
    "two forks, SRTP and SRTP": Change(rings=True),
    "a fork rings with RTP, another answers with SRTP": Change(rings=False),
    "a fork rings with SRTP, another answers with RTP": Change(rings=True, answers_rtp=True),
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
    """The changes were answered with these."""
    refused: tuple[Exchange, Exchange] | None = None
    """Both sides of the exchange that ended the call: the phone was given an error, the provider had said 200."""
    heard_before: int = 0
    """Packets that had come to the phone when it asked for its change."""
    claim: Row = attrs.field(factory=dict)

    def seen(self, mark: str) -> str:
        """The verdict of the bytes: each phase's media as the provider heard them, those of a fork that rang as they
        reached the phone, and the wires that they were agreed on over. "" for a call that neither stood nor ended."""
        if self.refused is not None:
            return "REFUSED" if self.is_ended and not self.heard_after else ""
        is_tls = all(provider.wire.is_tls for _, provider in self.phases)
        is_srtp = all(provider.heard(mark) == Heard.SRTP for _, provider in self.phases)
        is_srtp = is_srtp and not self.heard_early
        if is_srtp:
            return "ENCRYPTED_TO_PROVIDER" if is_tls else "MEDIA_ONLY_WEAK"
        return "SIGNALLING_ONLY" if is_tls else "CLEAR"

    @property
    def heard_early(self) -> bool:
        """Whether the phone heard the fork that rang."""
        mark = fork_mark(self.case.domain).encode()
        phones = [phone for phone, _ in (*self.phases, *([self.refused] if self.refused else []))]
        return any(mark in packet for phone in phones if phone.sound is not None for packet in phone.sound.received)

    @property
    def is_ended(self) -> bool:
        """Whether the gateway told everybody who was in the call that it is over."""
        return all(one.ended.is_set() for one in self.in_call)

    @property
    def in_call(self) -> list[Exchange]:
        """Whoever must be told of the end of a call that was refused: the provider, and a phone that was answered."""
        assert self.refused is not None
        return [self.refused[1], *(phone for phone, _ in self.phases[:1])]

    @property
    def heard_after(self) -> int:
        """Packets that came of the exchange that ended the call: at its ports, and at the phone's port of before."""
        assert self.refused is not None
        at_phone = sum(_count(phone) for phone, _ in self.phases)
        return sum(_count(one) for one in self.refused) + at_phone - self.heard_before


async def play_changes(scene: Scene, wanted: Sequence[Case]) -> list[Changed]:
    """Every case, and then what the gateway says of it."""
    scene.kinds.update({case.domain: HONEST for case in wanted})
    scene.ringing.update({case.domain: case.change.rings for case in wanted if case.change.rings is not None})
    scene.phone.refusing.update(case.domain for case in wanted if case.change.is_refused)
    scene.answering_rtp.update(
        case.domain for case in wanted if case.change.answers_rtp and not case.change.is_by_phone
    )
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
    if case.change.is_by_phone:
        await _change_by_phone(scene, changed, caller)
    if changed.refused is not None:
        await _end(scene, changed)
        return changed
    if case.change.is_transfer:
        refer = "Refer-To: <sip:carol@" + case.domain + ">"
        answer = await scene.provider.ask_within(changed.phases[-1][1], "REFER", 2, refer)
        changed.statuses.append(0 if answer is None else answer.status)
        await scene.phone.hang_up(caller)
        changed.phases.clear()
        caller = await _call(scene, changed)
    for number, is_srtp in enumerate(case.change.offers, 2):
        await _change(scene, changed, caller, is_srtp, number)
    await scene.phone.hang_up(caller, 3 if case.change.is_by_phone else 2)
    return changed


async def _call(scene: Scene, changed: Changed) -> Exchange:
    case = changed.case
    uri = f"sip:bob@{case.domain}"
    offer = partial(messages.offer, scene.hosts.phone, srtp=False)
    wire = scene.phone_wire("udp", case.index)
    caller = await scene.phone.call(wire, uri, (f"<sip:alice@{case.domain}>", f"<{uri}>"), offer, case.domain)
    callee = [one for one in scene.provider.exchanges.values() if one.domain == case.domain][-1]
    if caller.status != 200:
        assert callee.status == 200, f"{case}: {caller.status}, and the provider said {callee.status}"
        changed.refused = caller, callee
        return caller
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
        before = _count(provider)
        await scene.phone.talk_again(changed.phases[-1][0])
        await _hear(provider, provider, before + 5)


async def _change_by_phone(scene: Scene, changed: Changed, caller: Exchange) -> None:
    before = changed.phases[-1][1]
    if changed.case.change.answers_rtp:
        scene.answering_rtp.add(changed.case.domain)
    await asyncio.sleep(2 * PACKETS * PERIOD)  # all of this phase's media have come
    changed.heard_before = _count(caller)
    change = await scene.phone.change(caller, caller.wire, partial(messages.offer, scene.hosts.phone, srtp=False), 2)
    provider = scene.provider.exchanges[before.call_id]
    assert provider is not before, f"{changed.case}: the change did not reach the provider"
    changed.statuses.append(change.status)
    if change.status == 200:
        changed.phases.append((change, provider))
        await _hear(change, provider)
    else:
        changed.refused = change, provider


async def _end(scene: Scene, changed: Changed) -> None:
    """Wait for the end of a call that was refused. Both sides talk on: the provider in clear, as it does after its 200
    whatever comes, and a phone that was in the call."""
    for phone, _ in changed.phases[:1]:
        await scene.phone.talk_again(phone)
    waiting = [asyncio.ensure_future(one.ended.wait()) for one in changed.in_call]
    _, late = await asyncio.wait(waiting, timeout=END_WITHIN)
    for one in late:
        one.cancel()
    await asyncio.sleep(2 * PACKETS * PERIOD)


async def _way(scene: Scene, over: str, provider: Exchange) -> Wire:
    if over == "its own":
        return provider.wire
    if over == "udp":
        return scene.wire_from_provider()
    certificate = None if over == "none" else over
    return (await scene.connect(scene.provider, scene.site.ports.provider_tls, certificate)).wire


async def _hear(one: Exchange, other: Exchange, least: int = 5) -> None:
    for _ in range(int(HEAR_WITHIN / 0.05)):
        if all(_count(side) >= least for side in (one, other)):
            return
        await asyncio.sleep(0.05)


def _count(exchange: Exchange) -> int:
    return 0 if exchange.sound is None else len(exchange.sound.received)


def shown(changed: Changed) -> str:
    """What stands in a cell."""
    verdict, reason = str(changed.claim["verdict"]), str(changed.claim["reason"])
    first = verdict + "".join(f", the change {status}" for status in changed.statuses[-1:])
    if changed.refused is not None:
        first = f"{verdict} {changed.refused[0].status}"
    return f"{first}<br>{reason}" if reason else first


def _ask(scene: Scene, played: Sequence[Changed]) -> None:
    calls: dict[str, Row] = {}
    for call in scene.gateway.calls():
        calls.setdefault(str(call["domain"]), call)
    for one in played:
        one.claim = scene.gateway.call(str(calls[one.case.domain]["id"]))
