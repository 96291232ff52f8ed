"""Checks of the tables [[alert]]: each has the keys of its kind, and no others; its files are there and private."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from gateway.config.named_files import file_mistakes, private_file_mistakes
from gateway.config.structuring import Mistake, each, known, repeated
from gateway.config.tables.alert_table import Alert, SyslogPlace

MOST: Final = 20
"""Receivers."""
_NEEDED: Final = {
    "webhook": ("url", "secret_file"),
    "email": ("smtp", "sender", "recipients"),
    "syslog": ("syslog",),
    "log": (),
}
_ALLOWED: Final = {
    "webhook": ("trust",),
    "email": ("smtp_security", "user", "password_file", "trust"),
    "syslog": ("format", "facility", "trust"),
    "log": (),
}
_COMMON: Final = ("name", "to", "events", "least")
_FILES: Final = ("secret_file", "password_file")


def alert_mistakes(entries: list[tuple[str, Alert]]) -> Iterator[Mistake]:
    """The mistakes of the tables, each given with its path."""
    if len(entries) > MOST:
        yield Mistake("alert", f"found {len(entries)} tables, allowed: {MOST} at most")
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    yield from each(entries, _files, _keys, _log_in)


def _keys(path: str, entry: Alert) -> Iterator[Mistake]:
    """Keys that are missing, and keys of other kinds. Raises Unread."""
    for key in _NEEDED[entry.to]:
        if not getattr(entry, key):
            yield Mistake(f"{path}.{key}", f'is missing: to = "{entry.to}" needs it')
    mine = {*_COMMON, *_NEEDED[entry.to], *_ALLOWED[entry.to]}
    for field in attrs.fields(Alert):
        if field.name not in mine and known(entry, field.name) not in (None, field.default):
            yield Mistake(f"{path}.{field.name}", f'is no key of to = "{entry.to}"')
    place = entry.syslog
    if isinstance(place, SyslogPlace) and place.transport != "tls" and entry.trust != "system":
        yield Mistake(f"{path}.trust", "is for a syslog receiver over tls")


def _log_in(path: str, entry: Alert) -> Iterator[Mistake]:
    """A user without a password, a password without a user, and one that would go in clear. Raises Unread."""
    if (entry.user is None) is not (entry.password_file is None):
        missing = "user" if entry.user is None else "password_file"
        yield Mistake(f"{path}.{missing}", "is missing: user and password_file go together")
    if entry.password_file is not None and entry.smtp_security == "none":
        yield Mistake(f"{path}.smtp_security", 'found "none", allowed with a password: starttls, tls')


def _files(path: str, entry: Alert) -> Iterator[Mistake]:
    yield from file_mistakes(path, entry, *_FILES, "trust")
    for key in _FILES:
        yield from private_file_mistakes(path, entry, key)
