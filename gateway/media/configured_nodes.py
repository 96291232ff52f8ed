"""The nodes that a configuration asks for: worker processes with their shares of the ports, or rtpengines.

The sockets live in `<state directory>/media`: `worker-*.sock` belong to the workers and are named after a worker's
command line, so that a changed configuration starts new workers beside the old ones, which end with their calls.
"""

from __future__ import annotations

import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorProcess, IReactorTime, IReactorUDP, IReactorUNIXDatagram

from gateway.base.media_ports import PortRange
from gateway.config.model import Media, Side
from gateway.media.ng_sockets import udp_client, unix_client
from gateway.media.node import Node
from gateway.media.relay import RelayFailure
from gateway.media.worker_process import WorkerOptions, WorkerProcess, is_answered

LONGEST_SOCKET_NAME: Final = 32
"""Bytes of the name of a socket and its slash, at most."""

LONGEST_SOCKET_PATH: Final = 107
"""Bytes of a UNIX socket's path (unix(7))."""


@attrs.frozen
class NodeServices:
    """The reactor, once for each of its interfaces that nodes need."""

    clock: IReactorTime
    udp: IReactorUDP
    unix: IReactorUNIXDatagram
    processes: IReactorProcess


def nodes_for(
    services: NodeServices, media: Media, state_directory: Path, written: Media | None = None
) -> tuple[Node, ...]:
    """Nodes, not yet started. ``written`` are the media with interfaces in the place of their addresses, if any is.
    RelayFailure when the state directory cannot hold sockets, or an address is not ours."""
    if media.relay == "rtpengine":
        return tuple(_rtpengine(services, node, media.rtp_from_anywhere) for node in media.rtpengine)
    _check_addresses(media)
    directory = _socket_directory(state_directory)
    count = media.workers or len(os.sched_getaffinity(0))
    shares = media.ports.shares(count)
    return tuple(
        _worker(services, directory, (media, written or media), share, index) for index, share in enumerate(shares)
    )


def _check_addresses(media: Media) -> None:
    """Better no start than calls without audio."""
    for key in ("phone_address", "provider_address", "address"):
        address = getattr(media, key)
        if address is None or (key == "address" and media.phone_address and media.provider_address):
            continue
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 0))
        except OSError as error:
            raise RelayFailure(f"media.{key}: {address} cannot be used: {error.strerror}") from None


def interfaces(media: Media) -> tuple[str, ...]:
    """One for each side, named like it, as workers and rtpengine write them: NAME/ADDRESS!ADVERTISED."""
    sides = (
        (Side.PHONES, media.phone_address, media.phone_advertised),
        (Side.PROVIDER, media.provider_address, media.provider_advertised),
    )
    return tuple(
        f"{side}/{address or media.address}" + (f"!{advertised}" if advertised else "")
        for side, address, advertised in sides
    )


async def move(nodes: Iterable[Node], media: Media) -> None:
    """Have the media of new calls at other addresses, of the workers among these nodes. Those of calls that are up stay
    where they are. Raises RelayFailure, once all were asked."""
    failures = []
    for node in nodes:
        try:
            await node.move(interfaces(media))
        except RelayFailure as failure:
            failures.append(f"{node.name}: {failure}")
    if failures:
        raise RelayFailure("; ".join(failures))


def _worker(services: NodeServices, directory: Path, both: tuple[Media, Media], ports: PortRange, index: int) -> Node:
    """``both`` are the media at their addresses, and as they are written: a worker is found again by these, since it
    may have moved from one address to another."""
    media, written = both
    options = WorkerOptions(
        directory / "worker.sock",
        interfaces(media),
        ports.first,
        ports.last,
        media.dscp,
        plain_rtcp=media.plain_rtcp,
        constant_ssrc=media.constant_ssrc,
        rtp_from_anywhere=media.rtp_from_anywhere,
        follow_port=media.follow_port,
        sequence_restarts=media.sequence_restarts,
        loop=media.loop,
        gather_us=media.gather_us,
        media_timeout=float(media.silence_seconds),
        ng=_ng_address(media.ng_listen, index),
    )
    named = attrs.evolve(options, interfaces=interfaces(written))
    identity = sha256(" ".join(named.command()[1:]).encode()).hexdigest()[:8]
    options = attrs.evolve(options, socket=directory / f"worker-{identity}.sock", follows=written != media)
    # In containers every gateway is process 1: the name must not be another's that uses the directory at this moment.
    own = directory / f"gateway-{secrets.token_hex(4)}-{index}.sock"
    for path in (options.socket, own):
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            raise RelayFailure(f"{path} is too long for a UNIX socket: choose a shorter state_directory")
    process = WorkerProcess(services.clock, services.processes, options)
    return Node(f"worker {index}", unix_client(services.clock, services.unix, own, options.socket), process)


def _ng_address(first: str | None, index: int) -> str | None:
    """Of the worker with that number: each has the port after the one before."""
    if first is None:
        return None
    host, _, port = first.rpartition(":")
    return f"{host}:{int(port) + index}"


def _rtpengine(services: NodeServices, written: str, heard_from_anywhere: Collection[str]) -> Node:
    """From HOST:PORT or HOST:PORT=WEIGHT."""
    address, _, weight = written.partition("=")
    host, _, port = address.rpartition(":")
    client = udp_client(services.clock, services.udp, host.strip("[]"), int(port))
    return Node(f"rtpengine {address}", client, None, int(weight or 1), heard_from_anywhere)


def _is_read_only(directory: Path) -> bool:
    """Whether its file system was mounted so, or became so after an error of the disk."""
    return directory.exists() and bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def _socket_directory(state_directory: Path) -> Path:
    """Made if need be, for this user alone, and rid of sockets without a listener.

    A state directory with a long path, or one that nothing can be written to, has them in the directory for temporary
    files, under a name of its own.
    """
    directory = state_directory / "media"
    is_long = len(os.fsencode(directory)) + LONGEST_SOCKET_NAME > LONGEST_SOCKET_PATH
    if is_long or _is_read_only(state_directory):
        named = sha256(os.fsencode(state_directory)).hexdigest()[:12]
        directory = Path(tempfile.gettempdir()) / f"gateway-{os.getuid()}-{named}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
            raise RelayFailure(f"{directory}: is not a directory of this user alone")
        for path in directory.glob("*.sock"):
            if not is_answered(path):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise RelayFailure(f"{directory} cannot hold the workers' sockets: {error}") from None
    return directory
