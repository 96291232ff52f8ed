"""A scripted phone over UDP that asks and waits: registering, calling, talking, hanging up.

Its words are those of `ScriptedPhone`, of no make. Lives here: its sockets, its patience, its several calls at once.
"""

from __future__ import annotations

import socket
import time

import attrs

from tests.support import phone_messages
from tests.support.calls.wire import SipMessage
from tests.support.phone_messages import MAKES, RTP, Form, Place, ScriptedPhone

AGAIN_AFTER = 0.5  # seconds


@attrs.define
class Dialog:
    """One call of the phone."""

    remembered: phone_messages.Dialog
    media: tuple[str, int]
    """Where the gateway takes its audio."""


class Phone:
    """One line of `user`. `received` has every message that came."""

    def __init__(self, host: str, proxy: tuple[str, int], user: str = "alice", form: Form = RTP) -> None:
        self.proxy = proxy
        self.received: list[SipMessage] = []
        self._socket = _udp(host)
        self.media = _udp(host)
        address, port = self._socket.getsockname()
        self._words = ScriptedPhone(MAKES["plain"], form, Place(address, port, "UDP"), user=user)
        self._words.port = self.media.getsockname()[1]

    def register(self, seconds: float = 10) -> SipMessage | None:
        """The final answer, None when there was none in time."""
        return self.ask(self._words.register(expires=300), seconds)

    def invite(self, number: str = "echo") -> bytes:
        """An INVITE."""
        return self._words.invite(f"sip:{number}@example.com")

    def call(self, number: str = "echo", seconds: float = 10) -> Dialog | SipMessage | None:
        """A call that was answered; else the final answer, or None when there was none in time."""
        answer = self.ask(self.invite(number), seconds)
        if answer is None or answer.status != 200:
            return answer
        self._words.hears(answer)
        self._socket.sendto(self._words.acknowledges(), self.proxy)
        assert self._words.dialog is not None
        return Dialog(self._words.dialog, media_of(answer))

    def must_call(self, number: str = "echo") -> Dialog:
        """A call that has to be answered."""
        dialog = self.call(number)
        assert isinstance(dialog, Dialog), dialog
        return dialog

    def must_be_heard(self) -> None:
        """Wait until the gateway has taken all that was sent to it, the ACK of a call among it: a REGISTER that leaves
        later is answered. A call whose ACK has not come yet is ended by the next process, not gone on with."""
        answer = self.register()
        assert answer is not None, "nobody answers REGISTER"
        assert answer.status == 200, answer.first_line

    def hang_up(self, dialog: Dialog, seconds: float = 10) -> SipMessage | None:
        """The final answer to BYE."""
        self._words.dialog = dialog.remembered
        return self.ask(self._words.within("bye"), seconds)

    def throw(self, data: bytes) -> None:
        """Send it once, and wait for nothing."""
        self._socket.sendto(data, self.proxy)

    def ask(self, data: bytes, seconds: float) -> SipMessage | None:
        """Send until the final answer comes, as timers A and E do, but more often."""
        asked = SipMessage.parse(*self.proxy, data)
        deadline, again = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < deadline:
            if now >= again:
                self._socket.sendto(data, self.proxy)
                again = now + AGAIN_AFTER
            message = self.receive(min(again, deadline) - now)
            if message is None or message.status < 200:
                continue
            if (message.call_id, message.cseq) == (asked.call_id, asked.cseq):
                return message
        return None

    def receive(self, seconds: float) -> SipMessage | None:
        """The next message; requests are answered 200."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            message = SipMessage.parse(*self.proxy, self._socket.recv(65535))
        except (TimeoutError, BlockingIOError, ConnectionError):
            return None
        self.received.append(message)
        if message.method not in ("", "ACK"):
            answer = self._words.answers(message, "answer" if message.method == "INVITE" else "ok")
            self._socket.sendto(answer, self.proxy)
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


def media_of(message: SipMessage) -> tuple[str, int]:
    """The place that its SDP wants audio sent to."""
    audio = message.audio
    assert audio is not None, message.first_line
    return audio.address, audio.port


def _udp(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made
