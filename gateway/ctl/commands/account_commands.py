"""Commands about users, tokens and the audit of a running gateway.

Here: `users`, `tokens` and `audit`. Not here: asking (`asking`), the rules (the gateway has them), other commands
(`main`). A password is asked for twice, or read from standard input; it is never an argument, which every user of the
machine could read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import cast

import attrs
import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking
from gateway.state.audit_chain import verify_file

_ROLES = click.Choice(["viewer", "operator", "admin"])
_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from a line of standard input.")
_USERS, _TOKENS = "/api/v1/users", "/api/v1/tokens"


@click.group()
def users() -> None:
    """Users of the administration interface: they log in, and their role says what they may do."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True, help="viewer reads, operator switches, admin configures.")
@_from_stdin
@asking
def add_user(name: str, role: str, password_stdin: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """Make a user. The first one ends the time in which this machine needs no log-in."""
    change = {"name": name, "role": role, "password": _password(password_stdin)}
    show(ask(config, url, _USERS, change), as_json, lambda _: f"{name} may log in as {role}")


@users.command("list")
@asking
def list_users(config: Path | None, url: str | None, as_json: bool) -> None:
    """All users, with their roles and open sessions."""
    show(ask(config, url, _USERS), as_json, text.table)


@users.command()
@click.argument("name")
@asking
def disable(name: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Let a user log in no more, and end its sessions."""
    show(ask(config, url, _of(name, "disable"), {}), as_json, lambda _: f"{name} is disabled")


@users.command()
@click.argument("name")
@asking
def enable(name: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Let a user that was disabled log in again."""
    show(ask(config, url, _of(name, "enable"), {}), as_json, lambda _: f"{name} may log in again")


@users.command()
@click.argument("name")
@click.argument("role", type=_ROLES)
@asking
def role(name: str, role: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Give a user another role; it counts at once."""
    show(ask(config, url, _of(name, "role"), {"role": role}), as_json, lambda _: f"{name} is {role}")


@users.command()
@click.argument("name")
@_from_stdin
@asking
def password(name: str, password_stdin: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """Give a user another password, and end its sessions."""
    answer = ask(config, url, _of(name, "password"), {"password": _password(password_stdin)})
    show(answer, as_json, lambda _: f"the password of {name} is changed")


@users.command()
@asking
def sessions(config: Path | None, url: str | None, as_json: bool) -> None:
    """The sessions that are open, the latest in use first."""
    show(ask(config, url, "/api/v1/sessions"), as_json, text.table)


@users.command("end-sessions")
@click.argument("name")
@asking
def end_sessions(name: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """End all sessions of a user."""
    show(ask(config, url, _of(name, "end-sessions"), {}), as_json, text.table_of_one)


@users.command("second-factor")
@click.argument("name")
@click.option("--set", "to", flag_value="set", help="Make a new key and recovery codes, and show them this once.")
@click.option("--remove", "to", flag_value="none", help="Ask for the password alone, for a lost telephone.")
@asking
def second_factor(name: str, to: str | None, config: Path | None, url: str | None, as_json: bool) -> None:
    """Set up or remove a user's second factor. Users can do that themselves, on the page of their account."""
    if to is None:
        raise click.UsageError("--set or --remove is needed")
    show(ask(config, url, _of(name, "second-factor"), {"to": to}), as_json, text.table_of_one)


@click.group()
def tokens() -> None:
    """Tokens of programs: Authorization: Bearer gwt_..."""


@tokens.command("create")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True, help="viewer reads, operator switches, admin configures.")
@click.option("--days", type=int, help="How long it counts; as long as [admin] token_days allows unless told.")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to a new file that only you may read.")
@asking
def create_token(
    name: str, role: str, days: int | None, out: Path | None, config: Path | None, url: str | None, as_json: bool
) -> None:
    """Make a token. It is shown this once."""
    descriptor = None if out is None else _new_private(out)
    try:
        longest = {} if days is None else {"days": days}
        answer = ask(config, url, _TOKENS, {"name": name, "role": role, **longest})
    except click.ClickException:
        if descriptor is not None and out is not None:
            os.close(descriptor)
            out.unlink()
        raise
    if descriptor is None:
        show(answer, as_json, lambda found: str(cast("dict[str, object]", found)["token"]))
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{cast('dict[str, object]', answer)['token']}\n")
    click.echo(f"the token {name} is in {out}")


@tokens.command("list")
@asking
def list_tokens(config: Path | None, url: str | None, as_json: bool) -> None:
    """All tokens, and when each was last used since the gateway started."""
    show(ask(config, url, _TOKENS), as_json, text.table)


@tokens.command()
@click.argument("name")
@asking
def revoke(name: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Take a token's right at once."""
    show(ask(config, url, f"{_TOKENS}/{quoted(name)}/revoke", {}), as_json, lambda _: f"the token {name} is revoked")


@click.group()
def audit() -> None:
    """The record of changes: author, place, subject and time of each."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, help="How many entries (50).")
@asking
def list_audit(limit: int, config: Path | None, url: str | None, as_json: bool) -> None:
    """The latest entries, the newest first."""
    show(ask(config, url, f"/api/v1/audit?limit={limit}"), as_json, text.audit)


@audit.command()
@click.option("--file", type=click.Path(path_type=Path), help="This file, without asking a gateway.")
@click.option("--last", metavar="DIGEST", help="The digest that the file's last line has to have.")
@asking
def verify(file: Path | None, last: str | None, config: Path | None, url: str | None, as_json: bool) -> None:
    """Whether the chain of the audit is whole. The running gateway also knows the line that has to be the last."""
    answer = ask(config, url, "/api/v1/audit/verify") if file is None else _judged(file, last)
    show(answer, as_json, text.audit_judgement)
    if not isinstance(answer, dict) or answer.get("faults"):
        raise SystemExit(1)


def _judged(file: Path, last: str | None) -> object:
    try:
        found = verify_file(file, last)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    return {**attrs.asdict(found), "faults": [*found.faults]}  # lists, as an answer of the gateway has them


def _of(name: str, verb: str) -> str:
    return f"{_USERS}/{quoted(name)}/{verb}"


def _password(is_from_stdin: bool) -> str:
    if is_from_stdin:
        return sys.stdin.readline().rstrip("\n")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt="The same again")
    return typed


def _new_private(file: Path) -> int:
    """Made before the token, so that none is lost to a directory that takes no file."""
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
