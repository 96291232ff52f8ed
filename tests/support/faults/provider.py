"""A provider over UDP that takes every registration and every call, in a thread of its own."""

from __future__ import annotations

import socket
import threading

from tests.support import messages
from tests.support.calls.wire import SipMessage


class Provider:
    """Answers unless `is_silent`. `requests` has what came, copies included; `media` gets the audio of its calls."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.is_silent = False
        self.ignores = ""
        """A user whose calls and messages get no answer."""
        self.refuses = 0
        """A status that answers every call; 0: calls are taken."""
        self.requests: list[SipMessage] = []
        self.media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.media.bind((host, 0))
        self.media.settimeout(0.2)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((host, port))
        self._socket.settimeout(0.2)
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def count(self, method: str) -> int:
        """Requests of that method, copies included."""
        return sum(one.method == method for one in [*self.requests])

    def ask(self, data: bytes, to: tuple[str, int]) -> None:
        """Send a request of our own making."""
        self._socket.sendto(data, to)

    def hang_up(self, call: SipMessage, to: tuple[str, int]) -> None:
        """End a call that the gateway sent here."""
        peers = f"{call.header('to')};tag=p", call.header("from")
        target = messages.uri_in(call.header("contact"))
        via = f"UDP {self.host}:{self.port}"
        self.ask(messages.request(f"BYE {target}", via, peers, call.call_id, "1 BYE", self._contact), to)

    def close(self) -> None:
        self._is_open = False
        self._thread.join()
        self._socket.close()
        self.media.close()

    def _serve(self) -> None:
        while self._is_open:
            try:
                data, source = self._socket.recvfrom(65535)
            except (TimeoutError, ConnectionError):
                continue
            message = SipMessage.parse(source[0], source[1], data)
            if message.status:
                continue
            self.requests.append(message)
            is_ignored = self.is_silent or (self.ignores and f"sip:{self.ignores}@" in message.header("from"))
            if not is_ignored and message.method != "ACK":
                self._socket.sendto(self._answer(message), source)

    @property
    def _contact(self) -> str:
        return f"<sip:echo@{self.host}:{self.port}>"

    def _answer(self, message: SipMessage) -> bytes:
        match message.method:
            case "REGISTER":
                return messages.response(message, 200, f"{message.header('contact')};expires=3600", "p")
            case "INVITE" if self.refuses:
                return messages.response(message, self.refuses, self._contact, "p")
            case "INVITE":
                sdp = messages.session(self.host, self.media.getsockname()[1], "RTP/AVP")
                return messages.response(message, 200, self._contact, "p", sdp)
            case _:
                return messages.response(message, 200, self._contact, "p")
