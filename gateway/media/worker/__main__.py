"""A media worker's process: `python -m gateway.media.worker --socket PATH --interface IP --ports FIRST-LAST`.

It outlives the signalling process, so that a restarted one finds it, and its calls, at the same socket: it is a
session leader and ignores SIGINT. It ends at SIGTERM as soon as it has no calls, and by itself when it has none and
was asked nothing for `--idle` seconds. Its messages go to standard error and never hold keys; its memory does, and is
closed to others before there is a socket that keys could come by.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import signal
import sys
from pathlib import Path
from time import monotonic
from typing import TextIO, cast

from gateway.base.address_space import reserve_little
from gateway.base.unreadable import become_unreadable
from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.loop import GATHER_SECONDS
from gateway.media.worker.ng.commands import CallTimeouts, Commands
from gateway.media.worker.ng.listener import NgListener, SocketTaken, bound, bound_udp
from gateway.media.worker.packet_loop import AUTO, LOOPS, chosen
from gateway.media.worker.port_pool import PoolOptions
from gateway.media.worker.streams.endpoint import StreamServices
from gateway.media.worker.streams.quirks import Quirks
from gateway.media.worker.web.handshakes import DtlsHandshakes
from gateway.observe.lines import LineOutput
from gateway.rtp.srtp import PacketBuffer, in_place_works


class Worker:
    """Joins the loop, the ports, the commands and the sockets for NG."""

    def __init__(self, options: argparse.Namespace) -> None:
        first, _, last = options.ports.partition("-")
        ports = PoolOptions("", int(first), int(last), options.quarantine, options.dscp << 2)
        in_place = in_place_works()
        if not in_place:
            print("media worker: pylibsrtp's binding has changed; using its slower public calls", file=sys.stderr)
        buffer = PacketBuffer(in_place)
        packets = chosen(options.loop, self._tick, buffer, options.gather / 1e6)
        self.loop = packets.loop
        self._interfaces = Interfaces(options.interfaces, ports, self.loop)
        quirks = Quirks(
            frozenset(options.plain_rtcp),
            frozenset(options.constant_ssrc),
            anywhere=frozenset(options.rtp_from_anywhere),
            follow_port=frozenset(options.follow_port),
            restarts=frozenset(options.sequence_restarts),
        )
        self._handshakes = DtlsHandshakes(self.loop)
        services = StreamServices(
            self.loop,
            self.loop.clock,
            self._interfaces,
            buffer,
            packets.hot_path,
            packets.counters,
            quirks,
            self._handshakes,
        )
        timeouts = CallTimeouts(options.media_timeout)
        self._path: Path = options.socket
        own = Commands(services, timeouts, is_owner=True)
        self._listeners = [NgListener(bound(self._path), own, self.loop)]
        # Others' calls are kept apart from the gateway's: neither sees nor ends the other's.
        self._ng: tuple[str, int] | None = _host_and_port(options.ng)
        self._others = Commands(services, timeouts)
        self._idle: float = options.idle
        self._told: float | None = None
        self._complaint: int | None = None

    def run(self) -> None:
        """Until told to end, or until it is not needed."""
        for listener in self._listeners:
            self.loop.watch(listener.socket, listener.receive)
        self._listen()
        # Nothing on the way of packets makes cycles, and ended calls break theirs: counting references is enough.
        gc.collect()
        gc.freeze()
        gc.disable()
        self.loop.run()
        self._path.unlink(missing_ok=True)

    def end(self, *_signal: object) -> None:
        """End as soon as there are no calls."""
        self._told = monotonic()

    def _tick(self, now: float) -> None:
        self._listen()
        heard = max(listener.heard for listener in self._listeners)
        is_orphaned = 0 < self._idle < now - heard
        if self.loop.is_free:
            self._handshakes.load()
            self._interfaces.expire(now)
            for listener in self._listeners:
                listener.commands.expire(is_orphaned)
        if any(listener.commands.calls for listener in self._listeners):
            return
        # Asked anything after it was told to end, it has a new master and stays.
        is_dismissed = self._told is not None and heard <= self._told
        if is_dismissed or is_orphaned:
            self.loop.running = False

    def _listen(self) -> None:
        """Open the NG port for others, sooner or later: an earlier worker may have it until its calls end."""
        if self._ng is None:
            return
        try:
            own = bound_udp(*self._ng)
        except OSError as error:
            if error.errno != self._complaint:
                print(f"media worker: NG at {self._ng[0]} port {self._ng[1]}: {error.strerror}", file=sys.stderr)
            self._complaint = error.errno
            return
        self._ng = None
        listener = NgListener(own, self._others, self.loop)
        self._listeners.append(listener)
        self.loop.watch(own, listener.receive)


def main(arguments: list[str] | None = None) -> int:
    """Run a worker; 0 when it ended in order, 1 when it could not start."""
    options = _parser().parse_args(arguments)
    become_unreadable()
    reserve_little()
    # The reader of standard error may stop reading, or be gone: packets do not wait for it.
    sys.stderr = cast(TextIO, LineOutput(sys.stderr))
    _raise_file_limit()
    if os.getpgrp() != os.getpid():
        os.setsid()
    try:
        worker = Worker(options)
    except SocketTaken as error:
        print(f"media worker: {error} is taken by a live worker", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"media worker: cannot start: {error}", file=sys.stderr)
        return 1

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.end)
    worker.run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gateway.media.worker", description="An RTP and SRTP relay.")
    parser.add_argument("--socket", type=Path, required=True, help="UNIX datagram socket for NG")
    parser.add_argument(
        "--interface",
        "--address",
        dest="interfaces",
        action="append",
        required=True,
        metavar="[NAME/]ADDRESS[!ADVERTISED]",
        help="IP address of media ports, of the parties that NG's `direction` names so, and what SDP says instead",
    )
    parser.add_argument("--ports", required=True, help="FIRST-LAST")
    parser.add_argument("--quarantine", type=float, default=10.0, help="seconds a port stays bound and silent")
    parser.add_argument("--media-timeout", type=float, default=60.0, help="seconds of silence that end a call; 0: none")
    parser.add_argument(
        "--gather",
        type=float,
        default=1e6 * GATHER_SECONDS,
        help="microseconds that a busy worker lets packets gather to take several at once; 0: none",
    )
    parser.add_argument("--loop", choices=LOOPS, default=AUTO, help="of packets: in C, in Python, or as it was built")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds without calls or questions; 0: for ever")
    for quirk, what in (
        ("--plain-rtcp", "take RTCP in clear beside SRTP from parties on that interface"),
        ("--constant-ssrc", "send parties on that interface one SSRC"),
        ("--rtp-from-anywhere", "take RTP in clear of parties on that interface from any host"),
        ("--follow-port", "send to the port that media come from, even where the host is the SDP's"),
        ("--sequence-restarts", "let parties on that interface begin their sequence again after a re-INVITE"),
    ):
        parser.add_argument(quirk, action="append", default=[], metavar="NAME", help=what)
    parser.add_argument("--ng", metavar="HOST:PORT", help="answer NG over UDP there, in JSON or bencoding, too")
    parser.add_argument("--dscp", type=int, default=46, help="DSCP of media packets")
    return parser


def _host_and_port(written: str | None) -> tuple[str, int] | None:
    if written is None:
        return None
    host, _, port = written.rpartition(":")
    return host.strip("[]"), int(port)


def _raise_file_limit() -> None:
    """A call takes six descriptors or more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
