"""A DNS server that can be well, dead, slow or lying, in a thread of its own: one name, one address."""

from __future__ import annotations

import socket
import struct
import threading
import time

A = 1
NXDOMAIN = 3


class Nameserver:
    """Answers what is asked for `address`, with a TTL of one second; everything else has no records."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self.place = (host, port)
        self.address = address
        self.is_dead = False
        self.says_none = False
        self.delay = 0.0
        """Seconds."""
        self.questions = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(self.place)
        self._socket.settimeout(0.2)
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_open = False
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while self._is_open:
            try:
                data, source = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.questions += 1
            if not self.is_dead:
                time.sleep(self.delay)
                self._socket.sendto(self._answer(data), source)

    def _answer(self, data: bytes) -> bytes:
        end = data.index(b"\0", 12) + 5
        question, (kind,) = data[12:end], struct.unpack(">H", data[end - 4 : end - 2])
        is_there = kind == A and not self.says_none
        head = data[:2] + struct.pack(">HHHHH", 0x8580 | (NXDOMAIN if self.says_none else 0), 1, int(is_there), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 1, 4) + socket.inet_aton(self.address)
        return head + question + (record if is_there else b"")
