"""A phone over UDP that asks and waits: registering, calling, talking, hanging up."""

from __future__ import annotations

import secrets
import socket
import time

import attrs

from tests.support.faults.sip import SDP, Sip, request


@attrs.define
class Dialog:
    """One call of the phone."""

    call_id: str
    tag: str
    answer: Sip
    media: tuple[str, int]
    """Where the gateway takes its audio."""
    cseq: int = 1


class Phone:
    """One line of `user`. `received` has every message that came."""

    def __init__(self, host: str, proxy: tuple[str, int], user: str = "alice") -> None:
        self.user = user
        self.proxy = proxy
        self.received: list[Sip] = []
        self._socket = _udp(host)
        self.media = _udp(host)
        self.place: tuple[str, int] = self._socket.getsockname()

    def register(self, seconds: float = 10) -> Sip | None:
        """The final answer, None when there was none in time."""
        headers = self._names("example.com", f"r{secrets.token_hex(4)}", f"{self.user}@example.com")
        headers += f"Call-ID: reg-{self.place[1]}-{secrets.token_hex(4)}\r\nCSeq: 1 REGISTER\r\nExpires: 300\r\n"
        return self.ask(request("REGISTER sip:example.com", self.place, headers), "REGISTER", seconds)

    def invite(self, number: str = "echo", call_id: str | None = None) -> tuple[bytes, str, str]:
        """An INVITE, its Call-ID and its tag."""
        call_id, tag = call_id or secrets.token_hex(8), secrets.token_hex(4)
        headers = self._names(number, tag) + f"Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\n"
        body = SDP.format(host=self.place[0], port=self.media.getsockname()[1])
        return request(f"INVITE sip:{number}@example.com", self.place, headers, body), call_id, tag

    def call(self, number: str = "echo", seconds: float = 10) -> Dialog | Sip | None:
        """A call that was answered; else the final answer, or None when there was none in time."""
        data, call_id, tag = self.invite(number)
        answer = self.ask(data, "INVITE", seconds, call_id)
        if answer is None or answer.status != 200:
            return answer
        dialog = Dialog(call_id, tag, answer, answer.media)
        self._socket.sendto(self._within(dialog, "ACK"), self.proxy)
        return dialog

    def must_call(self, number: str = "echo") -> Dialog:
        """A call that has to be answered."""
        dialog = self.call(number)
        assert isinstance(dialog, Dialog), dialog
        return dialog

    def hang_up(self, dialog: Dialog, seconds: float = 10) -> Sip | None:
        """The final answer to BYE."""
        dialog.cseq += 1
        return self.ask(self._within(dialog, "BYE"), "BYE", seconds, dialog.call_id)

    def ask(self, data: bytes, method: str, seconds: float, call_id: str | None = None) -> Sip | None:
        """Send until the final answer comes, as timers A and E do, but more often."""
        deadline, again = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < deadline:
            if now >= again:
                self._socket.sendto(data, self.proxy)
                again = now + 0.5
            message = self.receive(min(again, deadline) - now)
            if message is None or message.status < 200 or message.method != method:
                continue
            if call_id in (None, message.header("call-id")):
                return message
        return None

    def receive(self, seconds: float) -> Sip | None:
        """The next message; requests are answered 200."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            message = Sip.read(self._socket.recv(65535))
        except (TimeoutError, BlockingIOError, ConnectionError):
            return None
        self.received.append(message)
        if not message.status and message.method != "ACK":
            is_invite = message.method == "INVITE"
            body = SDP.format(host=self.place[0], port=self.media.getsockname()[1]) if is_invite else ""
            contact = f"Contact: <sip:{self.user}@{self.place[0]}:{self.place[1]}>\r\n"
            self._socket.sendto(message.answered(200, "OK", contact, body), self.proxy)
        return message

    def say(self, dialog: Dialog, count: int = 1) -> None:
        """Send audio, 20 ms apart."""
        for number in range(count):
            header = bytes([0x80, 0]) + number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + b"fone"
            self.media.sendto(header + bytes([0xFF]) * 160, dialog.media)
            time.sleep(0.02)

    def close(self) -> None:
        self._socket.close()
        self.media.close()

    def _names(self, number: str, tag: str, to: str = "") -> str:
        names = f"From: <sip:{self.user}@example.com>;tag={tag}\r\nTo: <sip:{to or f'{number}@example.com'}>\r\n"
        return f"{names}Contact: <sip:{self.user}@{self.place[0]}:{self.place[1]}>\r\n"

    def _within(self, dialog: Dialog, method: str) -> bytes:
        target = dialog.answer.header("contact").partition("<")[2].partition(">")[0]
        number = 1 if method == "ACK" else dialog.cseq
        headers = f"From: <sip:{self.user}@example.com>;tag={dialog.tag}\r\nTo: {dialog.answer.header('to')}\r\n"
        headers += f"Call-ID: {dialog.call_id}\r\nCSeq: {number} {method}\r\n"
        return request(f"{method} {target}", self.place, headers)


def _udp(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made
