"""The work of `twist gateway` before there is a gateway.

Here: the options of the command, reading the configuration so that its mistakes are lines and not a
traceback, and putting our log observer in place of twist's. Not here: building the gateway (`service`), which is
imported only when all that went well, since it brings in the reactor that twist's own options may still choose.

    twist -> Options -> make_service -> gateway.app.service.makeService(options) -> IService
"""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from twisted.application.service import IService
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from gateway.base.address_space import reserve_little
from gateway.base.build import build
from gateway.base.unreadable import become_unreadable
from gateway.config.load import load
from gateway.config.model import Configuration, ConfigurationError
from gateway.observe.log import LogOutput


class Options(UsageOptions):
    """The options of `twist gateway`; `configuration` is the contents of `--config`."""

    synopsis = "[options]"
    longdesc = "Runs the TLS/SRTP security gateway that FILE describes."
    optParameters = [["config", "c", None, "The configuration file (TOML); see docs/configuration.md."]]  # noqa: RUF012

    configuration: Configuration
    log_output = LogOutput()
    """Writes the log; another once twist's options are known."""

    def postOptions(self) -> None:
        """Read the file, or end with one line for each mistake in it."""
        if self["config"] is None:
            raise UsageError("--config FILE is needed")
        try:
            self.configuration = load(Path(self["config"]))
        except ConfigurationError as error:
            _give_up(error, self)

    def opt_version(self) -> NoReturn:
        """Print the version and exit."""
        sys.stdout.write(f"{build()}\n")
        raise SystemExit(0)


def make_service(options: Options) -> IService:
    """The gateway as a service that twist starts."""
    # Nothing secret was read so far: the configuration names files of keys and passwords, the gateway opens them.
    become_unreadable()
    reserve_little()
    replace_observer(options)
    makeService = imported_without_collector()

    try:
        return makeService(options)
    except ConfigurationError as error:
        _give_up(error, options)


def imported_without_collector() -> Callable[[Options], IService]:
    """The service's maker. Seven hundred modules come in with it, and hardly anything is thrown away: rounds of the
    garbage collector would be a tenth of the start. Its first look is when all is built (app/administration/lulls)."""
    gc.disable()
    try:
        from gateway.app.service import makeService
    finally:
        gc.freeze()
        gc.enable()
    return makeService


def replace_observer(options: Options) -> None:
    """Make twist write its log through `log`, in the format that it was told."""
    # twist makes its observer from this entry after makeService, so from the first line on secrets are redacted.
    if options.parent is not None and "fileLogObserverFactory" in options.parent:
        options.log_output = LogOutput(options.parent["logFormat"])
        options.parent["fileLogObserverFactory"] = options.log_output


def _give_up(error: ConfigurationError, options: Options) -> NoReturn:
    """One line for each mistake, in the form that the log was to have."""
    log_format, stream = "text", sys.stdout
    if options.parent is not None:
        log_format, stream = options.parent["logFormat"], options.parent["logFile"]
    for line in error.errors:
        LogOutput(log_format).fatal(line, stream)
    raise SystemExit(1)
