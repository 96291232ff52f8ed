"""A pool with two real workers, or the rtpengines that are named, driven by lines on standard input.

The lines: offer NAME, calls, lost, up, pids.

A process of its own, because a test of survivors of a gateway has to kill one.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from twisted.internet import reactor as _reactor  # noqa: TID251  (this is a program)
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver

from gateway.config.model import Media, PortRange, Side
from gateway.media.configured_nodes import NodeServices, nodes_for
from gateway.media.pool import RelayPool
from gateway.media.relay import Encryption, SdpWish

reactor: Any = _reactor
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Commands(LineOnlyReceiver):
    """One reply a line, in JSON."""

    delimiter = b"\n"

    def __init__(self, pool: RelayPool) -> None:
        self._pool = pool
        self._lost: list[str] = []

    def media_lost(self, calls: tuple[str, ...]) -> None:
        self._lost.extend(calls)

    def media_ended(self, calls: tuple[str, ...]) -> None:
        """Nobody asks for these."""

    def media_mismatched(self, calls: tuple[str, ...]) -> None:
        """Nor for these."""

    def media_in_clear(self, calls: tuple[str, ...]) -> None:
        """Nor for these."""

    def connectionMade(self) -> None:
        self._pool.start(self).addCallbacks(
            lambda _: self._reply(True), lambda failure: self._reply(str(failure.value))
        )

    def lineReceived(self, line: bytes) -> None:
        command, *words = line.decode().split()
        pool = self._pool
        if command == "offer":
            wish = SdpWish(Side.PROVIDER, Encryption.SAVP, ("AEAD_AES_128_GCM",))
            waiting: Deferred[bytes] = pool.offer(words[0], "caller", SDP, wish)
            waiting.addCallbacks(lambda _: self._reply(True), lambda failure: self._reply(str(failure.value)))
            return
        replies: dict[str, object] = {
            "calls": list(pool.calls),
            "lost": self._lost,
            "up": [node.is_up for node in pool.nodes],
            "pids": [node.worker_pid for node in pool.nodes],
        }
        self._reply(replies[command])

    def _reply(self, value: object) -> None:
        self.sendLine(json.dumps(value).encode())  # type: ignore[no-untyped-call]


def main(state: str, address: str, *rtpengines: str) -> None:
    media = Media(address=address, ports=PortRange(31000, 31099), workers=2)
    if rtpengines:
        media = Media(address=address, relay="rtpengine", rtpengine=rtpengines)
    pool = RelayPool(reactor, nodes_for(NodeServices(reactor, reactor, reactor, reactor), media, Path(state)))
    reactor.addSystemEventTrigger("before", "shutdown", pool.stop)
    StandardIO(Commands(pool))
    reactor.run()


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    main(*sys.argv[1:])
