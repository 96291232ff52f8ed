"""A scripted phone of some make with real sockets, beside the providers of the matrix's scene, and a gateway process.

async with asyncio.timeout(20):
    live = await LivePhone.open(scene, "snom SRTP", "TLS", "p1.test")
    await live.registers()
    await live.calls()
    await live.holds("hold")
    await live.hangs_up()
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from typing import Final

import attrs

from tests.support import messages
from tests.support.calls.wire import Audio, SipMessage
from tests.support.matrix.agent import Agent
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.scene import Scene
from tests.support.matrix.sound import Heard, Sound, keys
from tests.support.matrix.wires import TlsStream, UdpSocket, Wire
from tests.support.phone_messages import FORMS, MAKES, Place, ScriptedPhone, keys_of

WITHIN: Final = 6.0  # seconds
CLEAR_RTCP: Final = bytes.fromhex("81c900070000123400000001") + bytes(20)
"""A receiver report as a Cisco SPA sends it beside its SRTP."""


PASSWORD: Final = "Wonderland-7531"
CHALLENGE: Final = 'WWW-Authenticate: Digest realm="{realm}", nonce="{nonce}", opaque="5ccc", algorithm=MD5, qop="auth"'


class Provider(Agent):
    """The matrix's provider, which asks for credentials, and lets itself be put on hold, too."""

    def _requested(self, message: SipMessage, wire: Wire) -> None:
        is_new = ";tag=" not in message.header("to")
        if is_new and message.method in ("REGISTER", "INVITE") and not is_right(message):
            nonce = hashlib.sha256(message.call_id.encode()).hexdigest()
            self._say(message, wire, 401, "", b"", CHALLENGE.format(realm="provider.test", nonce=nonce))
        else:
            super()._requested(message, wire)

    async def _called(self, invite: SipMessage, wire: Wire) -> None:
        exchange = self.exchanges.get(invite.call_id)
        offered = invite.audio
        if exchange is None or exchange.sound is None or offered is None:
            await super()._called(invite, wire)
            return
        exchange.theirs = invite.body
        exchange.own = messages.answer(self.address, exchange.sound.port, offered)
        self._say(invite, wire, 200, exchange.tag, exchange.own)
        await asyncio.sleep(0.1)  # until the answer is where it is going
        await self._talk(exchange)


@attrs.define(eq=False)
class LivePhone:
    """One phone in one domain."""

    scene: Scene
    form: str
    domain: str
    phone: ScriptedPhone
    sound: Sound
    wire: Wire
    stream: TlsStream | None
    inbox: asyncio.Queue[SipMessage]
    got: list[bytes] = attrs.field(factory=list)
    """Every body that came."""
    own: bytes = b""
    """What the phone said of its media last, and below what it was told."""
    theirs: bytes = b""
    own_is_offer: bool = True

    @classmethod
    async def open(cls, scene: Scene, form: str, transport: str, domain: str) -> LivePhone:
        """Take a place on the network."""
        loop, address = asyncio.get_running_loop(), scene.hosts.phone
        inbox: asyncio.Queue[SipMessage] = asyncio.Queue()
        seen: set[tuple[str, str, str]] = set()

        def receive(message: SipMessage, wire: Wire) -> None:
            key = message.first_line, message.call_id, message.cseq
            if key not in seen and message.status != 100:
                seen.add(key)
                inbox.put_nowait(message)

        sound = await _open_sound(scene, domain)
        stream: TlsStream | None = None
        if transport == "TLS":
            context = scene.identities.client(None)
            _, stream = await loop.create_connection(
                lambda: TlsStream(context, receive, is_server=False), scene.hosts.gateway, scene.site.ports.phones_tls
            )
            port, wire = 5061, stream.wire
        else:
            port = scene.hosts.port(address)
            _, udp = await loop.create_datagram_endpoint(lambda: UdpSocket(receive), local_addr=(address, port))
            wire = udp.wire_to((scene.hosts.gateway, scene.site.ports.phones_udp))
        make = attrs.evolve(MAKES[form.split(" ")[0]], callee=f"sip:bob@{domain}")
        phone = ScriptedPhone(make, FORMS[form], Place(address, port, transport), domain)
        phone.port = sound.port
        return cls(scene, form, domain, phone, sound, wire, stream, inbox)

    # -- what it does

    async def registers(self) -> None:
        """REGISTER, and the provider says 200."""
        self.wire.send(self.phone.register())
        challenge = await self.hears(401)
        self.wire.send(self.phone.register(self.phone.answers_challenge(challenge, PASSWORD)))
        await self.hears(200)

    async def calls(self) -> None:
        """A call that is answered; both talk."""
        invite = self.phone.invite()
        self.wire.send(invite)
        challenge = await self.hears(401)
        self.wire.send(messages.refusal_ack(invite, challenge))
        self.wire.send(self.phone.offers("invite", self.phone.answers_challenge(challenge, PASSWORD)))
        await self._settles(own_is_offer=True)

    async def offers_again(self, what: str) -> None:
        """A re-INVITE of a file, with what the phone negotiates now."""
        self.wire.send(self.phone.offers(what))
        await self._settles(own_is_offer=True)

    async def hangs_up(self) -> None:
        """BYE."""
        self.wire.send(self.phone.within("bye"))
        await self.hears(200)
        self.phone.dialog = None

    async def is_called(self) -> Exchange:
        """The provider calls the address that was registered; the phone rings and answers; both talk."""
        provider = self.scene.provider
        contact, wire = self._registered()
        peers = f"<sip:bob@{self.domain}>", f"<sip:alice@{self.domain}>"
        self.sound.close()
        self.sound = await _open_sound(self.scene, self.domain)  # each call has its own port: nothing late is heard
        self.phone.port = self.sound.port

        def offer(port: int) -> bytes:
            return messages.offer(self.scene.hosts.provider, port, srtp=True)

        calling = asyncio.create_task(provider.call(wire, messages.uri_in(contact), peers, offer, self.domain))
        invite = await self.hears("INVITE")
        self.wire.send(self.phone.answers(invite, "ringing"))
        answer = self.phone.answers(invite, "answer")
        self.wire.send(answer)
        await self.hears("ACK")
        await self._talks(answer.partition(b"\r\n\r\n")[2], invite.body, own_is_offer=False)
        return await calling

    async def is_hung_up_on(self, exchange: Exchange) -> None:
        """The provider says BYE."""
        ending = asyncio.create_task(self.scene.provider.hang_up(exchange))
        self.wire.send(self.phone.answers(await self.hears("BYE"), "ok"))
        await ending
        self.phone.dialog = None

    async def hears(self, what: str | int) -> SipMessage:
        """The next message of that method or status; others, such as 18x, are passed over."""
        async with asyncio.timeout(WITHIN):
            while True:
                message = await self.inbox.get()
                self.got.append(message.body)
                if 180 <= message.status < 300:
                    self.phone.hears(message)
                if what in (message.method, message.status):
                    return message
                assert message.status < 300, f"{self.form}: {message.first_line} instead of {what}"

    def close(self) -> None:
        """Leave."""
        self.sound.close()
        if self.stream is not None:
            self.stream.close()

    # -- what came of it

    def heard(self, own: bytes, theirs: bytes, *, own_is_offer: bool) -> Heard:
        """What the provider's media was when it came here."""
        pair = keys(own, theirs, own_is_offer=own_is_offer)
        return self.sound.heard(pair[1] if pair else None, self.scene.provider.mark(self.domain))

    def exchanges(self) -> Iterator[Exchange]:
        """What the provider has of this domain's calls."""
        return (one for one in self.scene.provider.exchanges.values() if one.domain == self.domain)

    def keys_seen(self) -> tuple[set[str], set[str]]:
        """Keys in what the phone wrote and was sent, and in what the provider wrote and was sent."""
        phone = self.phone.keys.union(*map(keys_of, self.got))
        provider: set[str] = set()
        return phone, provider.union(*(keys_of(body) for one in self.exchanges() for body in (one.own, one.theirs)))

    async def _settles(self, *, own_is_offer: bool) -> None:
        offer = self.phone.sent[-1].body
        answer = await self.hears(200)
        self.wire.send(self.phone.acknowledges())
        await self._talks(offer, answer.body, own_is_offer=own_is_offer)

    async def _talks(self, own: bytes, theirs: bytes, *, own_is_offer: bool) -> None:
        audio = Audio.parse(theirs)
        assert audio is not None, "no media"
        pair = keys(own, theirs, own_is_offer=own_is_offer)
        if self.form.startswith("cisco-spa") and pair is not None:
            self.sound.send(CLEAR_RTCP, (audio.address, audio.port + 1))
        await self.sound.talk(audio, pair[0] if pair else None)
        self.own, self.theirs, self.own_is_offer = own, theirs, own_is_offer

    def _registered(self) -> tuple[str, Wire]:
        return [
            (message.header("contact"), wire)
            for message, wire in self.scene.provider.requests
            if message.method == "REGISTER" and f"@{self.domain}" in message.header("to")
        ][-1]


async def _open_sound(scene: Scene, domain: str) -> Sound:
    _, sound = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Sound(f"phone of {domain} "), local_addr=(scene.hosts.phone, 0)
    )
    return sound


def is_right(request: SipMessage) -> bool:
    """Whether a request bears alice's answer to the challenge, as the phone of its domain computed it."""
    fields: dict[str, str] = dict(re.findall(r'(\w+)="?([^",]*)"?', request.header("authorization")))
    if not fields:
        return False
    ours = _md5(f"alice:provider.test:{PASSWORD}")
    asked = _md5(f"{request.method}:{fields['uri']}")
    wanted = _md5(f"{ours}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{asked}")
    return fields["response"] == wanted


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
