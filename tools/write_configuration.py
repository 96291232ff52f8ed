"""Writes the tables of docs/configuration.md: keys with their types, ranges and defaults.

`python -m tools.write_configuration` writes them; with --check it exits 1 where the document says something else. The
explanations come from tools/configuration.toml, and the text around the tables is written by hand.

    Configuration -> a class for each table -> its fields -> a row each: key, allowed values, default, explanation

A key without an explanation, an explanation of no key, a table that the document has no place for: each is an error.
"""

from __future__ import annotations

import inspect
import json
import sys
import tomllib
import typing
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import attrs

from gateway.config.model import Configuration
from tools.documents import placed, write_or_compare

HERE: Final = Path(__file__).parent
DOCUMENT: Final = HERE.parent / "docs" / "configuration.md"
EXPLANATIONS: Final = HERE / "configuration.toml"
BEGIN: Final = "<!-- Written by tools/write_configuration.py from gateway/config and tools/configuration.toml: [{}] -->"
END: Final = "<!-- End of the table. -->"
HEAD: Final = "| key | allowed | default | |\n|---|---|---|---|"
NEEDED: Final = "needed"

READERS: Final = {
    "name": "a name: letters, digits, `.`, `_`, `-`, 63 at most",
    "address": "an IP address",
    "own_address": "an IP address, or `%INTERFACE`, `%INTERFACE/6`, `%`",
    "interface_name": "the name of an interface",
    "host": "a host name or an IP address",
    "domain": "a domain",
    "domains": "domains: one text, or an array",
    "account": "a user name at the provider",
    "codec": "the name of a codec",
    "number_pattern": "a regular expression, 200 characters at most",
    "number_template": "a number, with `\\1` to `\\9`",
    "number_block": "`+NUMBER`, `+FIRST-+LAST`, `+PREFIX*`, or the same without `+`",
    "port_range": "a range within 1024 to 65535, two pairs or more",
    "sip_uri": "a SIP URI without a user part",
    "body_type": "a media type",
    "nameserver": "IP or IP:PORT",
    "relay_node": "HOST:PORT or HOST:PORT=WEIGHT (1 to 999)",
    "ng_listener": "IP:PORT, a port from 1024 to 65279",
    "method": "a SIP method in capitals, not ACK, not CANCEL",
    "share_of_calls": "0 to 1, or a text in percent",
    "dialled_number": "a number as dialled",
    "cipher_list": "a cipher list of OpenSSL",
    "origin": "an origin, such as `https://intranet.example.com`",
    "user": "a user's name or number",
    "user_source": "`local`",
    "network": "an address or a network",
    "proxy": "an address or a network, `/8` (of IPv6 `/16`) or smaller",
    "user_pattern": "a user, with `*` and `?`",
    "destination": "a class, or the beginning of a number",
    "time_window": "hours of a week",
    "time_zone": "a time zone",
    "share": "0.1 to 1.0",
    "region": "a country's two letters",
    "list_url": "a URL: `https://`, or `http://` on this machine",
    "directory_url": "a URL that begins with `https://`",
    "email": "an address of electronic mail",
    "host_name": "a host name",
    "nft_set": "family, table and name of a set",
    "scanner": "4 to 60 characters of a User-Agent",
    "opening_hours": "hours of a week, or an array of them",
    "agent_pattern": "a regular expression, 100 characters at most",
    "event": "an Event, with parameters or without",
    "content_type": "a media type",
    "order_body": "a text, 2,000 bytes at most",
    "length_of_time": "a time such as `12h`, `7d` or `4w`, 366 days at most",
    "event_glob": "an event's name, or many: `security.*`",
    "webhook_url": "a URL that begins with `https://`; `http://` for this machine alone",
    "smtp_server": "HOST:PORT",
    "mail_address": "an address of electronic mail, in ASCII",
    "smtp_user": "a name without blanks",
    "syslog_place": "`tls:HOST:PORT`, `udp:ADDRESS:PORT` or `unix:PATH`",
    "proof": "`certificate`, `token`",
    "store_url": "`rediss://HOST:PORT`, `redis://HOST:PORT`",
    "cluster_mode": "`standby`",
    "receiver": "`tls:HOST:PORT`, `tcp:HOST:PORT` or `udp:ADDRESS:PORT`",
}
"""The words for the values that a reader of gateway/config takes, by its name."""


class Unexplained(Exception):
    """The classes, the explanations and the document do not fit."""


def tables() -> dict[str, type[attrs.AttrsInstance]]:
    """The class of each table of the file, by the table's name."""
    found: dict[str, type[attrs.AttrsInstance]] = {}
    for name, hint in typing.get_type_hints(Configuration).items():
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and attrs.has(part):
                found[name.removesuffix("s") if get_origin(hint) is tuple else name] = part
    return found


def allowed(hint: Any) -> str:
    """The values that a type takes, in words. Raises Unexplained for a type without any."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _of_reader(parts[1])
    if origin is tuple:
        return f"array: {allowed(parts[0])}"
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in parts)
    if origin in (Union, UnionType):
        return " or ".join(allowed(part) for part in parts if part is not type(None))
    if hint is Path:
        return "a file"
    if attrs.has(hint):
        return f"tables of {', '.join(f'`{field.name}`' for field in attrs.fields(hint))}"
    if hint is bool:
        return "`true`, `false`"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ", ".join(f"`{member}`" for member in hint)
    raise Unexplained(f"no words for the values of {hint}")


def _of_reader(reader: Callable[[object], object]) -> str:
    bounds = inspect.getclosurevars(reader).nonlocals
    if {"first", "last"} <= bounds.keys():
        return f"{bounds['first']} to {bounds['last']}"
    if isinstance(words := bounds.get("allowed"), tuple):
        return ", ".join(f"`{word}`" for word in words)
    if reader.__name__ not in READERS:
        raise Unexplained(f"READERS has no words for the values that {reader.__name__} takes")
    return READERS[reader.__name__]


def default(value: object) -> str:
    """A default as it would stand in the file."""
    if value is attrs.NOTHING:
        return NEEDED
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return f"`[{', '.join(json.dumps(str(one)) for one in value)}]`"
    return f"`{json.dumps(value if isinstance(value, (bool, int, float)) else str(value))}`"


def rows(table: str, cls: type[attrs.AttrsInstance], explanations: dict[str, Any]) -> Iterator[str]:
    """A row for each key of a table. Raises Unexplained."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in attrs.fields(cls)}
    explained, words = explanations.get(table, {}), explanations.get("defaults", {}).get(table, {})
    strange = sorted((explained.keys() ^ fields.keys()) | (words.keys() - fields.keys()))
    if strange:
        raise Unexplained(f"{EXPLANATIONS.name} and {cls.__name__} differ in [{table}]: {', '.join(strange)}")
    for key, text in explained.items():
        values = allowed(hints[key])
        if key.endswith("directory"):
            values = values.replace("a file", "a directory")
        yield f"| `{key}` | {values} | {_default(table, fields[key], values, words)} | {' '.join(text.split())} |"


def _default(table: str, field: attrs.Attribute[Any], values: str, words: dict[str, str]) -> str:
    """A key's default; words may stand for none, or for all that is allowed, and never hide another value."""
    told = words.get(field.name)
    if told is None:
        return default(field.default)
    is_all = isinstance(field.default, tuple) and values == f"array: {', '.join(f'`{one}`' for one in field.default)}"
    if field.default is not None and field.default != () and not is_all:
        raise Unexplained(f"[{table}] {field.name} has a default of its own, {default(field.default)}")
    return told


def document(text: str) -> str:
    """The document with its tables as they should be. Raises Unexplained."""
    explanations = tomllib.loads(EXPLANATIONS.read_text(encoding="utf-8"))
    known = tables()
    if strange := sorted(explanations.keys() - known.keys() - {"defaults"}):
        raise Unexplained(f"{EXPLANATIONS.name} explains tables that there are not: {', '.join(strange)}")
    for table, cls in known.items():
        made = "\n".join((HEAD, *rows(table, cls, explanations)))
        try:
            text = placed(text, BEGIN.format(table), END, made)
        except ValueError as error:
            raise Unexplained(f"{DOCUMENT.name} has no place for [{table}]: {error}") from None
    return text


def main(arguments: list[str]) -> int:
    """Write the document, or compare it."""
    try:
        made = document(DOCUMENT.read_text(encoding="utf-8"))
    except Unexplained as error:
        print(error, file=sys.stderr)
        return 1
    return write_or_compare({DOCUMENT: made}, arguments, "python -m tools.write_configuration")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
