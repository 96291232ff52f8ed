"""The configuration file: TOML in, a whole Configuration out, or every mistake in it at once.

    FILE -> tomllib -> structuring (keys, types, values) -> checks (names, files, transports) -> Configuration

Every mistake is told at once, one line each: file, path of the key, value found, values allowed.
"""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from gateway.config.checks import (
    acme_mistakes,
    admin_mistakes,
    domain_mistakes,
    files_of,
    hep_mistakes,
    listener_mistakes,
    media_mistakes,
    no_phones,
    provider_mistakes,
)
from gateway.config.fields import Nameserver as Nameserver
from gateway.config.fields import PortRange as PortRange
from gateway.config.model import (
    Acme,
    Admin,
    Configuration,
    ConfigurationError,
    Domain,
    GatewaySection,
    Hep,
    Listener,
    Media,
    Provider,
    SourceLimits,
)
from gateway.config.named_files import this_user
from gateway.config.structuring import Mistake, Reader
from gateway.config.toml_errors import explained

T = TypeVar("T")


class Tables:
    """A document's tables as values; `mistakes` grows as they are asked for."""

    def __init__(self, document: dict[str, object], reader: Reader) -> None:
        self._document = document
        self._reader = reader
        self._asked: set[str] = set()
        self.mistakes: list[Mistake] = []

    def one(self, key: str, cls: type[T], default: T | None = None) -> T | None:
        """The table [key], `default` where it is absent; where it is wrong, a stand-in (`PartlyRead`), or None."""
        self._asked.add(key)
        if key not in self._document:
            if default is None:
                self.mistakes.append(Mistake(key, f"is missing: a table [{key}] is needed"))
            return default
        value, mistakes = self._reader.read(cls, self._document[key], key)
        self.mistakes += mistakes
        return value

    def maybe(self, key: str, cls: type[T]) -> T | None:
        """The table [key]; None where it is absent."""
        self._asked.add(key)
        return self.one(key, cls) if key in self._document else None

    def many(self, key: str, cls: type[T]) -> list[tuple[str, T]]:
        """The tables [[key]], each with its path, such as `listener[0]`; for a wrong one a stand-in (`PartlyRead`)."""
        self._asked.add(key)
        entries = []
        for index, table in enumerate(self._array(key)):
            value, mistakes = self._reader.read(cls, table, f"{key}[{index}]")
            self.mistakes += mistakes
            if value is not None:
                entries.append((f"{key}[{index}]", value))
        if not self._array(key):
            self.mistakes.append(Mistake(key, f"is missing: at least one table [[{key}]] is needed"))
        return entries

    def pairs(self, key: str, *columns: str) -> set[tuple[object, ...]]:
        """The values in `columns` of the tables [[key]], wrong ones too: a wrong provider is no unknown provider."""
        rows = [table for table in self._array(key) if isinstance(table, dict)]
        return {tuple(str(table.get(column)) for column in columns) for table in rows}

    def unknown(self) -> Iterator[Mistake]:
        """One mistake for each table that nobody asked for."""
        allowed = ", ".join(sorted(self._asked))
        for key in sorted(self._document.keys() - self._asked):
            yield Mistake(key, f"is no table here, allowed: {allowed}")

    def _array(self, key: str) -> Sequence[object]:
        value = self._document.get(key, [])
        return value if isinstance(value, list) else [value]


def load(path: Path) -> Configuration:
    """The configuration in the file `path`; raises ConfigurationError with all its mistakes."""
    tables = Tables(_document(path), Reader(path.absolute().parent))
    gateway = tables.one("gateway", GatewaySection)
    listeners = tables.many("listener", Listener)
    media = tables.one("media", Media)
    providers = tables.many("provider", Provider)
    domains = tables.many("domain", Domain)
    admin = tables.one("admin", Admin, Admin())
    hep = tables.maybe("hep", Hep)
    acme = tables.maybe("acme", Acme)
    made = files_of(acme)
    limits = tables.one("limits", SourceLimits, SourceLimits())
    mistakes = [
        *tables.mistakes,
        *tables.unknown(),
        *listener_mistakes(listeners, made),
        *no_phones(tables.pairs("listener", "side")),
        *media_mistakes(media),
        *provider_mistakes(providers, tables.pairs("listener", "side", "transport")),
        *admin_mistakes(admin, made),
        *hep_mistakes(hep),
        *acme_mistakes(acme, [*listeners, *([("admin", admin)] if admin else [])]),
        *domain_mistakes(domains, providers, {name for (name,) in tables.pairs("provider", "name")}),
    ]
    if mistakes or gateway is None or media is None or admin is None or limits is None:
        raise ConfigurationError(tuple(f"{path}: {mistake}" for mistake in mistakes))
    return Configuration(
        gateway=gateway,
        listeners=tuple(entry for _, entry in listeners),
        media=media,
        providers=tuple(entry for _, entry in providers),
        domains=tuple(entry for _, entry in domains),
        admin=admin,
        source=path.absolute(),
        limits=limits,
        hep=hep,
        acme=acme,
    )


def _document(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # with a byte order mark, too, as some editors write it
    except PermissionError:
        raise ConfigurationError((f"{path}: cannot be read by {this_user()}",)) from None
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read: {error.strerror}",)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError((f"{path}: is not UTF-8 at byte {error.start}",)) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError((f"{path}: is not TOML: {explained(error, text)}",)) from None
