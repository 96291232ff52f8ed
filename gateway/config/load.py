"""The configuration file: TOML in, a whole Configuration out, or every mistake in it at once.

    FILE -> tomllib -> structuring (keys, types, values) -> checks (names, files, transports) -> Configuration

Every mistake is told at once, one line each: file, path of the key, value found, values allowed.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from gateway.config.checks import (
    acme_mistakes,
    admin_mistakes,
    blocklist_mistakes,
    domain_mistakes,
    files_of,
    hep_mistakes,
    media_mistakes,
    no_phones,
    place_mistakes,
    provider_mistakes,
    provisioning_file_mistakes,
)
from gateway.config.fields import Nameserver as Nameserver
from gateway.config.model import (
    Admin,
    Alert,
    AtStop,
    Blocklist,
    Configuration,
    ConfigurationError,
    DefenceTerms,
    Domain,
    FixedPhone,
    GatewaySection,
    Hep,
    Listener,
    Media,
    NetworkTerms,
    NumberRule,
    Posture,
    Provider,
    Provisioning,
    Resync,
    ResyncMake,
    SourceLimits,
)
from gateway.config.named_files import this_user
from gateway.config.structuring import Mistake, Reader, known
from gateway.config.tables.alert_checks import alert_mistakes
from gateway.config.tables.defence_table import defence_mistakes
from gateway.config.tables.limit_table import BUILT_IN, CallLimit, limit_mistakes, regions_of
from gateway.config.tables.listeners.listener_checks import listener_mistakes
from gateway.config.tables.network_table import network_mistakes
from gateway.config.tables.numbers.number_checks import number_mistakes
from gateway.config.tables.optional.cluster_checks import cluster_mistakes
from gateway.config.tables.optional.optional_tables import OPTIONAL
from gateway.config.tables.phones.phone_checks import OtherTables, phone_mistakes
from gateway.config.tables.provisioning_table import provisioning_mistakes
from gateway.config.tables.resync_table import make_mistakes, resync_mistakes
from gateway.config.toml_errors import explained

T = TypeVar("T")

Check = Callable[[list[tuple[str, T]]], Iterable[Mistake]]
"""Finds the mistakes of tables, each given with its path."""

WITH_DEFAULTS: Final[Mapping[str, type[Any]]] = {
    "limits": SourceLimits,
    "defence": DefenceTerms,
    "posture": Posture,
    "resync": Resync,
    "network": NetworkTerms,
}
"""Tables that may be absent, each under the name that it has in a Configuration, too."""


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
        entries = self.any_number(key, cls)
        if not self._array(key):
            self.mistakes.append(Mistake(key, f"is missing: at least one table [[{key}]] is needed"))
        return entries

    def any_number(self, key: str, cls: type[T]) -> list[tuple[str, T]]:
        """The same of tables that need not be there."""
        self._asked.add(key)
        entries = []
        for index, table in enumerate(self._array(key)):
            value, mistakes = self._reader.read(cls, table, f"{key}[{index}]")
            self.mistakes += mistakes
            if value is not None:
                entries.append((f"{key}[{index}]", value))
        return entries

    def checked(self, key: str, cls: type[T], check: Check[T]) -> tuple[T, ...]:
        """The same without their paths, checked by themselves."""
        entries = self.any_number(key, cls)
        self.mistakes += check(entries)
        return tuple(entry for _, entry in entries)

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
    optional: dict[str, Any] = {name: tables.maybe(name, made_of) for name, made_of in OPTIONAL.items()}
    acme = optional["acme"]
    several = _several(tables, OtherTables(listeners, providers, domains))
    others = {name: tables.one(name, made_of, made_of()) for name, made_of in WITH_DEFAULTS.items()}
    mistakes = [
        *tables.mistakes,
        *tables.unknown(),
        *_of_single(gateway, optional["hep"], others),
        *listener_mistakes(listeners, files_of(acme)),
        *no_phones(tables.pairs("listener", "side")),
        *_of_places(others["network"], listeners, media),
        *cluster_mistakes(optional["cluster"], acme, others["network"]),
        *provider_mistakes(providers, tables.pairs("listener", "side", "transport")),
        *admin_mistakes(admin, files_of(acme)),
        *acme_mistakes(acme, [*listeners, *([("admin", admin)] if admin else [])], optional["provisioning"]),
        *_provisioning_mistakes(tables, optional["provisioning"], files_of(acme)),
        *domain_mistakes(domains, providers, {name for (name,) in tables.pairs("provider", "name")}),
    ]
    if mistakes or gateway is None or media is None or admin is None or None in others.values():
        raise ConfigurationError(tuple(f"{path}: {mistake}" for mistake in mistakes))
    return Configuration(
        gateway=gateway,
        listeners=tuple(entry for _, entry in listeners),
        media=media,
        providers=tuple(entry for _, entry in providers),
        domains=tuple(entry for _, entry in domains),
        admin=admin,
        source=path.absolute(),
        **optional,
        **cast("dict[str, Any]", others),
        **several,
    )


def _several(tables: Tables, others: OtherTables) -> dict[str, Any]:
    """The tables that need not be there and may be many, each under the name that it has in a Configuration."""
    limits = partial(limit_mistakes, regions_of(others.domains))
    return {
        "alerts": tables.checked("alert", Alert, alert_mistakes),
        "blocklists": tables.checked("blocklist", Blocklist, blocklist_mistakes),
        "resync_makes": tables.checked("resync_make", ResyncMake, make_mistakes),
        "limit": tables.checked("limit", CallLimit, limits) or BUILT_IN,
        "numbers": tables.checked("number", NumberRule, partial(number_mistakes, others.domains, others.providers)),
        "phones": tables.checked("phone", FixedPhone, partial(phone_mistakes, others)),
    }


def _provisioning_mistakes(tables: Tables, table: Provisioning | None, made: frozenset[Path]) -> Iterator[Mistake]:
    yield from provisioning_mistakes(table)
    listening, domains = tables.pairs("listener", "side", "transport"), tables.pairs("domain", "name")
    yield from provisioning_file_mistakes(table, listening, domains, made)


def _of_single(gateway: GatewaySection | None, hep: Hep | None, tables: dict[str, object]) -> Iterator[Mistake]:
    """The mistakes of tables that there is one of at most, each by itself."""
    if gateway is not None and known(gateway, "stop") is AtStop.KEEP and known(gateway, "keep_calls") is False:
        yield Mistake("gateway.stop", 'found "keep", but keep_calls = false: nothing is kept to go on with')
    yield from hep_mistakes(hep)
    yield from defence_mistakes(cast("DefenceTerms | None", tables["defence"]))
    yield from resync_mistakes(cast("Resync | None", tables["resync"]))


def _of_places(network: Any, listeners: list[tuple[str, Listener]], media: Media | None) -> Iterator[Mistake]:
    """The mistakes of media, and of all addresses of this machine."""
    yield from media_mistakes(media)
    yield from network_mistakes(network)
    yield from place_mistakes(network, listeners, media)


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
