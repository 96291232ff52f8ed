"""A scripted user agent: it calls, is called, talks for a moment, and remembers all of it.

Phones and providers are both of this kind; they differ in the wires they use and in how they answer.

    call -> Exchange (offer sent) -> final answer -> ACK, talk -> hang_up
    INVITE came -> answer(offer) -> Exchange -> 200 -> ACK came -> talk -> BYE came
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine

import attrs

from tests.support import messages
from tests.support.calls.wire import Audio, SipMessage
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.sound import Sound
from tests.support.matrix.wires import Wire

ANSWER_WITHIN = 25.0  # seconds; longer than a TLS handshake that nobody answers
HANG_UP_WITHIN = 5.0  # seconds
AGAIN_AFTER = (0.5, 1.0, 2.0, 4.0)  # seconds: what went over UDP and was not answered (timers A, E, G)
LOOKS_EVERY = 0.05  # seconds


@attrs.frozen
class Answer:
    """What a party says to an INVITE."""

    status: int
    body: bytes
    domain: str
    """Of the cell that the call belongs to."""
    early: bytes = b""
    """The SDP of a fork that rings before."""


Answering = Callable[[str, Audio | None, int], Answer]
"""(Request-URI, what is offered, our media port) -> what to say."""


def fork_mark(domain: str) -> str:
    """What the media of a fork that rings say."""
    return f"a fork of {domain} "


class Agent:
    """One party's side of all its calls."""

    def __init__(self, name: str, address: str, port: int, answering: Answering) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.exchanges: dict[str, Exchange] = {}
        """By Call-ID."""
        self.requests: list[tuple[SipMessage, Wire]] = []
        """Every request outside a dialog that came, once."""
        self.refusing: set[str] = set()
        """Domains of calls in which it takes no change."""
        self.mute: set[str] = set()
        """Domains of calls in which it says nothing."""
        self._answering = answering
        self._waiting: dict[tuple[str, str], asyncio.Future[SipMessage]] = {}
        self._said: dict[tuple[str, str], bytes] = {}
        self._acks: dict[str, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def mark(self, domain: str) -> str:
        """What its media says in the call of that cell."""
        return f"{self.name} of {domain} "

    async def call(
        self,
        wire: Wire,
        uri: str,
        peers: tuple[str, str],
        offer: Callable[[int], bytes],
        domain: str,
        authorize: Callable[[SipMessage, str], str] | None = None,
    ) -> Exchange:
        """Call and wait for the final answer; ``offer`` makes the SDP for a media port. Status 0: none came.
        ``authorize`` makes the header line that answers a challenge; without it a challenge is the final answer."""
        exchange = Exchange(wire, f"{secrets.token_hex(8)}@{self.name}", is_caller=True, domain=domain)
        self.exchanges[exchange.call_id] = exchange
        exchange.sound = await self._open_sound(domain)
        exchange.own = offer(exchange.sound.port)
        from_ = f"{peers[0]};tag={exchange.tag}"
        invite = self._request(wire, f"INVITE {uri}", (from_, peers[1]), exchange.call_id, "1 INVITE", exchange.own)
        final, number = await self.ask(wire, invite, ANSWER_WITHIN), 1
        if final is not None and final.status in (401, 407) and authorize is not None:
            wire.send(messages.refusal_ack(invite, final))
            plain = self._request(wire, f"INVITE {uri}", (from_, peers[1]), exchange.call_id, "2 INVITE", exchange.own)
            head, _, rest = plain.partition(b"\r\n")
            invite = b"\r\n".join([head, authorize(final, uri).encode(), rest])
            final, number = await self.ask(wire, invite, ANSWER_WITHIN), 2
        if final is None:
            return exchange
        exchange.status, exchange.theirs = final.status, final.body
        if final.status != 200:
            self._acks[exchange.call_id] = messages.refusal_ack(invite, final)
            wire.send(self._acks[exchange.call_id])
            return exchange
        exchange.dialog = from_, final.header("to"), messages.uri_in(final.header("contact"))
        self._acks[exchange.call_id] = self._in_dialog(exchange, "ACK", f"{number} ACK")
        wire.send(self._acks[exchange.call_id])
        await self._talk(exchange)
        return exchange

    async def change(
        self, exchange: Exchange, wire: Wire, offer: Callable[[int], bytes], number: int, method: str = "INVITE"
    ) -> Exchange:
        """A re-INVITE or UPDATE of the call, over its wire or another, and the media that come of it."""
        from_, to, target = exchange.dialog
        changed = Exchange(wire, exchange.call_id, is_caller=True, domain=exchange.domain)
        changed.dialog = from_, to, target or exchange.target
        self.exchanges[f"{exchange.call_id}, {number} of our own"] = changed
        changed.sound = await self._open_sound(exchange.domain)
        changed.own = offer(changed.sound.port)
        line, peers = f"{method} {changed.dialog[2]}", (from_, to)
        invite = self._request(wire, line, peers, exchange.call_id, f"{number} {method}", changed.own)
        final = await self.ask(wire, invite, ANSWER_WITHIN)
        if final is not None:
            changed.status, changed.theirs = final.status, final.body
        if final is not None and method == "INVITE":
            is_ok = final.status == 200
            ack = self._in_dialog(changed, "ACK", f"{number} ACK") if is_ok else messages.refusal_ack(invite, final)
            self._acks[exchange.call_id] = ack
            wire.send(ack)
        if changed.status == 200:
            await self._talk(changed)
        return changed

    async def talk_again(self, exchange: Exchange) -> None:
        """More of the same media."""
        await self._talk(exchange)

    async def ask_within(self, exchange: Exchange, method: str, number: int, *more: str) -> SipMessage | None:
        """A request inside the call, with more header lines."""
        dialog = exchange.dialog[0], exchange.dialog[1], exchange.dialog[2] or exchange.target
        request = self._request(
            exchange.wire, f"{method} {dialog[2]}", dialog[:2], exchange.call_id, f"{number} {method}"
        )
        head, _, rest = request.partition(b"\r\n")
        return await self.ask(exchange.wire, b"\r\n".join([head, *(line.encode() for line in more), rest]), 5)

    async def hang_up(self, exchange: Exchange, number: int = 2) -> None:
        """Say BYE, and wait for its answer."""
        await self.ask(exchange.wire, self._in_dialog(exchange, "BYE", f"{number} BYE"), HANG_UP_WITHIN)

    async def ask(self, wire: Wire, request: bytes, seconds: float) -> SipMessage | None:
        """Send a request and wait for its final answer; None when none comes, or the connection ends."""
        sent = SipMessage.parse("", 0, request)
        future: asyncio.Future[SipMessage] = asyncio.get_running_loop().create_future()
        self._waiting[sent.call_id, sent.cseq] = future
        wire.send(request)
        self._begin(self._repeat(wire, request, future.done))
        for _ in range(int(seconds / LOOKS_EVERY)):
            done, _ = await asyncio.wait([future], timeout=LOOKS_EVERY)
            if done:
                return future.result()
            if wire.is_closed:
                return None
        future.cancel()
        return None

    def receive(self, message: SipMessage, wire: Wire) -> None:
        """A message came."""
        if message.status >= 200:
            future = self._waiting.pop((message.call_id, message.cseq), None)
            if future is not None and not future.done():
                future.set_result(message)
            elif message.call_id in self._acks and message.cseq.endswith("INVITE"):
                wire.send(self._acks[message.call_id])
        elif message.method == "ACK":
            self._acknowledged(message, wire)
        elif message.method:
            self._requested(message, wire)

    def close(self) -> None:
        """Let go of every port."""
        for task in self._tasks:
            task.cancel()
        for exchange in self.exchanges.values():
            if exchange.sound is not None:
                exchange.sound.close()

    def contact(self, wire: Wire, user: str = "") -> str:
        """How it is reached over that wire."""
        return f"<sip:{user or self.name}@{self.address}:{self.port};transport={wire.transport.lower()}>"

    def register(self, wire: Wire, aor: str, user: str, number: int, call_id: str) -> bytes:
        """A REGISTER."""
        line = f"REGISTER sip:{aor.partition('@')[2]}"
        peers = f"<{aor}>;tag={secrets.token_hex(4)}", f"<{aor}>"
        contact = f"{self.contact(wire, user)};expires=600"
        return messages.request(line, self._via(wire), peers, call_id, f"{number} REGISTER", contact)

    def _requested(self, message: SipMessage, wire: Wire) -> None:
        key = message.call_id, message.cseq
        if key in self._said:
            wire.send(self._said[key])  # it was sent again
            return
        exchange = self.exchanges.get(message.call_id)
        if exchange is None:
            self.requests.append((message, wire))
        if message.method == "INVITE":
            self._said[key] = messages.response(message, 100, self.contact(wire), "")
        if message.method == "INVITE" or (message.method == "UPDATE" and message.body):
            self._begin(self._called(message, wire))
            return
        if exchange is not None and message.method == "BYE":
            exchange.ended.set()
        more = [f"Contact: {message.header('contact')}"] if message.method == "REGISTER" else []
        self._say(message, wire, 200, "", b"", *more)

    async def _called(self, invite: SipMessage, wire: Wire) -> None:
        uri = invite.first_line.split(" ")[1]
        exchange = Exchange(wire, invite.call_id, is_caller=False, theirs=invite.body)
        earlier = self.exchanges.get(invite.call_id)
        is_within = ";tag=" in invite.header("to")
        if is_within and earlier is not None:
            uri = earlier.uri
            self.exchanges[f"{invite.call_id} before {invite.cseq}"] = earlier
        elif earlier is not None and earlier.wire is not wire:
            # The call comes over another way, or did: who holds up the first INVITE lets it come last.
            self.exchanges[f"{invite.call_id} over {earlier.wire.transport}"] = earlier
        self.exchanges[invite.call_id] = exchange
        exchange.uri, exchange.target = uri, messages.uri_in(invite.header("contact"))
        domain = earlier.domain if is_within and earlier is not None else self._answering(uri, None, 0).domain
        exchange.domain, exchange.sound = domain, await self._open_sound(domain)
        if is_within and domain in self.refusing:
            answer = Answer(488, b"", domain)
        else:
            answer = self._answering(uri, invite.audio, exchange.sound.port)
        if answer.early and not is_within:
            await self._ring(exchange, invite, answer.early)
        exchange.status, exchange.own = answer.status, answer.body
        self._say(invite, wire, exchange.status, exchange.tag, exchange.own)
        if exchange.status == 200 and invite.method == "UPDATE":
            await self._talk(exchange)  # nothing acknowledges it
        elif exchange.status == 200:
            said = self._said[invite.call_id, invite.cseq]
            await self._repeat(wire, said, lambda: bool(exchange.dialog[0]) or exchange.ended.is_set())

    async def _ring(self, exchange: Exchange, invite: SipMessage, sdp: bytes) -> None:
        """A fork that rings, and talks to whoever would listen where it wants no SRTP."""
        wire, audio = exchange.wire, Audio.parse(exchange.theirs)
        wire.send(messages.response(invite, 183, self.contact(wire), secrets.token_hex(4), sdp))
        await asyncio.sleep(0.1)
        if exchange.sound is not None and audio is not None and b"a=crypto" not in sdp:
            await exchange.sound.talk(audio, None, fork_mark(exchange.domain))

    async def _repeat(self, wire: Wire, said: bytes, is_heard: Callable[[], bool]) -> None:
        """Say it again over UDP until it is heard: a full buffer loses datagrams on loopback, too."""
        for seconds in AGAIN_AFTER if wire.transport == "UDP" else ():
            await asyncio.sleep(seconds)
            if is_heard():
                return
            wire.send(said)

    def _acknowledged(self, ack: SipMessage, wire: Wire) -> None:
        known = (one for one in self.exchanges.values() if one.call_id == ack.call_id and one.wire is wire)
        exchange = next(known, None)
        if exchange is not None and exchange.status == 200 and not exchange.dialog[0]:
            exchange.dialog = ack.header("to"), ack.header("from"), ""
            self._begin(self._talk(exchange))

    async def _talk(self, exchange: Exchange) -> None:
        audio = Audio.parse(exchange.theirs)
        if exchange.sound is not None and audio is not None and exchange.domain not in self.mute:
            await exchange.sound.talk(audio, exchange.keys[0] if exchange.keys else None)

    async def _open_sound(self, domain: str) -> Sound:
        loop = asyncio.get_running_loop()
        mark = self.mark(domain)
        _, sound = await loop.create_datagram_endpoint(lambda: Sound(mark), local_addr=(self.address, 0))
        return sound

    def _say(self, to: SipMessage, wire: Wire, status: int, tag: str, body: bytes = b"", *more: str) -> None:
        contact = self.contact(wire)
        said = messages.response(to, status, contact, tag or secrets.token_hex(4), body, *more)
        if more:
            said = said.replace(f"Contact: {contact}\r\n".encode(), b"", 1)
        self._said[to.call_id, to.cseq] = said
        wire.send(said)

    def _in_dialog(self, exchange: Exchange, method: str, cseq: str) -> bytes:
        from_, to, target = exchange.dialog
        return self._request(exchange.wire, f"{method} {target}", (from_, to), exchange.call_id, cseq)

    def _request(
        self, wire: Wire, line: str, peers: tuple[str, str], call_id: str, cseq: str, body: bytes = b""
    ) -> bytes:
        return messages.request(line, self._via(wire), peers, call_id, cseq, self.contact(wire), body)

    def _via(self, wire: Wire) -> str:
        return f"{wire.transport} {self.address}:{self.port}"

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
