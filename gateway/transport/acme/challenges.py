"""Answers to an authority's questions about a name: over HTTP at a port of ours, or by a program that sets DNS records.

    HTTP-01: GET /.well-known/acme-challenge/TOKEN -> the value, while the question is open; 404 for all else
    DNS-01:  PROGRAM add|remove _acme-challenge.NAME VALUE -> exit status 0

The port is open only while a question is. Nobody learns anything there but the value for a token that he knows.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

from twisted.internet.error import CannotListenError
from twisted.internet.threads import blockingCallFromThread
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site

PREFIX: Final = b"/.well-known/acme-challenge/"
HOOK_SECONDS: Final = 300
"""For one call of the program: it may wait until the record is to be seen everywhere."""
PATIENCE: Final = 10
"""Seconds that a client of the port may be silent."""


class HttpAnswers(Resource):
    """Answers to HTTP-01 (RFC 8555 section 8.3)."""

    isLeaf = True
    kind = "http-01"

    def __init__(self, reactor: Any, address: str, port: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._place = address, port
        self._values: dict[bytes, bytes] = {}
        self._listening: Any = None

    def put(self, name: str, token: str, value: str) -> None:
        """Called in another thread. Raises OSError where the port cannot be opened."""
        blockingCallFromThread(self._reactor, self._put, token.encode(), value.encode())

    def remove(self, name: str, token: str, value: str) -> None:
        """Called in another thread; the last one closes the port."""
        blockingCallFromThread(self._reactor, self._remove, token.encode())

    def render_GET(self, request: IRequest) -> bytes:  # noqa: N802
        """The value of an open question."""
        token = request.path.removeprefix(PREFIX) if request.path.startswith(PREFIX) else b""
        value = self._values.get(token)
        request.setHeader(b"content-type", b"application/octet-stream")
        if value is None:
            request.setResponseCode(404)
            return b""
        return value

    def _put(self, token: bytes, value: bytes) -> None:
        self._values[token] = value
        if self._listening is None:
            address, port = self._place
            site = Site(self, reactor=self._reactor, timeout=PATIENCE)
            site.noisy = False
            try:
                self._listening = self._reactor.listenTCP(port, site, interface=address)
            except CannotListenError as error:
                raise OSError(f"tcp port {port} of {address} cannot be opened: {error.socketError}") from None

    def _remove(self, token: bytes) -> Any:
        self._values.pop(token, None)
        if not self._values and self._listening is not None:
            listening, self._listening = self._listening, None
            return listening.stopListening()
        return None


class HookAnswers:
    """Answers to DNS-01 (RFC 8555 section 8.4), by a program of the operator's."""

    kind = "dns-01"

    def __init__(self, program: Path) -> None:
        self._program = program

    def put(self, name: str, token: str, value: str) -> None:
        """Raises OSError where the program fails; its words are not told, since it may know passwords."""
        self._run("add", name, value)

    def remove(self, name: str, token: str, value: str) -> None:
        """A record that stays harms nobody."""
        try:
            self._run("remove", name, value)
        except OSError:
            return

    def _run(self, verb: str, name: str, value: str) -> None:
        command = [str(self._program), verb, f"_acme-challenge.{name}", value]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=HOOK_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise OSError(f"{self._program} {verb} takes too long") from None
        if done.returncode != 0:
            raise OSError(f"{self._program} {verb} ended with {done.returncode}")
