"""The signalling of a far end that changes its key and port in mid-call: TLS to the provider's proxy, one account.

It runs in an event loop of its own (`rekeying.py` has the telephone around it). Its session interval is 90 seconds,
the smallest (RFC 4028 section 4). With every refresh that can carry SDP, its own and the other side's, it takes a new
port and a new key.

    registers, is called, answers          calls, is answered
    answers re-INVITE, UPDATE with SDP     sends them: refresh()
    REFER: calls the target, and tells of the outcome (RFC 5589 section 6)
"""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
import time
from collections.abc import Callable
from hashlib import md5

import attrs

from tests.support.calls.audio import RATE, read_wav
from tests.support.calls.rekeying_media import Place, Sound, agreed_key, answering, taken_tag
from tests.support.calls.telephone import Line
from tests.support.calls.wire import SipMessage
from tests.support.matrix.wires import TlsStream
from tests.support.messages import uri_in

INTERVAL = 90  # seconds
ANSWER_WITHIN = 20.0  # seconds
AGAIN_AFTER = 2.5  # seconds: after 491


@attrs.frozen
class Manners:
    """How it refreshes."""

    refresher: str = "uac"
    """Its choice when it answers a call: "uac", the gateway, or "uas", itself."""
    takes_update: bool = True
    """Whether it says that it takes UPDATE: else the gateway refreshes by re-INVITE, and it does itself."""
    refreshes_every: float = INTERVAL / 2
    """Seconds, where it is the refresher."""
    interval: int = INTERVAL
    """Seconds: the session interval that it asks for, and grants at most."""

    @property
    def allow(self) -> str:
        """Its Allow field."""
        return "INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY" + (", UPDATE" if self.takes_update else "")

    @property
    def method(self) -> str:
        """Of its own refreshes."""
        return "UPDATE" if self.takes_update else "INVITE"


@attrs.define(eq=False)
class OneCall:
    """A dialog and its sound."""

    sound: Sound
    call_id: str
    own: str
    """From or To as it writes itself, with its tag."""
    other: str
    target: str = ""
    routes: list[str] = attrs.field(factory=list)
    cseq: int = 0
    version: int = 0
    invite: SipMessage | None = None
    """The initial INVITE that came."""
    state: str = "new"
    we_refresh: bool = False
    timed: float = 0.0
    """When the session was refreshed last."""
    refreshes: list[str] = attrs.field(factory=list)
    """What refreshed it: "sent UPDATE", "came INVITE" and so on."""
    acks: set[str] = attrs.field(factory=set)
    """The CSeq numbers of the ACKs that came."""
    theirs: str = "sendrecv"
    """The direction of the other side's last description."""

    @property
    def from_us(self) -> tuple[str, str]:
        return self.own, self.other


class RekeyingAgent:
    """One account's calls."""

    def __init__(self, line: Line, manners: Manners) -> None:
        self.line = line
        self.manners = manners
        self.calls: list[OneCall] = []
        self.events: list[str] = []
        self._tone = read_wav(line.tone)[:RATE]  # begun again each second: a whole number of periods
        self._stream: TlsStream | None = None
        self._waiting: dict[tuple[str, str], asyncio.Queue[SipMessage]] = {}
        self._said: dict[tuple[str, str], bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- from the telephone

    async def register(self) -> None:
        """Connect, register, and answer the challenge."""
        line = self.line
        context = ssl.create_default_context(cafile=str(line.trust))
        context.check_hostname = False  # by address, through a MemoryBIO that is told no name
        host, port = line.proxy.split(":")
        loop = asyncio.get_running_loop()
        _, self._stream = await loop.create_connection(
            lambda: TlsStream(context, self._receive, is_server=False), host, int(port), local_addr=(line.address, 0)
        )
        uri, tag = f"sip:{line.domain}", secrets.token_hex(6)
        me = f"<{line.address_of_record}>"
        peers = f"{me};tag={tag}", me
        call_id = f"{secrets.token_hex(8)}@{line.user}"
        contact = f"Contact: {self._contact};expires={line.expires}"
        status = 0
        credentials: list[str] = []
        for number in (1, 2):
            told = await self._ask("REGISTER", uri, peers, call_id, number, b"", contact, *credentials)
            status = told.status
            if status != 401:
                break
            credentials = [f"Authorization: {self._digest(told.header('www-authenticate'), 'REGISTER', uri)}"]
        assert status == 200, f"{line.user} was not registered: {status}"

    async def call(self, uri: str) -> OneCall:
        """Call and wait for the answer."""
        line = self.line
        call = OneCall(
            Sound(line.address, self._tone),
            f"{secrets.token_hex(8)}@{line.user}",
            f"<{line.address_of_record}>;tag={secrets.token_hex(6)}",
            f"<{uri}>",
            target=uri,
        )
        self.calls.append(call)
        place = await call.sound.new_place()
        offer = self._describe(call, place, 1)
        credentials: list[str] = []
        while True:
            call.cseq += 1
            more = [*self._session(call, is_request=True), *credentials]
            told = await self._ask("INVITE", uri, call.from_us, call.call_id, call.cseq, offer, *more)
            if told.status != 407 or credentials:
                break
            challenge = told.header("proxy-authenticate")
            self._acknowledge_refusal(call, uri, told)
            credentials = [f"Proxy-Authorization: {self._digest(challenge, 'INVITE', uri)}"]
        if told.status >= 300:
            self._acknowledge_refusal(call, uri, told)
            call.state = f"refused {told.status}"
            return call
        call.other = told.header("to")
        call.target = uri_in(told.header("contact"))
        call.routes = [value for name, value in told.headers if name == "record-route"][::-1]
        self._acknowledge(call, call.cseq)
        self._take_answer(call, place, told, 1)
        self._timed(call, told, is_ours=True)
        self._stands(call)
        return call

    async def answer(self) -> None:
        """Answer the call that came in."""
        call = next(call for call in self.calls if call.state == "ringing")
        invite = call.invite
        assert invite is not None
        body = await self._answer_to(call, invite)
        self._timed(call, invite, is_ours=False)
        self._say(call, invite, 200, body, *self._session(call, is_request=False, theirs=invite))
        for _ in range(100):
            await asyncio.sleep(0.05)
            if invite.cseq.split(" ")[0] in call.acks:
                break
            self.events.append("no ACK yet")
        self._stands(call)

    async def refresh(self, method: str, call: OneCall) -> int:
        """Offer a new port and key; the status it is answered."""
        place = await call.sound.new_place()
        offer = self._describe(call, place, 1)
        more = self._session(call, is_request=True)
        told = await self._within(call, method, offer, *more)
        if told.status < 300 and method == "INVITE":
            self._acknowledge(call, call.cseq)
        if told.status < 300:
            self._take_answer(call, place, told, 1)
            self._timed(call, told, is_ours=True)
            call.refreshes.append(f"sent {method}")
        elif method == "INVITE":
            self._acknowledge_refusal(call, call.target, told)
        return told.status

    async def hang_up(self, call: OneCall) -> None:
        """Say BYE."""
        self._ended(call)
        await self._within(call, "BYE")

    async def close(self) -> None:
        """Let go of everything."""
        for call in self.calls:
            call.sound.close()
        if self._stream is not None:
            self._stream.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # -- what comes

    def _receive(self, message: SipMessage, _wire: object) -> None:
        if message.status:
            if message.status >= 200 and (waiting := self._waiting.get((message.call_id, message.cseq))):
                waiting.put_nowait(message)
            return
        self._begin(self._requested(message))

    async def _requested(self, request: SipMessage) -> None:
        key = request.call_id, request.cseq
        call = next((one for one in self.calls if one.call_id == request.call_id), None)
        if request.method == "ACK":
            if call is not None:
                call.acks.add(request.cseq.split(" ")[0])
            return
        if key in self._said:
            self._send(self._said[key])
        elif call is None and request.method == "INVITE":
            self._called(request)
        elif call is None or call.state == "ended":
            self._say(None, request, 200 if request.method == "OPTIONS" else 481)
        elif request.method in ("INVITE", "UPDATE"):
            await self._reinvited(call, request)
        elif request.method == "BYE":
            self._say(call, request, 200)
            self._ended(call)
        elif request.method == "CANCEL":
            self._cancelled(call, request)
        elif request.method == "REFER":
            self._say(call, request, 202)
            self._begin(self._transferred(call, request))
        else:
            self._say(call, request, 200)

    def _called(self, invite: SipMessage) -> None:
        call = OneCall(
            Sound(self.line.address, self._tone),
            invite.call_id,
            f"{invite.header('to')};tag={secrets.token_hex(6)}",
            invite.header("from"),
            target=uri_in(invite.header("contact")),
            routes=[value for name, value in invite.headers if name == "record-route"],
            cseq=1000,
            invite=invite,
            state="ringing",
        )
        self.calls.append(call)
        self._say(call, invite, 180)

    def _cancelled(self, call: OneCall, cancel: SipMessage) -> None:
        self._say(call, cancel, 200)
        if call.state == "ringing" and call.invite is not None:
            self._say(call, call.invite, 487)
            self._ended(call)

    async def _reinvited(self, call: OneCall, request: SipMessage) -> None:
        """A refresh of theirs: with an offer, it is answered with a new port and key."""
        body = await self._answer_to(call, request) if request.audio is not None else b""
        self._timed(call, request, is_ours=False)
        call.refreshes.append(f"came {request.method}")
        call.target = uri_in(request.header("contact")) or call.target
        self._say(call, request, 200, body, *self._session(call, is_request=False, theirs=request))

    async def _transferred(self, call: OneCall, refer: SipMessage) -> None:
        """Call the target, and tell of the outcome; the first call is the other side's to end."""
        await self._tell(call, "100 Trying", "active;expires=60")
        made = await self.call(uri_in(refer.header("refer-to")))
        outcome = "200 OK" if made.state == "talking" else "503 Service Unavailable"
        await self._tell(call, outcome, "terminated;reason=noresource")

    async def _tell(self, call: OneCall, outcome: str, state: str) -> None:
        more = ["Event: refer", f"Subscription-State: {state}", "Content-Type: message/sipfrag;version=2.0"]
        await self._within(call, "NOTIFY", f"SIP/2.0 {outcome}\r\n".encode(), *more)

    # -- offers and answers

    def _describe(self, call: OneCall, place: Place, tag: int, direction: str = "sendrecv") -> bytes:
        call.version += 1
        return place.sdp(call.version, tag, direction)

    async def _answer_to(self, call: OneCall, request: SipMessage) -> bytes:
        audio = request.audio
        assert audio is not None, "an offer was expected"
        tag = taken_tag(audio)
        place = await call.sound.new_place()
        body = self._describe(call, place, tag, answering(audio.direction))
        place.agree(audio, agreed_key(audio, tag))
        call.theirs = audio.direction
        call.sound.move(place)
        return body

    def _take_answer(self, call: OneCall, place: Place, told: SipMessage, tag: int) -> None:
        audio = told.audio
        assert audio is not None, f"no answer in {told.first_line}"
        place.agree(audio, agreed_key(audio, tag))
        call.theirs = audio.direction
        call.sound.move(place)

    # -- session timers (RFC 4028)

    def _session(self, call: OneCall, *, is_request: bool, theirs: SipMessage | None = None) -> list[str]:
        """The fields of a request of ours, or of our 2xx to one of theirs."""
        if is_request:
            refresher = "" if call.state == "new" else f";refresher={'uac' if call.we_refresh else 'uas'}"
            return ["Supported: timer", f"Session-Expires: {self.manners.interval}{refresher}", f"Min-SE: {INTERVAL}"]
        if theirs is None or "timer" not in theirs.header("supported"):
            return []
        seconds = min(self.manners.interval, int(theirs.header("session-expires").partition(";")[0] or INTERVAL))
        return ["Require: timer", f"Session-Expires: {seconds};refresher={'uas' if call.we_refresh else 'uac'}"]

    def _timed(self, call: OneCall, message: SipMessage, *, is_ours: bool) -> None:
        """A request or a 2xx has refreshed the session. `is_ours`: the request was ours, and this is its 2xx."""
        call.timed = time.monotonic()
        told = re.search(r"refresher=(\w+)", message.header("session-expires"))
        if told is not None:
            call.we_refresh = (told[1] == "uac") is is_ours
        elif message.method == "INVITE" and call.state == "ringing":
            call.we_refresh = self.manners.refresher == "uas"

    def _stands(self, call: OneCall) -> None:
        call.state = "talking"
        self._begin(self._keep_alive(call))

    async def _keep_alive(self, call: OneCall) -> None:
        while call.state == "talking":
            await asyncio.sleep(0.1)
            if call.we_refresh and time.monotonic() - call.timed >= self.manners.refreshes_every:
                status = await self.refresh(self.manners.method, call)
                if status == 491:
                    await asyncio.sleep(AGAIN_AFTER)
                elif status >= 300:
                    self.events.append(f"refresh refused {status}")
                    call.timed = time.monotonic()

    def _ended(self, call: OneCall) -> None:
        call.state = "ended"
        call.sound.close()

    # -- messages

    @property
    def _contact(self) -> str:
        return f"<sip:{self.line.user}@{self.line.address}:{self.line.sip_port};transport=tls>"

    async def _within(self, call: OneCall, method: str, body: bytes = b"", *more: str) -> SipMessage:
        call.cseq += 1
        return await self._ask(method, call.target, call.from_us, call.call_id, call.cseq, body, *more, call=call)

    async def _ask(
        self,
        method: str,
        uri: str,
        peers: tuple[str, str],
        call_id: str,
        number: int,
        body: bytes,
        *more: str,
        call: OneCall | None = None,
    ) -> SipMessage:
        """Send a request and wait for its final response."""
        cseq = f"{number} {method}"
        waiting = self._waiting[call_id, cseq] = asyncio.Queue()
        self._send(self._request(method, uri, peers, (call_id, cseq), body, *more, call=call))
        try:
            return await asyncio.wait_for(waiting.get(), ANSWER_WITHIN)
        finally:
            del self._waiting[call_id, cseq]

    def _request(
        self,
        method: str,
        uri: str,
        peers: tuple[str, str],
        numbers: tuple[str, str],
        body: bytes = b"",
        *more: str,
        call: OneCall | None = None,
        branch: str = "",
    ) -> bytes:
        line = self.line
        branch = branch or f"z9hG4bK{secrets.token_hex(8)}"
        fields = [f"Via: SIP/2.0/TLS {line.address}:{line.sip_port};branch={branch};rport;alias"]
        fields += [f"Route: {route}" for route in (call.routes if call is not None else ())]
        fields += ["Max-Forwards: 70", f"From: {peers[0]}", f"To: {peers[1]}"]
        fields += [f"Call-ID: {numbers[0]}", f"CSeq: {numbers[1]}"]
        fields += [f"Allow: {self.manners.allow}"] if method in ("INVITE", "UPDATE") else []
        fields += [] if method == "REGISTER" else [f"Contact: {self._contact}"]
        return _message(f"{method} {uri} SIP/2.0", fields, body, more)

    def _say(self, call: OneCall | None, to: SipMessage, status: int, body: bytes = b"", *more: str) -> None:
        copied = ("via", "record-route", "from", "call-id", "cseq")
        fields = [f"{name}: {value}" for name, value in to.headers if name in copied]
        told = to.header("to")
        if ";tag=" not in told:
            told = call.own if call is not None else f"{told};tag={secrets.token_hex(6)}"
        fields += [f"To: {told}", f"Contact: {self._contact}", f"Allow: {self.manners.allow}"]
        said = _message(f"SIP/2.0 {status} Said", fields, body, more)
        if to.method != "INVITE" or status >= 200:
            self._said[to.call_id, to.cseq] = said
        self._send(said)

    def _acknowledge(self, call: OneCall, number: int) -> None:
        numbers = call.call_id, f"{number} ACK"
        self._send(self._request("ACK", call.target, call.from_us, numbers, call=call))

    def _acknowledge_refusal(self, call: OneCall, uri: str, refused: SipMessage) -> None:
        """On the refused INVITE's own branch (RFC 3261 section 17.1.1.3)."""
        found = re.search(r"branch=([^;]+)", refused.header("via"))
        numbers = call.call_id, refused.cseq.replace("INVITE", "ACK")
        peers = call.own, refused.header("to")
        branch = found[1] if found else ""
        self._send(self._request("ACK", uri, peers, numbers, call=call if call.routes else None, branch=branch))

    def _send(self, data: bytes) -> None:
        assert self._stream is not None
        self._stream.wire.send(data)

    def _digest(self, challenge: str, method: str, uri: str) -> str:
        """RFC 2617, MD5, with qop "auth" where it is asked for."""
        told = {name.lower(): value for name, value in re.findall(r'(\w+)="?([^",]+)"?', challenge)}
        line = self.line
        secret = _md5(f"{line.user}:{told['realm']}:{line.password}")
        request = _md5(f"{method}:{uri}")
        cnonce = secrets.token_hex(8)
        with_qop = f"00000001:{cnonce}:auth:" if "qop" in told else ""
        answer = _md5(f"{secret}:{told['nonce']}:{with_qop}{request}")
        more = f', qop=auth, nc=00000001, cnonce="{cnonce}"' if "qop" in told else ""
        names = f'username="{line.user}", realm="{told["realm"]}", nonce="{told["nonce"]}", uri="{uri}"'
        return f'Digest {names}, response="{answer}", algorithm=MD5{more}'

    def _begin(self, work: Callable[[], None] | object) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except Exception as error:  # told, and asked for at the end: nobody waits for this
            self.events.append(f"failed: {error!r}")


def _message(first: str, fields: list[str], body: bytes, more: tuple[str, ...]) -> bytes:
    lines = [first, *fields, *more]
    if body and not any(line.startswith("Content-Type") for line in lines):
        lines.append("Content-Type: application/sdp")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _md5(text: str) -> str:
    return md5(text.encode()).hexdigest()
