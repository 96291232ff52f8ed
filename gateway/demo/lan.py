"""The demonstration within reach of real phones: the gateway's phone side on an address of this machine's network.

    demo.toml, HOST -> the same with phones' listeners and media at HOST, and a listener for TLS -> a file in state/demo

HOST is an address of this machine, or a name that leads to one; the certificate of the TLS listener is for it, by the
development authority. The provider's side and the administration stay on loopback. Not here: the play, and the words
for the user of a phone (printout).
"""

from __future__ import annotations

import json
import socket
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from gateway.config.fields import host as read_host
from gateway.config.structuring import Unacceptable
from gateway.ctl.this_machine import own_addresses
from gateway.demo.devcerts import AUTHORITY, make_for

TLS_PORT = 5061

_FILES = ("state_directory", "certificate", "private_key", "client_trust", "trust", "credentials")
"""Keys that name files."""


class NotOurs(Exception):
    """HOST is of another machine, or nobody's; str() is for a person at the terminal."""


@frozen
class LanHost:
    """Where phones of the network reach the demonstration."""

    name: str
    """As it was given: the name in the certificate."""
    address: str
    authority: Path
    """The file that a phone has to trust before it speaks TLS with us."""


def lan_host(given: str, certificates: Path) -> LanHost:
    """The host for phones; a certificate for it is made among the development certificates. Raises NotOurs."""
    try:
        if "%" in given:
            raise Unacceptable(given, "an address without a zone")
        address = socket.getaddrinfo(read_host(given), None, type=socket.SOCK_DGRAM)[0][4][0]
        with socket.socket(socket.AF_INET6 if ":" in str(address) else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except (OSError, Unacceptable):
        own = ", ".join(own_addresses()) or "none that others reach"
        raise NotOurs(f"{given!r} leads to no address of this machine, which has: {own}") from None
    make_for(certificates, given, str(address), datetime.now(tz=UTC))
    return LanHost(given, str(address), AUTHORITY.certificate(certificates))


def written_for(configuration: Path, host: LanHost) -> Path:
    """The file of a configuration that is the given one's, with the phones' side at that host."""
    document = tomllib.loads(configuration.read_text(encoding="utf-8"))
    base = configuration.absolute().parent
    for table in _tables(document):
        table.update({key: str(base / table[key]) for key in _FILES if key in table and table[key] != "system"})
    phones = [listener for listener in document["listener"] if listener["side"] == "phones"]
    for listener in phones:
        listener["address"] = host.address
    document["listener"].append(_tls_listener(host))
    document["media"]["phone_address"] = host.address
    file = Path(document["gateway"]["state_directory"]) / "demo" / "lan.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(as_toml(document), encoding="utf-8")
    return file


def _tls_listener(host: LanHost) -> dict[str, Any]:
    directory = host.authority.parent.absolute()
    return {
        "name": "phones-tls",
        "side": "phones",
        "transport": "tls",
        "address": host.address,
        "port": TLS_PORT,
        "certificate": str(directory / f"phones-{host.name}.pem"),
        "private_key": str(directory / f"phones-{host.name}.key"),
    }


def _tables(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in document.values():
        yield from value if isinstance(value, list) else [value]


def as_toml(document: dict[str, Any]) -> str:
    """Tables, and arrays of tables, of strings, numbers, booleans and arrays of those: all that a configuration has."""
    lines = []
    for name, value in document.items():
        for table in value if isinstance(value, list) else [value]:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            # A string of JSON is a basic string of TOML, but for the one character that JSON leaves as it is.
            lines += [f"{key} = {json.dumps(item)}".replace("\x7f", "\\u007f") for key, item in table.items()]
            lines.append("")
    return "\n".join(lines)
