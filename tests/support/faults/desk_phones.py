"""Desk phones with real sockets for roll-outs: each registers over UDP, obeys a NOTIFY, and comes back over TLS.

They write their messages themselves and know nothing of the gateway's code. One thread each; `close` ends it.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Final

AGENTS: Final = (
    "Yealink SIP-T46G 28.83.0.30",
    "Cisco/SPA504G-7.6.2c",
    "Cisco-CP-8841-3PCC/11.0",
    "PolycomVVX-VVX_410-UA/5.9.0.9373",
    "snom710/8.9.3.80",
    "Grandstream GXP2130 1.0.9.26",
    "Fanvil X4 2.12.1",
    "Gigaset N510 IP PRO/42.250.00",
)
"""The User-Agents of eight makes."""


class DeskPhone:
    """A phone. `wants_tls` is its configuration, which it reads when a NOTIFY tells it to."""

    def __init__(self, host: str, number: int, proxies: tuple[tuple[str, int], tuple[str, int]], trust: Path) -> None:
        self.user, self.agent = f"u{number}", AGENTS[number % len(AGENTS)]
        self.wants_tls = True
        self.notifies: list[str] = []
        """The branch of each NOTIFY: copies have the same."""
        self.refusals: list[str] = []
        """Final answers to REGISTER but 200."""
        self.transport = ""
        """Over which it is registered; empty: it is not."""
        self._udp, self._tls = proxies
        self._trust = ssl.create_default_context(cafile=str(trust))
        self._trust.check_hostname = False
        self._host, self._number = host, number
        self._socket: socket.socket | None = None
        self._cseq, self._generation = 0, 0
        self._is_open = True
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave."""
        self._is_open = False
        self._thread.join(5)

    def _live(self) -> None:
        uses_tls = False
        while self._is_open:
            try:
                self._generation += 1
                self._socket = self._opened(uses_tls=uses_tls)
                uses_tls = self._serve(uses_tls=uses_tls)
            except OSError:
                time.sleep(0.2)  # the gateway is away
            finally:
                self.transport = ""
                if self._socket is not None:
                    self._socket.close()

    def _opened(self, *, uses_tls: bool) -> socket.socket:
        if uses_tls:
            plain = socket.create_connection(self._tls, 5, source_address=(self._host, 0))
            opened: socket.socket = self._trust.wrap_socket(plain)
        else:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.bind((self._host, 0))
            opened.connect(self._udp)
        opened.settimeout(0.2)
        return opened

    def _serve(self, *, uses_tls: bool) -> bool:
        """Be registered until a NOTIFY has the configuration read; whether that wants TLS."""
        again = 0.0
        while self._is_open:
            if time.monotonic() >= again:
                self._say(self._register(uses_tls=uses_tls))
                again = time.monotonic() + (30.0 if self.transport else 0.7)
            text = self._heard()
            if text.startswith("SIP/2.0 200"):
                self.transport, again = ("tls" if uses_tls else "udp"), time.monotonic() + 30.0
            elif text.startswith("SIP/2.0 4"):
                self.refusals.append(text.partition("\r\n")[0])
            elif text.startswith("NOTIFY "):
                self.notifies.append(re.findall(r"branch=([^;\s]+)", text)[0])
                self._answer(text)
                time.sleep(0.3)  # it reads its file, and starts again
                return self.wants_tls
            elif text.startswith(("OPTIONS ", "BYE ")):
                self._answer(text)
        return uses_tls

    def _heard(self) -> str:
        assert self._socket is not None
        try:
            data = self._socket.recv(65_535)
        except TimeoutError:
            return ""
        if not data and isinstance(self._socket, ssl.SSLSocket):
            raise ConnectionError("closed")
        return data.decode()

    def _say(self, text: str) -> None:
        assert self._socket is not None
        self._socket.send(text.encode())

    def _answer(self, request: str) -> None:
        kept = re.findall(r"^(?:Via|From|To|Call-ID|CSeq): .*$", request, re.M)
        self._say("\r\n".join(["SIP/2.0 200 OK", *(line.rstrip() for line in kept), "Content-Length: 0", "", ""]))

    def _register(self, *, uses_tls: bool) -> str:
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        self._cseq += 1
        way, more = ("TLS", ";transport=tls") if uses_tls else ("UDP", "")
        branch = f"z9hG4bK{self.user}-{self._generation}-{self._cseq}"
        return "\r\n".join(
            (
                "REGISTER sip:example.com SIP/2.0",
                f"Via: SIP/2.0/{way} {host}:{port};branch={branch};rport",
                "Max-Forwards: 70",
                f"From: <sip:{self.user}@example.com>;tag=t{self._generation}",
                f"To: <sip:{self.user}@example.com>",
                f"Call-ID: {self.user}-{self._generation}@{host}",
                f"CSeq: {self._cseq} REGISTER",
                f'Contact: <sip:{self.user}@{host}:{port}{more}>;+sip.instance="<urn:uuid:{self._number:08}>"',
                f"User-Agent: {self.agent}",
                "Expires: 300",
                "Content-Length: 0",
                "",
                "",
            )
        )
