"""Calls of all kinds through one gateway, for whoever counts: encrypted, clear, refused, failed, emergency, challenged.

A few cells of the matrix, and beside them all that the matrix leaves out: wrong passwords, strangers, nonsense, packets
that were forged or sent again, a party that says nothing, RTCP.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

from tests.support import messages
from tests.support.calls.wire import Audio, SipMessage
from tests.support.matrix.cells import Cell, cells
from tests.support.matrix.configuration import Served
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.run import Outcome, play_in, play_out, served
from tests.support.matrix.scene import Scene
from tests.support.matrix.wires import Wire

ROWS: Final = {
    "TLS and SRTP",
    "TLS 1.2 only",
    "answers SRTP with RTP",
    "TLS port refuses",
    "certificate expired",
    "over the gateway's connection, SRTP",
    "UDP, RTP, was known to do TLS and SRTP",
}
FAILING: Final = "failing.test"
"""Its provider knows nobody."""
GONE: Final = "gone.test"
"""Nobody is at its provider's ports."""
MUTE: Final = "mute.test"
"""Its provider answers, and says nothing."""
LONG: Final = "long.test"
"""Its calls are long enough to be judged."""
CHALLENGED: Final = "challenged.test"
PASSWORD: Final = "one-of-eight-words"
STAMP: Final = 0x12345678
"""The middle of the time in a sender report, by which its receiver names it."""


def chosen() -> Iterator[Cell]:
    """The cells that are played: each policy, both kinds of phones, an emergency number."""
    return (cell for cell in cells() if cell.row in ROWS)


async def play(scene: Scene, begun: Callable[[], None], until: Callable[[], Awaitable[None]]) -> None:
    """Everything; ``begun`` is called when the gateway is up, and all stays up until ``until`` is over."""
    wanted = [*chosen()]
    scene.kinds |= {cell.domain: cell.kind_name for cell in wanted}
    scene.kinds |= {MUTE: "TLS and SRTP", LONG: "TLS port refuses"}
    scene.provider.mute.add(MUTE)
    more = [
        Served(name, policy, scene.tls_ports[_kind(scene, name)], scene.udp_port)
        for name, policy in ((FAILING, "off"), (MUTE, "preferred"), (LONG, "off"))
    ]
    nobody = scene.hosts.port(scene.hosts.provider)
    more.append(Served(GONE, "required", nobody, nobody))
    try:
        await scene.begin([*(served(cell, scene) for cell in wanted), *more])
        begun()
        room = asyncio.Semaphore(12)
        await asyncio.gather(*(_one(scene, cell, room) for cell in wanted))
        for kind in (_fail, _be_silent, _talk_long, _ask_for_passwords, _be_strange, _notify_in_clear):
            await kind(scene)
        await until()
    finally:
        scene.close()


def _kind(scene: Scene, domain: str) -> str:
    return scene.kinds.get(domain, "TLS port refuses")


async def _one(scene: Scene, cell: Cell, room: asyncio.Semaphore) -> None:
    async with room:
        await (play_out if cell.direction == "out" else play_in)(scene, Outcome(cell))


async def _call(scene: Scene, domain: str) -> Exchange:
    """A phone's call, for a while."""
    uri = f"sip:bob@{domain}"
    peers = f"<sip:alice@{domain}>", f"<{uri}>"
    offer = partial(messages.offer, scene.hosts.phone, srtp=False)
    return await scene.phone.call(scene.phone_wire("udp", 0), uri, peers, offer, domain)


async def _fail(scene: Scene) -> None:
    status = (await _call(scene, FAILING)).status
    assert status == 404, status
    status = (await _call(scene, GONE)).status
    assert status >= 400, status


async def _be_silent(scene: Scene) -> None:
    """The provider answers, and says nothing while the phone talks."""
    call = await _call(scene, MUTE)
    assert call.status == 200
    for _ in range(4):
        await scene.phone.talk_again(call)
    await scene.phone.hang_up(call)


async def _talk_long(scene: Scene) -> None:
    """Audio and RTCP both ways, then packets that were forged, were there before, or come from elsewhere."""
    call = await _call(scene, LONG)
    assert call.status == 200
    other = next(one for one in scene.provider.exchanges.values() if one.domain == LONG)
    for _ in range(4):
        await asyncio.gather(scene.phone.talk_again(call), scene.provider.talk_again(other))
    for one, receiver in ((call, other), (other, call)):
        _tell(one, struct.pack("!BBHIIIIII", 0x80, 200, 6, 7, STAMP >> 16, STAMP << 16 & 0xFFFFFFFF, 0, 60, 9600))
        await asyncio.sleep(0.05)
        _tell(receiver, struct.pack("!BBHIIIIIII", 0x81, 201, 7, 8, 7, 0, 60, 0, STAMP, 3276))
        await asyncio.sleep(0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((scene.hosts.host(66), 0))
        stranger.sendto(bytes([0x80]) + bytes(171), _place(call))
    await scene.phone.hang_up(call)
    await _forge(scene)


async def _forge(scene: Scene) -> None:
    """SRTP that no key made, and SRTP that came before."""
    scene.provider.mute.discard(MUTE)
    call = await _call(scene, MUTE)
    other = [one for one in scene.provider.exchanges.values() if one.domain == MUTE][-1]
    await scene.provider.talk_again(other)
    assert other.sound is not None
    for packet in (other.sound.sent, bytes([0x80]) + bytes(171)):
        other.sound.send(packet, _place(other))
    await asyncio.sleep(0.2)
    await scene.phone.hang_up(call)


def _tell(exchange: Exchange, report: bytes) -> None:
    assert exchange.sound is not None
    address, port = _place(exchange)
    exchange.sound.send(report, (address, port + 1))


def _place(exchange: Exchange) -> tuple[str, int]:
    """The gateway's port for a party's audio."""
    audio = Audio.parse(exchange.theirs)
    assert audio is not None
    return audio.address, audio.port


async def _ask_for_passwords(scene: Scene) -> None:
    """A domain that challenges its provider is added; a call of it comes without a password, and with a wrong one."""
    credentials = scene.directory / "credentials.toml"
    credentials.write_text(f'bob = "{PASSWORD}"\n')
    credentials.chmod(0o600)
    served = Served(CHALLENGED, "off", scene.tls_ports["TLS and SRTP"], scene.udp_port)
    _, begin, more = scene.site.text([served]).partition("\n[[provider]]")
    more += f'challenge = ["INVITE"]\nchallenge_algorithms = ["SHA-256"]\ncredentials = "{credentials}"\n'
    await asyncio.to_thread(scene.gateway.reload_with, begin + more)
    wire = scene.wire_from_provider()
    refused = await _invite(scene, wire)
    assert refused is not None
    assert refused.status == 401
    nonce = refused.header("www-authenticate").partition('nonce="')[2].partition('"')[0]
    known = f'username="bob", realm="{CHALLENGED}", nonce="{nonce}", uri="sip:alice@{CHALLENGED}"'
    wrong = f'Digest {known}, response="{"0" * 64}", algorithm=SHA-256'
    again = await _invite(scene, wire, f"Authorization: {wrong}")
    assert again is not None
    assert again.status == 401


async def _invite(scene: Scene, wire: Wire, *more: str) -> SipMessage | None:
    uri = f"sip:alice@{CHALLENGED}"
    body = messages.offer(scene.hosts.provider, 9, srtp=False)
    via = f"UDP {scene.hosts.provider}:{scene.udp_port}"
    peers = f"<sip:bob@{CHALLENGED}>;tag=1", f"<{uri}>"
    contact = f"<sip:bob@{scene.hosts.provider}:{scene.udp_port}>"
    request = messages.request(f"INVITE {uri}", via, peers, f"{len(more)}@challenged", "1 INVITE", contact, body)
    head, _, rest = request.partition(b"\r\n")
    answer = await scene.provider.ask(wire, b"\r\n".join([head, *(line.encode() for line in more), rest]), 5)
    if answer is not None:
        wire.send(messages.refusal_ack(request, answer))
    return answer


async def _be_strange(scene: Scene) -> None:
    """Nonsense from a phone, a CANCEL of no call, and a stranger's INVITE on the provider's side."""
    wire = scene.phone_wire("udp", 0)
    wire.send(b"INVITE sip:bob@example.com SIP/2.0\r\nnonsense\r\n\r\n")
    peers = "<sip:alice@c1.test>;tag=1", "<sip:bob@c1.test>"
    via, contact = f"UDP {scene.hosts.phone}:{scene.phone.port}", f"<sip:alice@{scene.hosts.phone}>"
    wire.send(messages.request("CANCEL sip:bob@c1.test", via, peers, "no-call", "1 CANCEL", contact))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((scene.hosts.host(66), 0))
        place = scene.hosts.gateway, scene.site.ports.provider_udp
        via = "UDP {}:{}".format(*stranger.getsockname())
        stranger.sendto(messages.request("INVITE sip:bob@c1.test", via, peers, "scan", "1 INVITE", contact), place)
    await asyncio.sleep(0.2)


async def _notify_in_clear(scene: Scene) -> None:
    """A message of the provider's outside calls, over UDP, for a phone of a domain that prefers TLS."""
    cell = next(cell for cell in chosen() if cell.direction == "in" and cell.policy == "preferred")
    register = next(
        message
        for message, _ in scene.provider.requests
        if message.method == "REGISTER" and message.header("to").rstrip(">").endswith(f"@{cell.domain}")
    )
    uri, via = messages.uri_in(register.header("contact")), f"UDP {scene.hosts.provider}:{scene.udp_port}"
    peers = f"<sip:bob@{cell.domain}>;tag=1", f"<{uri}>"
    contact = f"<sip:bob@{scene.hosts.provider}:{scene.udp_port}>"
    asked = messages.request(f"MESSAGE {uri}", via, peers, "message", "1 MESSAGE", contact)
    assert await scene.provider.ask(scene.wire_from_provider(), asked, 5) is not None
