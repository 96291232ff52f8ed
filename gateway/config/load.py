"""The configuration file: TOML in, a whole Configuration out, or every mistake in it at once.

FILE -> tomllib -> structuring (keys, types, values) -> config_checks (names, files, transports) -> Configuration

Every mistake is told at once, one line each: file, path of the key, what was found, what is allowed.
"""

import tomllib
from pathlib import Path

from gateway.config.checks import domain_mistakes, listener_mistakes, media_mistakes, no_phones, provider_mistakes
from gateway.config.fields import Nameserver as Nameserver
from gateway.config.fields import PortRange as PortRange
from gateway.config.model import (
    Admin,
    Configuration,
    ConfigurationError,
    Domain,
    GatewayTerms,
    Listener,
    Media,
    Provider,
)
from gateway.config.structuring import Reader
from gateway.config_tables import Tables


def load(path: Path) -> Configuration:
    """The configuration in the file `path`; raises ConfigurationError with all its mistakes."""
    tables = Tables(_document(path), Reader(path.absolute().parent))
    gateway = tables.one("gateway", GatewayTerms)
    listeners = tables.many("listener", Listener)
    media = tables.one("media", Media)
    providers = tables.many("provider", Provider)
    domains = tables.many("domain", Domain)
    admin = tables.one("admin", Admin, Admin())
    mistakes = [
        *tables.mistakes,
        *tables.unknown(),
        *listener_mistakes(listeners),
        *no_phones(tables.pairs("listener", "side")),
        *media_mistakes(media),
        *provider_mistakes(providers, tables.pairs("listener", "side", "transport")),
        *domain_mistakes(domains, {name for (name,) in tables.pairs("provider", "name")}),
    ]
    if mistakes or gateway is None or media is None or admin is None:
        raise ConfigurationError(tuple(f"{path}: {mistake}" for mistake in mistakes))
    return Configuration(
        gateway=gateway,
        listeners=tuple(entry for _, entry in listeners),
        media=media,
        providers=tuple(entry for _, entry in providers),
        domains=tuple(entry for _, entry in domains),
        admin=admin,
        source=path.absolute(),
    )


def _document(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read: {error.strerror}",)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError((f"{path}: is not UTF-8 at byte {error.start}",)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError((f"{path}: is not TOML: {error}",)) from None
