"""The tables [[blocklist]]: addresses that others found guilty, from a file or a URL.

Here: keys, their types, and the mistakes of a table. Not here: reading a list (`security.blocklists`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import attrs

from gateway.config import fields
from gateway.config.structuring import Mistake, Unacceptable, known, one_of, repeated

MOST_LISTS: Final = 16
KEY_PLACE: Final = "{key}"
"""Stands in a URL for the contents of `key_file`."""
_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[!-~]*)?")


def list_url(value: object) -> str:
    """A URL that a list is asked from: over HTTPS, or of this machine, since the answer says which phones to drop."""
    if not isinstance(value, str) or not _URL.fullmatch(value) or not _is_safe(value):
        raise Unacceptable(value, "a URL that begins with https://, or with http:// and a loopback address")
    return value


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


@attrs.frozen
class Blocklist:
    """[[blocklist]]: one list of addresses and networks; packets from them are dropped."""

    name: Annotated[str, fields.name]
    file: Path | None = None
    url: Annotated[str, list_url] | None = None
    """Where it is asked for every hour. Exactly one of the two is given."""
    format: Annotated[str, one_of("plain", "apiban")] = "plain"
    """An address or network a line, or the JSON batches of apiban.org."""
    key_file: Path | None = None
    """A file with the key that stands for {key} in the URL."""


def list_mistakes(entries: list[tuple[str, Blocklist]]) -> Iterator[Mistake]:
    """The mistakes of the tables, each given with its path; those of the files that they name are not among them."""
    if len(entries) > MOST_LISTS:
        yield Mistake("blocklist", f"found {len(entries)} tables, allowed: {MOST_LISTS} at most")
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    for path, entry in entries:
        yield from _mistakes(path, entry)


def _mistakes(path: str, entry: Blocklist) -> Iterator[Mistake]:
    file, url, key_file = (known(entry, key) for key in ("file", "url", "key_file"))
    if (file is None) is (url is None):
        yield Mistake(path, "needs exactly one of file and url")
    if url is None:
        for key in ("key_file", "format"):
            if known(entry, key) not in (None, "plain"):
                yield Mistake(f"{path}.{key}", "is for a list with a url")
    elif (KEY_PLACE in str(url)) is (key_file is None):
        yield Mistake(f"{path}.key_file", f"goes together with {KEY_PLACE} in url")
