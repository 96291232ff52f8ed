"""A provider over UDP that takes every registration and every call, in a thread of its own."""

from __future__ import annotations

import socket
import threading

from tests.support.faults.sip import SDP, Sip, request


class Provider:
    """Answers unless `is_silent`. `requests` has what came, copies included; `media` gets the audio of its calls."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.is_silent = False
        self.requests: list[Sip] = []
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

    def hang_up(self, call: Sip, to: tuple[str, int]) -> None:
        """End a call that the gateway sent here."""
        headers = f"From: {call.header('to')};tag=p\r\nTo: {call.header('from')}\r\n"
        headers += f"Call-ID: {call.header('call-id')}\r\nCSeq: 1 BYE\r\n"
        target = call.header("contact").partition("<")[2].partition(">")[0]
        self.ask(request(f"BYE {target}", (self.host, self.port), headers), to)

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
            message = Sip.read(data)
            if message.status:
                continue
            self.requests.append(message)
            if not self.is_silent and message.method != "ACK":
                self._socket.sendto(self._answer(message), source)

    def _answer(self, message: Sip) -> bytes:
        contact = f"Contact: <sip:echo@{self.host}:{self.port}>\r\n"
        match message.method:
            case "REGISTER":
                return message.answered(200, "OK", f"Contact: {message.header('contact')};expires=3600\r\n")
            case "INVITE":
                sdp = SDP.format(host=self.host, port=self.media.getsockname()[1])
                return message.answered(200, "OK", contact, sdp)
            case _:
                return message.answered(200, "OK")
