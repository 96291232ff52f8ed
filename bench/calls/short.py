"""A caller that times its calls to a tenth of a millisecond, which sipp's clock of 4 ms cannot: INVITE-200-ACK-BYE-200.

One UDP socket, so many calls a second, each given up after two seconds. The words are inside.py's.
"""

from __future__ import annotations

import re
import socket
import time
from itertools import count

from bench.calls.inside import INVITE, WITHIN
from bench.calls.load import DOMAIN, Outcome

GIVEN_UP = 2.0
"""Seconds after the last call of a run."""
_NUMBER = re.compile(rb"\r\nCall-ID: (\d+)-")
_CSEQ = re.compile(rb"\r\nCSeq: \d+ (\w+)")
_TAG = re.compile(rb"\r\nTo:[^\r]*;tag=([^;\r]+)")
_CONTACT = re.compile(rb"\r\nContact:[^<\r]*<([^>]+)>")


class ShortCaller:
    """Calls ``target`` from an address of its own."""

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((address, 0))
        self._socket.connect(target)
        self._place = "{}:{}".format(*self._socket.getsockname())
        self._mark = str(time.time_ns())
        self._numbers = count(1)
        self._sent: dict[int, float] = {}
        self._set_up_ms: list[float] = []

    def close(self) -> None:
        self._socket.close()

    def run(self, rate: int, calls: int) -> Outcome:
        """So many calls, one after the other."""
        self._sent, self._set_up_ms = {}, []
        began = time.perf_counter()
        for number in range(calls):
            self._hear(began + number / rate)
            self._invite(next(self._numbers))
        self._hear(time.perf_counter() + GIVEN_UP)
        return Outcome(calls, len(self._set_up_ms), 0, tuple(sorted(self._set_up_ms)))

    def _invite(self, number: int) -> None:
        data = self._bytes(INVITE.format(n=number, domain=DOMAIN))
        self._sent[number] = time.perf_counter()
        self._socket.send(data)

    def _hear(self, until: float) -> None:
        """Answer what comes, until then."""
        while (left := until - time.perf_counter()) > 0:
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65_535)
            except (TimeoutError, BlockingIOError):
                return
            if data.startswith(b"SIP/2.0 200"):
                self._answered(data, time.perf_counter())

    def _answered(self, data: bytes, now: float) -> None:
        number, method = _NUMBER.search(data), _CSEQ.search(data)
        if number is None or method is None or method[1] != b"INVITE":
            return
        sent = self._sent.pop(int(number[1]), None)
        tag, contact = _TAG.search(data), _CONTACT.search(data)
        if sent is None or tag is None or contact is None:
            return
        self._set_up_ms.append(1000 * (now - sent))
        for method_sent, cseq in (("ACK", 1), ("BYE", 2)):
            within = {"method": method_sent, "cseq": cseq, "target": contact[1].decode(), "tag": tag[1].decode()}
            self._socket.send(self._bytes(WITHIN.format(n=int(number[1]), domain=DOMAIN, **within)))

    def _bytes(self, text: str) -> bytes:
        own = text.replace("127.0.0.1:46011", self._place).replace("-11@127.0.0.1", f"-{self._mark}@{self._place}")
        return own.replace("z9hG4bK-", f"z9hG4bK{self._mark}-").replace("\n", "\r\n").encode()
