"""The files that a configuration of the documents names: certificates with their keys, authorities, passwords."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import trustme

CERTIFICATES: Final = ("certificate", "private_key", "trust", "client_trust", "ca")
SECRETS: Final = {
    "credentials": 'alice = "secret"\n4930123450 = "secret"\n',
    "password_file": "secret\n",
    "secret_file": "0123456789abcdef\n",
    "devices": "",
    "key_file": "0123456789abcdef0123456789abcdef",
    "old_key_file": "fedcba9876543210fedcba9876543210",
}


def make_named_files(text: str, directory: Path) -> None:
    """Make every file that a configuration names, right of its kind; relative names are below ``directory``."""
    authority = trustme.CA()
    for table in _tables(tomllib.loads(text)):
        names = [str(table[key]) for key in ("advertised_host", "name") if "." in str(table.get(key, ""))]
        names = names[:1] or ["gw.example.com"]
        leaf = authority.issue_cert(*names)
        made = {
            "certificate": b"".join(pem.bytes() for pem in leaf.cert_chain_pems),
            "private_key": leaf.private_key_pem.bytes(),
            **dict.fromkeys(("trust", "client_trust", "ca"), authority.cert_pem.bytes()),
            **{key: secret.encode() for key, secret in SECRETS.items()},
        }
        for key in {*CERTIFICATES, *SECRETS} & table.keys() - {key for key in table if table[key] == "system"}:
            file = directory / table[key]
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.touch(0o600)
                file.write_bytes(made[key])


def _tables(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in document.values():
        yield from (table for table in (value if isinstance(value, list) else [value]) if isinstance(table, dict))
