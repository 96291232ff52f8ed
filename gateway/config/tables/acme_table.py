"""The table [acme]: certificates from an authority that gives them over the network (RFC 8555)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import attrs

from gateway.config import fields
from gateway.config.structuring import Unacceptable, number

_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[A-Za-z0-9.-]{1,253}")


def directory_url(value: object) -> str:
    """The URL of an authority's directory. Raises Unacceptable."""
    if not isinstance(value, str) or not re.fullmatch(r"https://[A-Za-z0-9.\-\[\]:]+(/[!-~]*)?", value):
        raise Unacceptable(value, "a URL that begins with https://, as the authority names it")
    return value


def email(value: object) -> str:
    """An address of electronic mail. Raises Unacceptable."""
    if not isinstance(value, str) or not _EMAIL.fullmatch(value):
        raise Unacceptable(value, "an address such as ops@example.com")
    return value


@attrs.frozen
class Acme:
    """[acme]: the authority, the names to prove, and the files that are written."""

    directory: Annotated[str, directory_url]
    names: tuple[Annotated[str, fields.host_name], ...]
    """Names that the certificate is for; the first of them is its common name, too."""
    certificate: Path
    """The chain is written here; listeners and [admin] name the same file."""
    private_key: Path
    """And its key here, with mode 0600."""
    agree: bool = False
    """Whether the operator agrees to the authority's terms of service: nothing is asked before."""
    email: Annotated[str, email] | None = None
    """Where the authority sends warnings."""
    trust: Literal["system"] | Path = "system"
    """The authorities of the directory's own certificate."""
    address: Annotated[str, fields.address] = "0.0.0.0"  # noqa: S104 - the authority comes from anywhere
    port: Annotated[int, number(1, 65535)] = 80
    """Where HTTP-01 questions are answered while an order is open; the authority always asks port 80 of each name."""
    hook: Path | None = None
    """A program that sets and removes TXT records instead (DNS-01)."""
    renew_days: Annotated[int, number(1, 365)] = 30
    """A certificate with fewer days left is renewed."""

    @property
    def files(self) -> frozenset[Path]:
        """The files that are written: they may be missing before the first start."""
        return frozenset({self.certificate, self.private_key})
