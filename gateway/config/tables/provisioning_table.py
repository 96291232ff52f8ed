"""The table [provisioning]: files that lead phones to this gateway, and the ways in which they are given.

Here: keys, their types, and the mistakes of the table. Not here: the file of devices that it names (device_file.py),
the files of phones themselves (`gateway.provisioning`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import attrs

from gateway.config import fields
from gateway.config.structuring import Mistake, Unacceptable, known, number, one_of

LATER: Final = ("password", "address")
"""Proofs that are thought of and not there."""


def proof(value: object) -> str:
    """The proof that a phone gives of itself. Raises Unacceptable."""
    if value in LATER:
        raise Unacceptable(value, f"certificate, token; this version takes no {value} for a proof")
    return one_of("certificate", "token")(value)


@attrs.frozen
class Provisioning:
    """[provisioning]: the server of files for phones."""

    name: Annotated[str, fields.domain]
    """The host in the URLs that phones are given; the certificate must be for it."""
    devices: Path
    """The file of devices, with mode 0600 since it may hold passwords."""
    address: Annotated[str, fields.address] | None = None
    """Where it listens; None: at the address of the phones' first TLS listener."""
    https_port: Annotated[int, number(0, 65535)] = 8443
    """0: none."""
    certificate: Path | None = None
    private_key: Path | None = None
    """None: those of the phones' first TLS listener."""
    http_port: Annotated[int, number(0, 65535)] = 0
    """0: none. Nothing with a secret is given there, but profiles that are encrypted by themselves."""
    tftp_port: Annotated[int, number(0, 65535)] = 0
    """0: none."""
    pnp: bool = False
    """Whether phones are answered that ask everybody (224.0.1.75), on the network of ``address``, in a window."""
    directory: Path | None = None
    """Templates of the operator, which come before those of the same name that are built in."""
    mode: Annotated[str, one_of("overlay", "full")] = "overlay"
    """Settings of security alone, or everything that a phone needs."""
    client_trust: Path | None = None
    """The authorities of makers, which vouch for the hardware address in a phone's certificate."""
    proof: tuple[Annotated[str, proof], ...] = ("certificate", "token")
    """The proofs of a phone that count."""
    ca: Path | None = None
    """The authority of this server's certificate, for phones that do not know it."""
    ntp: Annotated[str, fields.host] | None = None
    """A time server, for phones without one: without a clock they refuse each certificate."""
    requests_per_source: Annotated[int, number(1, 1_000)] = 5
    """Requests a second of one address, ten times as many at once."""
    transfers: Annotated[int, number(1, 1_000)] = 50
    """Transfers over TFTP at once."""


def provisioning_mistakes(table: Provisioning | None) -> Iterator[Mistake]:
    """The mistakes of the table by itself, if there is one."""
    if table is None:
        return
    if not (known(table, "https_port") or known(table, "http_port")):
        yield Mistake("provisioning.https_port", "is 0, and http_port too: no phone could get its file")
    if known(table, "proof") == ():
        yield Mistake("provisioning.proof", "is empty: no phone could prove itself; allowed: certificate, token")
    if known(table, "proof") == ("certificate",) and known(table, "client_trust") is None:
        yield Mistake("provisioning.client_trust", 'is missing: proof = ["certificate"] needs authorities')
    if known(table, "pnp") is True:
        if not known(table, "http_port") and known(table, "client_trust") is None:
            yield Mistake("provisioning.pnp", "needs http_port: a phone that knows nothing gets its first file there")
        address = known(table, "address")
        if isinstance(address, str) and ":" in address:
            yield Mistake("provisioning.pnp", f"phones ask 224.0.1.75, and address is {address}: an IPv4 address")
    name = known(table, "name")
    if isinstance(name, str) and fields.is_address(name):
        yield Mistake("provisioning.name", f'found "{name}", allowed: a host name, which a certificate can be for')
