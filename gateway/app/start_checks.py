"""The first looks of a start: state that is damaged, limits of the system, listeners that media cannot follow.

None of it keeps telephones from working: bad files are put aside or told, and the start goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.config.model import Configuration, Listener, Media, Side
from gateway.registrar.sqlite_store import prepare_bindings
from gateway.state.rescue import put_aside_unless_readable
from gateway.state.sqlite import StoreUnusable
from gateway.state.table import prepare
from gateway.transport.sockets import raise_open_files

log = Logger()


def put_aside_what_is_bad(state: Path) -> None:
    """Bad files do not keep telephones from working. Raises InUse, for that does."""
    for name, preparation, look in (
        ("bindings.sqlite", prepare_bindings, "SELECT * FROM binding"),
        ("peers.sqlite", prepare, "SELECT * FROM kept"),
        ("calls.sqlite", prepare, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
    ):
        path = state / name
        aside = put_aside_unless_readable(path, preparation, look)
        if aside is not None:
            log.error(
                "{path} cannot be used: what it held is forgotten, and is {aside} now", path=path, aside=aside.name
            )


def go_on_without(failure: Failure) -> None:
    """Files that are kept only help: without it calls go on, and writing it is tried again and again."""
    error = failure.value
    if not isinstance(error, StoreUnusable) or error.in_use:
        failure.raiseException()
    log.error("the gateway goes on without what was kept: {reason}", reason=error)


def allow_connections(configuration: Configuration) -> None:
    """Each connection is an open file, and the usual limit is for interactive programs."""
    files = raise_open_files()
    wanted = sum(listener.connections for listener in configuration.listeners if listener.transport != "udp")
    if files < wanted:
        log.warn("{files} files may be open, fewer than the {wanted} connections allowed", files=files, wanted=wanted)


def compare_versions(configuration: Configuration) -> None:
    """Calls would be set up, and silent."""
    for listener, media in mismatched(configuration):
        kind = "IPv6" if ":" in listener.address else "IPv4"
        log.warn(
            "listener {listener} is {kind}, and media of its side has {media}: who knows {kind} alone hears nothing",
            listener=listener.name,
            kind=kind,
            media=media,
        )


def mismatched(configuration: Configuration) -> Iterator[tuple[Listener, str]]:
    """Listeners whose side has media of the other version of IP, and the address of that media. None with rtpengine,
    whose addresses are its own."""
    if configuration.media.relay != "workers":
        return
    for listener in configuration.listeners:
        media = _address(configuration.media, listener.side)
        if (":" in media) is not (":" in listener.address):
            yield listener, media


def _address(media: Media, side: Side) -> str:
    return (media.phone_address if side is Side.PHONES else media.provider_address) or media.address
