"""Options of gatewayctl's commands: the gateway that is asked, JSON for machines, and lengths of time.

    --token-file FILE -> kept beside the command's own arguments -> asking.ask

Here: their declaration. Not here: the connection that they lead to (`asking`), options of one command (beside it). An
option may stand before a subcommand's name or after it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from click.core import ParameterSource

from gateway.base.clock import seconds_in
from gateway.observe.clean_text import clean

DEFAULT_URL = "http://127.0.0.1:8080"
TOKEN_FILE, AUTHORITIES = "gatewayctl.token_file", "gatewayctl.authorities"
"""The keys of click's Context.meta that these two options are kept under."""
POSTURE = "/api/v1/posture"
LAST = "last"
"""Where the report of the security posture is asked for, and the word for the last one that was kept."""

Command = TypeVar("Command", bound=Callable[..., None])


def _inherited(context: click.Context, option: click.Parameter, value: object) -> object:
    """An option before a subcommand's name counts where it is not given after it."""
    name, before = str(option.name), context.parent
    is_said = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    if is_said or before is None or before.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return value
    return before.params[name]


def _noted(key: str) -> Callable[[click.Context, click.Parameter, object], None]:
    """Keeps an option's value for the connection, out of the way of the commands."""

    def note(context: click.Context, _: click.Parameter, value: object) -> None:
        if value is not None:
            context.meta[key] = value

    return note


_FILE = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--config",
        type=_FILE,
        envvar="GATEWAY_CONFIG",
        callback=_inherited,
        help="The gateway's configuration file.",
    ),
    click.option(
        "--url",
        envvar="GATEWAY_URL",
        callback=_inherited,
        help=f"Its administration interface (default {DEFAULT_URL}).",
    ),
    click.option(
        "--token-file",
        type=_FILE,
        envvar="GATEWAY_TOKEN_FILE",
        expose_value=False,
        callback=_noted(TOKEN_FILE),
        help="A file that holds a token, and that only its owner may read.",
    ),
    click.option(
        "--authorities",
        type=_FILE,
        envvar="GATEWAY_AUTHORITIES",
        expose_value=False,
        callback=_noted(AUTHORITIES),
        help="The authorities (PEM) that the certificate at --url must come from, instead of the system's.",
    ),
)
as_json_option = click.option("--json", "as_json", is_flag=True, callback=_inherited, help="Print JSON for machines.")


def asking(command: Command) -> Command:
    """The options of every command that asks a running gateway."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return as_json_option(command)


def seconds_of(_: click.Context, __: click.Parameter, length: str | None) -> int | None:
    """The callback of an option for a length of time as people write it, 90, 90s, 30m, 2h, 7d: its seconds. Raises
    click.BadParameter."""
    if length is None:
        return None
    seconds = seconds_in(length.strip())
    if seconds is None:
        raise click.BadParameter(f"{clean(length)}: a length of time is wanted, such as 90s, 30m or 2h")
    return seconds
