"""Callers and callees of a soak: many short calls over UDP, each of whose two ends keeps its own idea of the call.

    Soak --INVITE, ACK, BYE, CANCEL--> gateway --> Soak          one thread for all ends, RFC 3261's timers
    Soak.calls --> both ends of each call: what each believed, and when

Nothing here is a real phone: the subject is whether both ends of every call agree, whatever happens to the gateway
between them. A caller that has rung too long gives up; half of the calls are ended by the callee.
"""

from __future__ import annotations

import random
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

import attrs

from tests.support import messages
from tests.support.calls.wire import SipMessage

T1, T2 = 0.5, 4.0
GIVES_UP = 64 * T1
"""Seconds until a request has no answer (timers B and F), and a 2xx no ACK (RFC 3261 section 13.3.1.4)."""
PATIENCE = 20.0
"""Seconds that a caller lets it ring."""
RINGS = 0.3
"""Seconds at most, before a callee answers."""
Key = tuple[str, str]


@attrs.define(eq=False)
class End:
    """One end of a call."""

    name: str
    call_id: str = ""
    local: str = ""
    remote: str = ""
    target: str = ""
    cseq: int = 1
    up_at: float | None = None
    over_at: float | None = None
    ending: str = ""
    """The way in which it ended."""

    @property
    def is_up(self) -> bool:
        return self.up_at is not None and self.over_at is None


@attrs.define(eq=False)
class SoakCall:
    """A call, with the two ends' ideas of it."""

    number: str
    caller: End
    callee: End | None = None
    until: float = 0.0
    """Seconds from its answer to its BYE."""
    caller_ends: bool = True

    @property
    def ends(self) -> tuple[End, ...]:
        return (self.caller,) if self.callee is None else (self.caller, self.callee)

    @property
    def apart(self) -> float:
        """Seconds for which one end believed in a call that the other had left; endless while it still does."""
        if self.callee is None:
            return 0.0
        if not all(end.over_at is not None for end in self.ends):
            return float("inf") if any(end.over_at is not None for end in self.ends) or self.caller.up_at else 0.0
        return abs((self.caller.over_at or 0.0) - (self.callee.over_at or 0.0))


@attrs.define(eq=False)
class _Asked:
    """A request that waits for its answer."""

    data: bytes
    to: tuple[str, int]
    answered: Callable[[SipMessage | None], None]
    """Called with the final response, or None where none came."""
    until: float
    is_quiet: bool = False
    """Whether it is sent no more: a provisional response came to an INVITE."""


class Soak:
    """The ends on both sides of a gateway; ``proxy`` is its address for phones, ``trunk`` for the provider."""

    def __init__(self, phone: str, provider: tuple[str, int], proxy: tuple[str, int], trunk: tuple[str, int]) -> None:
        self.proxy, self.trunk = proxy, trunk
        self.calls: dict[str, SoakCall] = {}
        self.faults: list[str] = []
        self._phones, self._provider = _udp((phone, 0)), _udp(provider)
        self._asked: dict[Key, _Asked] = {}
        self._by_call: dict[str, tuple[SoakCall, End]] = {}
        self._unacknowledged: dict[str, tuple[bytes, float]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self._chance = random.Random(7)
        self._per_second, self._length = 0.0, 10.0
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self, per_second: float, length: float) -> None:
        """Begin so many calls a second, each of at most ``length`` seconds."""
        self._per_second, self._length = per_second, length
        self._thread.start()

    def stop(self) -> None:
        """Begin no more."""
        self._per_second = 0.0

    @property
    def is_over(self) -> bool:
        """Whether no end believes in a call."""
        return all(end.over_at is not None for call in [*self.calls.values()] for end in call.ends)

    def close(self) -> None:
        self._is_open = False
        self._thread.join()
        self._phones.close()
        self._provider.close()

    # The thread of all ends.

    def _serve(self) -> None:
        due = time.monotonic()
        while self._is_open:
            ready, _, _ = select.select([self._phones, self._provider], [], [], 0.01)
            for one in ready:
                try:
                    data, source = one.recvfrom(65_535)
                except OSError:
                    continue
                self._receive(one, SipMessage.parse(source[0], source[1], data), source)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heappop(self._timers)[2]()
            if self._per_second and now >= due:
                due = max(due + 1 / self._per_second, now - 1)
                self._invite()
            elif not self._per_second:
                due = now

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), action))

    def _ask(
        self, own: socket.socket, data: bytes, to: tuple[str, int], answered: Callable[[SipMessage | None], None]
    ) -> _Asked:
        """Send a request until it is answered."""
        asked = _Asked(data, to, answered, time.monotonic() + GIVES_UP)
        parsed = SipMessage.parse(*to, data)
        key = parsed.call_id, parsed.cseq
        self._asked[key] = asked

        def again(wait: float) -> None:
            if self._asked.get(key) is not asked or asked.is_quiet:
                return
            if time.monotonic() > asked.until:
                del self._asked[key]
                asked.answered(None)
                return
            own.sendto(data, to)
            self._later(wait, lambda: again(min(2 * wait, T2)))

        again(T1)
        return asked

    def _receive(self, own: socket.socket, message: SipMessage, source: tuple[str, int]) -> None:
        if message.status:
            self._answered(own, message)
            return
        known = self._by_call.get(message.call_id)
        match message.method:
            case "INVITE" if known is None and own is self._provider:
                self._ring(message, source)
            case "ACK" if known is not None:
                self._acknowledged(*known)
            case "BYE" if known is not None:
                self._say(own, message, 200, source)
                self._over(known[1], "the other end's BYE")
            case "CANCEL" if known is not None:
                self._say(own, message, 200, source)
                self._over(known[1], "CANCEL")
            case "INVITE" | "ACK":
                pass  # a copy
            case "BYE" | "CANCEL":
                self._say(own, message, 481, source)
            case _:
                self._say(own, message, 200, source)

    def _answered(self, own: socket.socket, message: SipMessage) -> None:
        key = message.call_id, message.cseq
        asked = self._asked.get(key)
        if message.status < 200:
            if asked is not None and message.cseq.endswith("INVITE"):
                asked.is_quiet = True
        elif asked is not None:
            del self._asked[key]
            asked.answered(message)
        elif message.cseq.endswith("INVITE") and message.status < 300 and message.call_id in self._by_call:
            own.sendto(self._ack(self._by_call[message.call_id][1]), self.proxy)  # a copy of the 2xx

    # Callers.

    def _invite(self) -> None:
        number = f"soak{next(self._numbers)}"
        host = self._phones.getsockname()[0]
        caller = End("caller", f"{number}-{secrets.token_hex(4)}@{host}")
        caller.local = f"<sip:soak@example.com>;tag={secrets.token_hex(4)}"
        caller.remote, caller.target = f"<sip:{number}@example.com>", f"sip:{number}@example.com"
        call = self.calls[number] = SoakCall(number, caller)
        call.until = self._chance.uniform(1, self._length)
        call.caller_ends = self._chance.random() < 0.5
        self._by_call[caller.call_id] = call, caller
        invite = self._request(self._phones, caller, "INVITE", messages.session(host, 40_000, "RTP/AVP"))
        asked = self._ask(self._phones, invite, self.proxy, lambda final: self._settled(call, invite, final))
        self._later(PATIENCE, lambda: self._give_up(call, asked, invite))

    def _settled(self, call: SoakCall, invite: bytes, final: SipMessage | None) -> None:
        caller = call.caller
        if final is None:
            self._over(caller, "no answer")
        elif final.status >= 300:
            self._phones.sendto(messages.refusal_ack(invite, final), self.proxy)
            self._over(caller, f"refused {final.status}")
        else:
            caller.remote, caller.target = final.header("to"), messages.uri_in(final.header("contact"))
            self._phones.sendto(self._ack(caller), self.proxy)
            was_left, caller.up_at = caller.over_at is not None, time.monotonic()
            if was_left:
                caller.over_at = None
                self._hang_up(self._phones, call, caller)  # the answer crossed its CANCEL
            elif call.caller_ends:
                self._later(call.until, lambda: self._hang_up(self._phones, call, caller))

    def _give_up(self, call: SoakCall, asked: _Asked, invite: bytes) -> None:
        if call.caller.up_at is not None or call.caller.over_at is not None:
            return
        cancel = invite.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        kept = [line for line in cancel if line.startswith(("Via:", "From:", "To:", "Call-ID:", "Max-Forwards:"))]
        head = [cancel[0].replace("INVITE", "CANCEL", 1), *kept, "CSeq: 1 CANCEL", "Content-Length: 0"]
        self._ask(self._phones, ("\r\n".join(head) + "\r\n\r\n").encode(), self.proxy, lambda _final: None)
        self._over(call.caller, "gave up")

    def _ack(self, end: End) -> bytes:
        return self._request(self._phones, end, "ACK", number=1)

    # Callees.

    def _ring(self, invite: SipMessage, source: tuple[str, int]) -> None:
        number = invite.first_line.split(" ")[1].partition(":")[2].partition("@")[0]
        call = self.calls.get(number)
        if call is None:
            self.faults.append(f"a call to {number}, whom nobody called")
            return
        tag = secrets.token_hex(4)
        before, end = call.callee, End("callee", invite.call_id)
        if before is not None and before.over_at is None:
            # The caller's INVITE came to two processes: the first one's call has to end as any other.
            self.calls[f"{number}/{tag}"] = SoakCall(number, call.caller, before, call.until)
        end.local, end.remote = f"{invite.header('to')};tag={tag}", invite.header("from")
        end.target = messages.uri_in(invite.header("contact"))
        call.callee = end
        self._by_call[invite.call_id] = call, end
        self._provider.sendto(messages.response(invite, 180, self._contact(self._provider), tag), source)
        self._later(self._chance.uniform(0, RINGS), lambda: self._take(invite, end, tag, source))

    def _take(self, invite: SipMessage, end: End, tag: str, source: tuple[str, int]) -> None:
        if end.over_at is not None:
            self._provider.sendto(messages.response(invite, 487, self._contact(self._provider), tag), source)
            return
        sdp = messages.session(self._provider.getsockname()[0], 40_002, "RTP/AVP")
        answer = messages.response(invite, 200, self._contact(self._provider), tag, sdp)
        until = time.monotonic() + GIVES_UP

        def again(wait: float) -> None:
            if end.up_at is not None or end.over_at is not None:
                return
            if time.monotonic() > until:
                end.up_at = time.monotonic()
                self._hang_up(self._provider, self._by_call[end.call_id][0], end)
                return
            self._provider.sendto(answer, source)
            self._later(wait, lambda: again(min(2 * wait, T2)))

        again(T1)

    def _acknowledged(self, call: SoakCall, end: End) -> None:
        if end.up_at is None and end.over_at is None and end is not call.caller:
            end.up_at = time.monotonic()
            if not call.caller_ends:
                self._later(call.until, lambda: self._hang_up(self._provider, call, end))

    # Both.

    def _hang_up(self, own: socket.socket, call: SoakCall, end: End) -> None:
        if end.over_at is not None:
            return
        end.cseq += 1
        to = self.proxy if own is self._phones else self.trunk

        def answered(final: SipMessage | None) -> None:
            others = [one for one in call.ends if one is not end]
            if final is None:
                self.faults.append(f"{call.number}: nobody answered the BYE of its {end.name}")
            elif final.status != 200 and any(one.is_up for one in others) and end.over_at is None:
                self.faults.append(f"{call.number}: its {end.name}'s BYE got {final.status}, and the other end is up")
            self._over(end, "its own BYE")

        self._ask(own, self._request(own, end, "BYE", number=end.cseq), to, answered)

    def _over(self, end: End, ending: str) -> None:
        if end.over_at is None:
            end.over_at, end.ending = time.monotonic(), ending

    def _say(self, own: socket.socket, request: SipMessage, status: int, source: tuple[str, int]) -> None:
        own.sendto(messages.response(request, status, self._contact(own), "soak"), source)

    def _request(self, own: socket.socket, end: End, method: str, body: bytes = b"", number: int = 1) -> bytes:
        host, port = own.getsockname()
        via = f"UDP {host}:{port}"
        peers, cseq = (end.local, end.remote), f"{number} {method}"
        return messages.request(f"{method} {end.target}", via, peers, end.call_id, cseq, self._contact(own), body)

    def _contact(self, own: socket.socket) -> str:
        host, port = own.getsockname()
        return f"<sip:soak@{host}:{port}>"


def _udp(place: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind(place)
    return made
