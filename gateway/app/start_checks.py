"""The first looks of a start: state that is damaged, limits of the system, listeners that media cannot follow.

None of it keeps telephones from working: bad files are put aside or told, and the start goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.network.kernel import RunningKernel
from gateway.config.model import Configuration, ConfigurationError
from gateway.config.named_files import this_user
from gateway.config.placement import placed
from gateway.config.structuring import Mistake
from gateway.registrar.sqlite_store import prepare_bindings
from gateway.state.devices.device_table import prepare_devices
from gateway.state.listing.call_table import prepare_calls
from gateway.state.rescue import put_aside_unless_readable
from gateway.state.sqlite import StoreUnusable
from gateway.state.table import prepare
from gateway.transport.sockets import raise_open_files

log = Logger()


def made_state_directory(configuration: Configuration) -> Path:
    """The state directory, made for this user alone unless it is there. Raises ConfigurationError with its key."""
    directory = configuration.gateway.state_directory
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        told = f"gateway.state_directory: {directory} cannot be made by {this_user()}: {error.strerror}"
        raise ConfigurationError((f"{configuration.source}: {told}",)) from None
    return directory


def on_this_machine(configuration: Configuration) -> Configuration:
    """The configuration with the addresses that its interfaces have now. Raises ConfigurationError."""
    return placed(configuration, RunningKernel().first_address)


def put_aside_what_is_bad(state: Path) -> None:
    """Bad files do not keep telephones from working. Raises InUse, for that does."""
    for name, preparation, look in (
        ("bindings.sqlite", prepare_bindings, "SELECT * FROM binding"),
        ("peers.sqlite", prepare, "SELECT * FROM kept"),
        ("sources.sqlite", prepare, "SELECT * FROM kept"),
        ("limits.sqlite", prepare, "SELECT * FROM kept"),
        ("bans.sqlite", prepare, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
        ("devices.sqlite", prepare_devices, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
        ("deviations.sqlite", prepare, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
        ("provisioning.sqlite", prepare, "SELECT * FROM kept"),
        ("rollouts.sqlite", prepare, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
        ("posture.sqlite", prepare, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
        ("probes.sqlite", prepare, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
        ("calls.sqlite", prepare_calls, "SELECT * FROM kept ORDER BY at DESC LIMIT 1000"),
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


def tell(doubts: Iterable[Mistake]) -> None:
    """A warning for each thing that somebody should look at, though the gateway starts."""
    for doubt in doubts:
        log.warn("{key}: {doubt}", key=doubt.path, doubt=doubt.text)
