"""The tables [[phone]]: a PBX or trunk that does not register, its addresses, its numbers, and its proof.

Here: keys, types and ranges. Not here: mistakes across keys and tables (phone_checks), the PBX while the gateway runs
(gateway/routing/pbx).
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import attrs

from gateway.config import fields
from gateway.config.fields import Network
from gateway.config.structuring import Unacceptable, number
from gateway.config.tables.phones.number_block import NumberBlock, number_block

_ACCOUNT: Final = re.compile(r"[A-Za-z0-9+._~!*'-]{1,64}")


class PbxProof(StrEnum):
    """The proof that a request is of a PBX."""

    CERTIFICATE = "certificate"
    """A client certificate for one of its names, over TLS."""
    ADDRESS = "address"
    """The source of its datagrams, which anybody can forge that can forge a packet on the way."""


class PbxChoice(StrEnum):
    """The order in which addresses are tried, those that do not answer last."""

    ORDER = "order"
    """As they are written."""
    WEIGHT = "weight"
    """By chance, each as likely as its weight."""


def account(value: object) -> str:
    """A user name at a provider. Raises Unacceptable."""
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        raise Unacceptable(value, "a user name as the provider gave it, without @ and domain")
    return value


@attrs.frozen
class FixedPhone:
    """[[phone]]: a PBX or trunk with fixed addresses."""

    name: Annotated[str, fields.name]
    domain: Annotated[str, fields.domain]
    addresses: tuple[Annotated[str, fields.sip_uri], ...]
    """Where calls to it go, all over the same transport: udp or tls."""
    numbers: tuple[Annotated[NumberBlock, number_block], ...]
    """Calls to these are its own, and it may call in their name alone."""
    proof: PbxProof = PbxProof.CERTIFICATE
    sources: tuple[Annotated[Network, fields.network], ...] = ()
    """Where it sends datagrams from, by any port, besides from its addresses."""
    certificate_names: Annotated[tuple[str, ...], fields.domains] = ()
    """The names that its certificate may be for; none: those of its addresses."""
    choice: PbxChoice = PbxChoice.ORDER
    weights: tuple[Annotated[int, number(0, 65535)], ...] = ()
    """One for each address."""
    ping_seconds: Annotated[int, number(0, 3600)] = 30
    """Between two OPTIONS to each of its addresses; 0: it is not asked."""
    trust: Literal["system"] | Path = "system"
    """The authorities that its certificate must come from where the gateway connects to it."""
    certificate: Path | None = None
    private_key: Path | None = None
    """The certificate that the gateway shows it."""
    account: Annotated[str, account] | None = None
    """Its name at the provider, with its password in the domain's `credentials`: challenges of the provider to its
    calls are answered with it. None: the PBX answers them itself."""
    register: bool = False
    """Whether the gateway registers the account at the provider."""
    register_seconds: Annotated[int, number(60, 86400)] = 600
    """The interval that is asked for."""

    @property
    def user(self) -> str:
        """The user part that stands for the whole PBX: its account, else one that is no user's of any credentials."""
        return self.account or f"phone/{self.name}"
