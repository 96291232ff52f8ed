"""The price of a phone that is only there: OPTIONS and the refresh of a REGISTER over TLS, without the kernel.

    phone's TLS --ciphertext--> StreamProtocol ... StreamProtocol --kept--> phone's TLS

As bench/calls/inside.py, with a connection whose bytes come from here and go to here; bench/tls.py has both beside
Kamailio with the kernel's part. `python -m bench.calls.pings` prints microseconds and function calls of each, with
--profile where they go, and with --count the function calls alone.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import ssl
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from bench.calls import inside
from bench.calls.load import DOMAIN
from bench.tls import REQUEST
from gateway.demo import devcerts

METHODS = ("OPTIONS", "REGISTER")
WARM_UP, TIMED, COUNTED = 300, 3000, 200
PHONE = IPv4Address("TCP", "127.0.0.1", 49152)


class Pings(inside.Inside):
    """A gateway with one phone on TLS, which is registered."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        devcerts.make(directory / "certificates", datetime.now(tz=UTC))
        super().__init__(directory)
        context = ssl.create_default_context(cafile=str(directory / "certificates" / "ca.pem"))
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="gateway.example.com")
        self._wire = StringTransport(IPv4Address("TCP", "127.0.0.1", 5061), PHONE)
        self._protocol = cast(Any, self._phones).buildProtocol(PHONE)
        self._protocol.makeConnection(self._wire)
        self._protocol._socket = self  # asked before the transport is
        self._shake_hands()
        self._exchange("REGISTER", from_provider=True)

    def configuration(self) -> str:
        """That of the bench with TLS."""
        text = (inside.HERE / "gateway-tls.toml").read_text()
        text = text.replace("@CERTIFICATES@", str(self._directory / "certificates"))
        return text.replace("port = 5061", "port = 0")

    def ping(self, method: str) -> int:
        """Nanoseconds of CPU that one takes the gateway."""
        before = self.spent
        self._exchange(method)
        return self.spent - before

    def function_calls(self, method: str) -> float:
        """Of one."""
        self.profile = cProfile.Profile()
        for _ in range(COUNTED):
            self._exchange(method)
        profile, self.profile = self.profile, None
        return float(vars(pstats.Stats(profile))["total_calls"]) / COUNTED

    def _shake_hands(self) -> None:
        for _ in range(10):
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._pass_on()
        self._pass_on()

    def _pass_on(self) -> None:
        """The phone's bytes to the gateway."""
        data = self._out.read()
        if data:
            self.take(data)

    def send(self, data: bytes) -> int:
        """Take bytes for the phone, as a socket with room for them."""
        self._in.write(data)
        return len(data)

    def take(self, data: bytes) -> None:
        """Give the gateway bytes of the connection, and add up what it takes."""
        if self.profile is not None:
            self.profile.enable()
        start = thread_time_ns()
        self._protocol.dataReceived(data)
        self.spent += thread_time_ns() - start
        if self.profile is not None:
            self.profile.disable()

    def _exchange(self, method: str, *, from_provider: bool = False) -> None:
        self.number += 1
        text = REQUEST.format(method=method, number=1, turn=self.number, domain=DOMAIN)
        self._tls.write(text.replace("\n", "\r\n").encode())
        self._pass_on()
        if from_provider:
            asked = self._take(inside.ANSWERER)
            contact = inside._CONTACT.search(asked)
            assert contact is not None
            head = b"\r\n".join([b"SIP/2.0 200 OK", *inside._COPIED.findall(asked)])
            bound = b"\r\nContact: <" + contact[1] + b">;expires=3600\r\nContent-Length: 0\r\n\r\n"
            self._from_answerer(head + bound)
        answer = self._tls.read(65536)
        assert answer.startswith(b"SIP/2.0 200 "), answer


def counts() -> dict[str, float]:
    """Function calls of a message, by method."""
    with tempfile.TemporaryDirectory() as directory:
        pings = Pings(Path(directory))
        found = {}
        for method in METHODS:
            for _ in range(WARM_UP):
                pings.ping(method)
            found[method] = pings.function_calls(method)
        return found


def main() -> None:
    """Print the figures, and the profiles when asked."""
    if "--count" in sys.argv:
        print(" ".join(f"{count:.0f}" for count in counts().values()))
        return
    with tempfile.TemporaryDirectory() as directory:
        pings = Pings(Path(directory))
        for method in METHODS:
            for _ in range(WARM_UP):
                pings.ping(method)
            taken = median(pings.ping(method) for _ in range(TIMED)) / 1000
            print(f"{method:10} {taken:6.0f} us, {pings.function_calls(method):.0f} function calls")
            if "--profile" in sys.argv:
                pings.profile = cProfile.Profile()
                for _ in range(1000):
                    pings.ping(method)
                pstats.Stats(pings.profile).sort_stats(os.environ.get("SORT", "tottime")).print_stats(45)
                pings.profile = None


if __name__ == "__main__":
    main()
