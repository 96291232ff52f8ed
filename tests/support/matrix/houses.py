"""Calls that a house makes without a phone's registration in between, or without its provider: PBXs, and local calls.

    local:  alice, registered -> gateway -> bob, registered         (`local_calls`; alice is asked for her password)
    PBX:    known by its address or certificate -> gateway -> provider, and back

Each case has a domain of its own, and each PBX an address and a certificate. Here: the cases and their course. Not
here: the parties (agent.py), the document (table.py).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from hashlib import md5, sha256
from pathlib import Path
from typing import Final

import attrs

from tests.support import messages
from tests.support.calls.hosts import Hosts
from tests.support.calls.wire import Audio, SipMessage
from tests.support.matrix.agent import Agent, Answer
from tests.support.matrix.cells import POLICIES, Media
from tests.support.matrix.configuration import Served
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.gateway import Row
from tests.support.matrix.scene import Scene
from tests.support.matrix.sound import Heard
from tests.support.matrix.wires import TlsStream, UdpSocket, Wire
from tests.support.tls_authority import Authority

LOCAL: Final = "Calls between phones, local_calls = true"
PBX: Final = "A PBX that does not register ([[phone]])"
NUMBER: Final = "+49301234510"
PASSWORDS: Final = {"alice": "Wonderland-7531", "bob": "Builder-8642"}
KINDS_BY_MEDIA: Final = {
    Media.SRTP: "TLS and SRTP",
    Media.REFUSED: "488 to SRTP",
    Media.RTP: "answers SRTP with RTP",
}
FIRST_HOST: Final = 160
"""Of the PBXs."""
DESK_HOST: Final = 156
"""Of phones that are called."""
AT_ONCE: Final = 12
HEAR_WITHIN: Final = 4.0
"""Seconds in which media have to come: a quarter of one, but on a busy machine."""

TABLE: Final = """
[[phone]]
name = "{name}"
domain = "{domain}"
addresses = ["sip:{host}:{port};transport={transport}"]
numbers = ["{number}"]
ping_seconds = 0
{proof}
"""


@attrs.frozen
class Course:
    """The ways of a call's two parties in the house, or of the one; the offer, and the called one's answer to SRTP."""

    caller: str = ""
    """"udp" or "tls"; empty: the provider calls."""
    callee: str = ""
    offers_srtp: bool = True
    media: Media = Media.SRTP


LOCAL_COURSES: Final = {
    "both with TLS and SRTP": Course("tls", "tls"),
    "TLS and SRTP calls UDP and RTP": Course("tls", "udp"),
    "UDP and RTP calls TLS and SRTP": Course("udp", "tls", offers_srtp=False),
    "both with UDP and RTP": Course("udp", "udp", offers_srtp=False),
    "both with TLS, the called one answers SRTP with 488": Course("tls", "tls", media=Media.REFUSED),
    "both with TLS, the called one answers SRTP with RTP": Course("tls", "tls", media=Media.RTP),
}
PBX_COURSES: Final = {
    "over UDP, RTP, calls": Course("udp", offers_srtp=False),
    "over UDP, RTP, calls, the provider answers SRTP with 488": Course("udp", offers_srtp=False, media=Media.REFUSED),
    "over UDP, RTP, calls, the provider answers SRTP with RTP": Course("udp", offers_srtp=False, media=Media.RTP),
    "over TLS, SRTP, calls": Course("tls"),
    "over TLS, RTP, calls": Course("tls", offers_srtp=False),
    "over TLS, SRTP, calls, the provider answers SRTP with 488": Course("tls", media=Media.REFUSED),
    "over TLS, SRTP, calls, the provider answers SRTP with RTP": Course("tls", media=Media.RTP),
    "over UDP, is called with SRTP": Course("", "udp"),
    "over UDP, is called with RTP": Course("", "udp", offers_srtp=False),
    "over TLS, is called with SRTP": Course("", "tls"),
    "over TLS, is called with RTP": Course("", "tls", offers_srtp=False),
    "over TLS, is called with SRTP, and answers SRTP with 488": Course("", "tls", media=Media.REFUSED),
    "over TLS, is called with SRTP, and answers SRTP with RTP": Course("", "tls", media=Media.RTP),
}


@attrs.frozen
class Case:
    """One call; its domain is its own."""

    index: int
    title: str
    row: str
    policy: str

    @property
    def domain(self) -> str:
        return f"h{self.index}.test"

    @property
    def course(self) -> Course:
        return LOCAL_COURSES[self.row] if self.is_local else PBX_COURSES[self.row]

    @property
    def is_local(self) -> bool:
        return self.title == LOCAL

    @property
    def pbx_way(self) -> str:
        """Of the PBX: "udp" or "tls"."""
        return self.course.caller or self.course.callee

    def __str__(self) -> str:
        return f"{self.title}: {self.row}, {self.policy}"


def cases() -> Iterator[Case]:
    """All of them, table by table."""
    index = 0
    for title, rows in ((LOCAL, LOCAL_COURSES), (PBX, PBX_COURSES)):
        for row in rows:
            for policy in POLICIES:
                index += 1
                yield Case(index, title, row, policy)


@attrs.define
class Housed:
    """One case, played."""

    case: Case
    caller: Exchange | None = None
    callees: list[Exchange] = attrs.Factory(list)
    claim: Row = attrs.Factory(dict)
    heard: tuple[str, str] = ("", "")
    """That came to the caller and to the called one."""

    @property
    def status(self) -> int:
        """That the caller was told; 0: nothing."""
        return 0 if self.caller is None else self.caller.status

    @property
    def callee(self) -> Exchange:
        """The INVITE whose answer was acknowledged."""
        return next((one for one in reversed(self.callees) if one.dialog[0]), self.callees[-1])

    def seen(self) -> str:
        """The verdict by the bytes of both wires; empty for a call that was not answered."""
        if self.status != 200 or self.caller is None:
            return ""
        legs = (self.caller, self.heard[0]), (self.callee, self.heard[1])
        if self.case.is_local:
            is_srtp = all(heard == Heard.SRTP for _, heard in legs)
            if all(one.wire.is_tls for one, _ in legs):
                return "ENCRYPTED" if is_srtp else "SIGNALLING_ONLY"
            return "MEDIA_ONLY_WEAK" if is_srtp else "CLEAR"
        (house, in_house), (provider, there) = legs if self.case.course.caller else (legs[1], legs[0])
        if not provider.wire.is_tls:
            return "MEDIA_ONLY_WEAK" if there == Heard.SRTP else "CLEAR"
        if there != Heard.SRTP:
            return "SIGNALLING_ONLY"
        return "ENCRYPTED" if house.wire.is_tls and in_house == Heard.SRTP else "ENCRYPTED_TO_PROVIDER"


def shown(housed: Housed) -> str:
    """The text of a cell."""
    verdict, reason = str(housed.claim["verdict"]), str(housed.claim["reason"])
    first = verdict if housed.status == 200 else f"{verdict} {housed.status}"
    return f"{first}<br>{reason}" if reason else first


class HouseScene(Scene):
    """The stage with a desk that is called, and a PBX for each case about one."""

    def __init__(self, hosts: Hosts, directory: Path, played: Sequence[Case]) -> None:
        super().__init__(hosts, directory, "houses")
        self._cases = {case.domain: case for case in played}
        self._authority = Authority(self.directory / "identities", "PBX CA")
        self._pbx_port = hosts.port(hosts.host(FIRST_HOST))
        self._passwords = directory / "passwords.toml"
        self._passwords.touch(0o600)
        self._passwords.write_text("".join(f'{user} = "{password}"\n' for user, password in PASSWORDS.items()))
        self.desk = Agent("desk", hosts.host(DESK_HOST), hosts.port(hosts.host(DESK_HOST)), self._called)
        self.desk_wires: dict[str, Wire] = {}
        self.pbxs: dict[str, tuple[Agent, Wire]] = {}
        """By domain: the PBX, and its way to the gateway; of one that is called over TLS, its own connections."""
        self._sockets: list[asyncio.DatagramTransport] = []

    async def begin(self, domains: Iterable[Served]) -> None:
        """See ``Scene.begin``; then the desk and the PBXs come."""
        await super().begin(domains)
        gateway, ports = self.hosts.gateway, self.site.ports
        udp = await self._socket(self.desk, self.desk.address, self.desk.port)
        tls = await self.connect(self.desk, ports.phones_tls, None, host=self.desk.address)
        self.desk_wires = {"udp": udp.wire_to((gateway, ports.phones_udp)), "tls": tls.wire}
        for case in self._cases.values():
            if not case.is_local:
                await self._open_pbx(case)

    def close(self) -> None:
        """See ``Scene.close``."""
        for agent in (self.desk, *(agent for agent, _ in self.pbxs.values())):
            agent.close()
        for socket in self._sockets:
            socket.close()
        super().close()

    def _text(self, domains: Iterable[Served]) -> str:
        text = (
            super()
            ._text(domains)
            .replace('name = "phones-tls"\n', f'name = "phones-tls"\nclient_trust = "{self._authority.file}"\n')
        )
        for case in self._cases.values():
            name = f'[[domain]]\nname = "{case.domain}"\n'
            if case.is_local:
                text = text.replace(name, f'{name}local_calls = true\ncredentials = "{self._passwords}"\n')
                continue
            is_tls = case.pbx_way == "tls"
            text += TABLE.format(
                name=f"p{case.index}",
                domain=case.domain,
                host=self._host(case),
                port=self._pbx_port,
                transport=case.pbx_way,
                number=NUMBER,
                proof=f'trust = "{self._authority.file}"' if is_tls else 'proof = "address"',
            )
        return text

    def _host(self, case: Case) -> str:
        return self.hosts.host(FIRST_HOST + case.index)

    async def _socket(self, agent: Agent, host: str, port: int) -> UdpSocket:
        loop = asyncio.get_running_loop()
        transport, socket = await loop.create_datagram_endpoint(
            lambda: UdpSocket(agent.receive), local_addr=(host, port)
        )
        self._sockets.append(transport)
        return socket

    async def _open_pbx(self, case: Case) -> None:
        host, gateway, ports = self._host(case), self.hosts.gateway, self.site.ports
        agent = Agent("pbx", host, self._pbx_port, self._called)
        if case.pbx_way == "udp":
            socket = await self._socket(agent, host, self._pbx_port)
            self.pbxs[case.domain] = agent, socket.wire_to((gateway, ports.phones_udp))
            return
        chain, key = self._authority.issue(f"pbx-{case.index}", host)
        loop = asyncio.get_running_loop()
        if case.course.caller:
            context = self.identities.client(None)
            context.load_cert_chain(chain, key)
            _, stream = await loop.create_connection(
                lambda: TlsStream(context, agent.receive, is_server=False),
                gateway,
                ports.phones_tls,
                local_addr=(host, 0),
            )
            self._connections.append(stream)
            self.pbxs[case.domain] = agent, stream.wire
            return
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(chain, key)

        def accept() -> TlsStream:
            self.servers.append(TlsStream(serving, agent.receive, is_server=True))
            return self.servers[-1]

        self._listening.append(await loop.create_server(accept, host, self._pbx_port))
        self.pbxs[case.domain] = agent, Wire("TLS", lambda data: None)

    def _called(self, uri: str, offered: Audio | None, port: int) -> Answer:
        """The answer of the desk, whose Contact names its domain, and of PBXs, which are called by their address."""
        user, _, place = uri.removeprefix("sip:").partition("@")
        case = self._cases.get(f"{user}.test") or next(
            one for one in self._cases.values() if not one.is_local and self._host(one) == place.partition(":")[0]
        )
        address = self.desk.address if case.is_local else self._host(case)
        if offered is None:
            return Answer(200, b"", case.domain)
        if not offered.cryptos or case.course.media is Media.SRTP:
            return Answer(200, messages.answer(address, port, offered), case.domain)
        if case.course.media is Media.REFUSED:
            return Answer(488, b"", case.domain)
        return Answer(200, messages.session(address, port, "RTP/AVP"), case.domain)


async def play_houses(scene: HouseScene, played: Sequence[Case]) -> list[Housed]:
    """Every case, and then the gateway's claim of it."""
    scene.kinds.update({case.domain: KINDS_BY_MEDIA[_provider_media(case)] for case in played})
    try:
        await scene.begin(
            Served(case.domain, case.policy, scene.tls_ports[scene.kinds[case.domain]], scene.udp_port)
            for case in played
        )
        room = asyncio.Semaphore(AT_ONCE)
        housed = list(await asyncio.gather(*(_played(scene, case, room) for case in played)))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(_ask, scene, housed)
        return housed
    finally:
        scene.close()


def _provider_media(case: Case) -> Media:
    return Media.SRTP if case.is_local or not case.course.caller else case.course.media


async def _played(scene: HouseScene, case: Case, room: asyncio.Semaphore) -> Housed:
    async with room:
        housed = Housed(case)
        if case.is_local:
            await _play_local(scene, housed)
        elif case.course.caller:
            await _play_out(scene, housed)
        else:
            await _play_in(scene, housed)
        return housed


async def _play_local(scene: HouseScene, housed: Housed) -> None:
    case = housed.case
    domain, course, contact = case.domain, case.course, case.domain.partition(".")[0]
    parties = ("alice", scene.phone, scene.phone_wire(course.caller, case.index)), (
        "bob", scene.desk, scene.desk_wires[course.callee],
    )  # fmt: skip
    for user, agent, wire in parties:
        register = agent.register(wire, f"sip:{user}@{domain}", contact, 1, f"reg-{user}-{domain}")
        answer = await agent.ask(wire, register, 15)
        assert answer is not None, f"{case}: no answer to REGISTER"
        assert answer.status == 200, f"{case}: {answer.first_line}"
    _, caller, wire = parties[0]
    uri = f"sip:bob@{domain}"
    offer = partial(messages.offer, caller.address, srtp=course.offers_srtp)
    peers = f"<sip:alice@{domain}>", f"<{uri}>"
    housed.caller = await caller.call(wire, uri, peers, offer, domain, partial(authorization, "alice"))
    housed.callees = [one for one in scene.desk.exchanges.values() if one.domain == domain]
    await _finish(housed, caller, scene.desk)


async def _play_out(scene: HouseScene, housed: Housed) -> None:
    domain, (pbx, wire) = housed.case.domain, scene.pbxs[housed.case.domain]
    uri = f"sip:bob@{domain}"
    offer = partial(messages.offer, pbx.address, srtp=housed.case.course.offers_srtp)
    housed.caller = await pbx.call(wire, uri, (f"<sip:{NUMBER}@{domain}>", f"<{uri}>"), offer, domain)
    housed.callees = [one for one in scene.provider.exchanges.values() if one.domain == domain]
    await _finish(housed, pbx, scene.provider)


async def _play_in(scene: HouseScene, housed: Housed) -> None:
    domain, (pbx, _) = housed.case.domain, scene.pbxs[housed.case.domain]
    stream = await scene.connect(scene.provider, scene.site.ports.provider_tls, "good")
    uri = f"sip:{NUMBER}@{domain}"
    offer = partial(messages.offer, scene.hosts.provider, srtp=housed.case.course.offers_srtp)
    housed.caller = await scene.provider.call(stream.wire, uri, (f"<sip:bob@{domain}>", f"<{uri}>"), offer, domain)
    housed.callees = [one for one in pbx.exchanges.values() if one.domain == domain]
    await _finish(housed, scene.provider, pbx)


async def _finish(housed: Housed, caller: Agent, callee: Agent) -> None:
    """Let both hear each other, hang up, and note what they heard."""
    one, domain = housed.caller, housed.case.domain
    if one is None or one.status != 200:
        return
    other = housed.callee
    for _ in range(int(HEAR_WITHIN / 0.05)):
        if all(each.sound is not None and len(each.sound.received) >= 5 for each in (one, other)):
            break
        await asyncio.sleep(0.05)
    await caller.hang_up(one, 3)
    housed.heard = str(one.heard(callee.mark(domain))), str(other.heard(caller.mark(domain)))


def authorization(user: str, refused: SipMessage, uri: str) -> str:
    """The line that answers a challenge to an INVITE (RFC 7616 section 3.4, RFC 8760)."""
    name = "www-authenticate" if refused.status == 401 else "proxy-authenticate"
    asked = dict(re.findall(r'(\w+)="?([^",]+)"?', refused.header(name).partition(" ")[2]))
    hashed = sha256 if asked.get("algorithm") == "SHA-256" else md5

    def digest(*parts: str) -> str:
        return hashed(":".join(parts).encode()).hexdigest()

    own, what = digest(user, asked["realm"], PASSWORDS[user]), digest("INVITE", uri)
    response = digest(own, asked["nonce"], "00000001", "c0ffee", "auth", what)
    told = {"username": user, "realm": asked["realm"], "nonce": asked["nonce"], "uri": uri, "response": response}
    told |= {"cnonce": "c0ffee"} | ({"opaque": asked["opaque"]} if "opaque" in asked else {})
    quoted = ", ".join(f'{key}="{value}"' for key, value in told.items())
    line = "Authorization" if refused.status == 401 else "Proxy-Authorization"
    return f"{line}: Digest {quoted}, algorithm={asked.get('algorithm', 'MD5')}, qop=auth, nc=00000001"


def _ask(scene: HouseScene, housed: Iterable[Housed]) -> None:
    calls = {str(call["domain"]): str(call["id"]) for call in scene.gateway.calls()}
    for one in housed:
        if one.case.domain in calls:
            one.claim = scene.gateway.call(calls[one.case.domain])
