"""Many phones that register at the same moment, as after a power cut: each sends until it is answered (timer E)."""

from __future__ import annotations

import re
import secrets
import select
import socket
import time

from tests.support.calls.wire import SipMessage

FIRST_GAP = 0.5
LONGEST_GAP = 4.0
CALL_ID = re.compile(r"c(\d+)-")


class Crowd:
    """`size` users, behind a few sockets. `answers` has the final answer to each that got one."""

    def __init__(self, host: str, proxy: tuple[str, int], size: int) -> None:
        self.answers: dict[int, SipMessage] = {}
        self._proxy = proxy
        self._mark = secrets.token_hex(4)
        self._sockets = [_socket(host) for _ in range(8)]
        self._due = [(0.0, user, FIRST_GAP) for user in range(size)]
        self._begun = time.monotonic()
        self._size = size

    @property
    def is_done(self) -> bool:
        return len(self.answers) == self._size

    def go_on(self, seconds: float) -> None:
        """Send what is due and take what comes, for so long or until all have an answer."""
        until = time.monotonic() + seconds
        while not self.is_done and (now := time.monotonic()) < until:
            self._send(now - self._begun)
            for one in select.select(self._sockets, [], [], 0.02)[0]:
                self._receive(one)

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def _send(self, now: float) -> None:
        due, self._due = [one for one in self._due if one[0] <= now], [one for one in self._due if one[0] > now]
        for _, user, gap in due:
            if user not in self.answers:
                own = self._sockets[user % len(self._sockets)]
                own.sendto(self._register(user, own.getsockname()), self._proxy)
                self._due.append((now + gap, user, min(2 * gap, LONGEST_GAP)))

    def _receive(self, own: socket.socket) -> None:
        try:
            while True:
                message = SipMessage.parse(*self._proxy, own.recv(65535))
                found = CALL_ID.match(message.header("call-id"))
                if message.status >= 200 and found is not None:
                    self.answers[int(found[1])] = message
        except BlockingIOError:
            return

    def _register(self, user: int, place: tuple[str, int]) -> bytes:
        name, via = f"<sip:u{user}@example.com>", f"{place[0]}:{place[1]};branch=z9hG4bK{self._mark}{user};rport"
        return (
            f"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nMax-Forwards: 70\r\n"
            f"From: {name};tag={user}\r\nTo: {name}\r\nCall-ID: c{user}-{self._mark}\r\n"
            "CSeq: 1 REGISTER\r\nExpires: 300\r\n"
            f"Contact: <sip:u{user}@{place[0]}:{place[1]}>\r\nContent-Length: 0\r\n\r\n"
        ).encode()


def _socket(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind((host, 0))
    made.setblocking(False)
    return made
