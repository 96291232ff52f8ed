"""This machine, as a start of the gateway would find it: addresses, ports, and the state directory.

    Configuration -> mistakes(): no gateway would start    doubts(): one would, and somebody should look

Nothing that is made here stays: a port is bound and let go at once, a directory is made inside the first one that is
there and removed. A gateway that runs holds its own ports; it is known by the lock on its state directory, and then no
port is looked at. Not here: the contents of files (`named_contents`), the configuration by itself (`config.checks`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import tempfile
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from gateway.base.network import kernel
from gateway.base.network.dhcp.lease_ask import ClientSilent, NotForUs, asked_client
from gateway.config.model import Configuration, NetworkMode, Side
from gateway.config.named_files import this_user
from gateway.config.placement import at_addresses, present_addresses, without_address
from gateway.config.places import NamedInterface
from gateway.config.structuring import Mistake

_LOCKED_BYTES: Final = (0x40000000, 512)
"""Where sqlite locks a file: first byte and number of bytes (https://sqlite.org/src/file/src/os.h, PENDING_BYTE)."""

_FLOCK: Final = "hhqqi4x"
"""struct flock of 64-bit Linux: type, whence, start, length, process."""

_READ_ALL_THE_SAME: Final = (errno.EROFS, errno.ENOSPC, errno.EDQUOT)

ROLL_OUT_OPEN: Final = "rollout-open"
"""The file in the state directory that is there while phones are led to TLS."""

Place = tuple[str, str, str, int]
"""Path of the table, "udp" or "tcp", address, port (0: any)."""


def mistakes(configuration: Configuration) -> Iterator[Mistake]:
    """All that would keep the gateway from starting here."""
    state = configuration.gateway.state_directory
    yield from (fault for fault, ends_start in _state_faults(state) if ends_start)
    is_running = running_gateway(state) is not None
    present = _present(configuration)
    yield from without_address(configuration, present)
    for path, kind, address, port in _places(configuration, present):
        error = _refusal(kind, address, 0)
        if error is not None:
            yield Mistake(f"{path}.address" if "." not in path else path, _no_address(address, error))
        elif port and not is_running and _number(_refusal(kind, address, port)) == errno.EADDRINUSE:
            look = f"ss -l{kind[0]}np 'sport = :{port}'"
            yield Mistake(
                _port_key(path), f"{kind} port {port} of {address} is taken by another program ({look} shows it)"
            )


def doubts(configuration: Configuration) -> Iterator[Mistake]:
    """All that should be looked at, though the gateway would start."""
    state = configuration.gateway.state_directory
    yield from (fault for fault, ends_start in _state_faults(state) if not ends_start)
    is_clear = any(one.side is Side.PHONES and not one.is_encrypted for one in configuration.listeners)
    if not is_clear and (state / ROLL_OUT_OPEN).exists():
        told = "no listener of the phones' side is left without TLS, and a roll-out is not over: a phone that fails "
        yield Mistake("listener", f"{told}has no way back (gatewayctl rollout shows it)")
    yield from _lease_doubts(configuration)
    for path, kind, address, port in _places(configuration, _present(configuration)):
        if 0 < port < 1024 and _number(_refusal(kind, address, port)) == errno.EACCES:
            yield Mistake(
                _port_key(path), f"{this_user()} may not open port {port}: it is below 1024 (CAP_NET_BIND_SERVICE)"
            )


def _lease_doubts(configuration: Configuration) -> Iterator[Mistake]:
    """The DHCP client of mode dhcp, as it answers: the gateway would start without it, and know of no lease."""
    terms = configuration.network
    if terms.mode is not NetworkMode.DHCP:
        return
    try:
        report = asked_client(terms.helper, terms.helper_user).report
    except NotForUs:
        return  # root and the gateway's user may ask
    except ClientSilent as failure:
        yield Mistake("network.helper", f"the DHCP client: {failure} (systemctl status gateway-network)")
        return
    if report.interface != terms.interface:
        told = f"the DHCP client is for {report.interface}, found {terms.interface}"
        yield Mistake("network.interface", f"{told}: its --interface and this have to be the same")
    elif report.lease is None:
        why = f": {report.refused}" if report.refused else ""
        yield Mistake("network.mode", f"the DHCP client has no lease for {report.interface} ({report.state}){why}")
    for one in report.others:
        yield Mistake("network.mode", f"another DHCP server answers on {report.interface}: {one.address} ({one.mac})")


def running_gateway(state: Path) -> int | None:
    """The process of the gateway that has a state directory; None where there is none, or the file is not readable."""
    try:
        with (state / "bindings.sqlite").open("rb") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *_LOCKED_BYTES, 0)
            kind, _, _, _, process = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK else process


def _present(configuration: Configuration) -> dict[NamedInterface, str]:
    return present_addresses(configuration, kernel.RunningKernel().first_address)


def _places(written: Configuration, present: Mapping[NamedInterface, str]) -> Iterator[Place]:
    """Every address of this machine that the configuration names, or that an interface has which it names, and the port
    to be opened there."""
    configuration = at_addresses(written, present)
    yield from (place for place in _named_places(configuration) if not place[2].startswith("%"))


def _named_places(configuration: Configuration) -> Iterator[Place]:
    for index, listener in enumerate(configuration.listeners):
        kind = "udp" if listener.transport == "udp" else "tcp"
        yield f"listener[{index}]", kind, listener.address, listener.port
    yield "admin", "tcp", configuration.admin.address, configuration.admin.port
    yield from _provisioning_places(configuration)
    media = configuration.media
    if media.relay == "workers":
        for key in ("phone_address", "provider_address", "address"):
            is_unused = key == "address" and media.phone_address and media.provider_address
            if (address := getattr(media, key)) is not None and not is_unused:
                yield f"media.{key}", "udp", address, 0


def _provisioning_places(configuration: Configuration) -> Iterator[Place]:
    table, phones = configuration.provisioning, configuration.phone_listener("tls")
    if table is None or phones is None:
        return
    for key, kind in (("https_port", "tcp"), ("http_port", "tcp"), ("tftp_port", "udp")):
        if port := getattr(table, key):
            yield f"provisioning.{key}", kind, table.address or phones.address, port


def _port_key(path: str) -> str:
    return path if path.endswith("_port") else f"{path}.port"


def _refusal(kind: str, address: str, port: int) -> OSError | None:
    """The system's reason not to open a port; None when it does."""
    try:
        socket_type = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket_type, flags=socket.AI_NUMERICHOST)[0]
        with socket.socket(family, socket_type) as probe:
            if kind == "tcp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Twisted does: TIME_WAIT is no mistake
            probe.bind(place)
    except OSError as error:
        return error
    return None


def _number(error: OSError | None) -> int | None:
    return None if error is None else error.errno


def _no_address(address: str, error: OSError) -> str:
    if error.errno != errno.EADDRNOTAVAIL:
        return f"{address} cannot be used here: {error.strerror}"
    own = ", ".join(own_addresses())
    return f"{address} is no address of this machine" + (f", which has {own}" if own else "")


def own_addresses() -> list[str]:
    """The addresses of this machine that others may reach, as the kernel lists them; link-local ones left out. None
    where it cannot be asked."""
    try:
        found = [ip_address(one.address) for one in kernel.own_addresses()]
    except OSError:
        return []
    return list(dict.fromkeys(str(one) for one in found if not one.is_loopback and not one.is_link_local))


def _state_faults(directory: Path) -> Iterator[tuple[Mistake, bool]]:
    """The mistake of a directory that cannot be made or written to, and whether it ends a start.

    A file system that is full or mounted read-only does not, once the directory is there: the kept files only help.
    """
    key, there = "gateway.state_directory", directory
    while not there.exists() and there != there.parent:
        there = there.parent
    what = f"{directory} cannot be made" if there != directory else f"{directory} cannot be written to"
    try:
        Path(tempfile.mkdtemp(prefix=".check-", dir=there)).rmdir()
    except NotADirectoryError:
        yield Mistake(key, f"{what}: {there} is no directory"), True
    except PermissionError:
        yield Mistake(key, f"{what} by {this_user()}: it may not write to {there}"), True
    except OSError as error:
        is_kept_reading = there == directory and error.errno in _READ_ALL_THE_SAME
        yield Mistake(key, f"{what}: {there} takes no directory ({error.strerror})"), not is_kept_reading
