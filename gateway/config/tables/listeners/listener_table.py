"""[[listener]]: an address and port where SIP arrives, its transport, its limits, and its certificates.

Here: the values. Not here: checks across keys (listener_checks.py), sockets (gateway/transport).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import attrs

from gateway.config import fields
from gateway.config.fields import cipher_list
from gateway.config.places import own_address
from gateway.config.structuring import number, one_of
from gateway.config.tables.provider_table import TLS_VERSIONS

ENCRYPTED: Final = ("tls", "wss")
"""The transports that run over TLS."""


class Side(StrEnum):
    """Which of its two neighbours the gateway faces."""

    PHONES = "phones"
    PROVIDER = "provider"

    @property
    def other(self) -> "Side":
        """The side across the gateway."""
        return Side.PROVIDER if self is Side.PHONES else Side.PHONES


class MovedPhones(StrEnum):
    """The proof that a phone in a call is the same as before when it comes from another host."""

    REGISTERED = "registered"
    TAGS = "tags"


@attrs.frozen
class NamedCertificate:
    """One more certificate of a TLS listener, for clients that ask for its names (SNI, RFC 6066 section 3)."""

    certificate: Path
    """The full chain."""
    private_key: Path


@attrs.frozen
class Listener:
    """[[listener]]: an address and port where SIP arrives, and from which the gateway connects on that side."""

    name: Annotated[str, fields.name]
    side: Side
    transport: Annotated[str, one_of("udp", "tcp", "tls", "wss")]
    address: Annotated[str, own_address]
    """Numeric in a gateway that runs: an interface is replaced by its address (gateway.config.placement)."""
    port: Annotated[int, number(0, 65535)]
    """0 takes any free port, which only tests want."""
    advertised_host: Annotated[str, fields.host] | None = None
    """The host in Via and Contact instead of `address`."""
    certificate: Path | None = None
    private_key: Path | None = None
    client_trust: Path | None = None
    """The authorities that client certificates must come from; None asks for none."""
    require_client_certificate: bool = False
    """Whether a client without a certificate is turned away."""
    tls_minimum: Annotated[str, one_of(*TLS_VERSIONS)] = "1.2"
    ciphers: Annotated[str, cipher_list] | None = None
    """Of TLS 1.2, in OpenSSL's format; None is ours (`transport.tls`)."""
    connections: Annotated[int, number(1, 1_000_000)] = 20_000
    """Accepted connections that may be up at once."""
    connections_per_source: Annotated[int, number(1, 1_000_000)] = 1_000
    """Of those, from one address (IPv6: one /64); a whole office may share one."""
    new_connections_per_source: Annotated[int, number(1, 100_000)] = 50
    """A second, once twice as many as may be up have come at once: the limit of a source's cost in TLS handshakes."""
    moved_phones: MovedPhones = MovedPhones.REGISTERED
    """The phones that are followed to another host in mid-call; `tags`: all that know the dialog."""
    dscp: Annotated[int, number(0, 63)] = 24
    """Of packets sent from here and over its connections (RFC 4594: class selector 3)."""
    nat_interval: Annotated[int, number(0, 3600)] = 60
    """Seconds that a phone is granted at most whose Contact is not where its packets come from; 0: as any other."""
    nat_ping_seconds: Annotated[int, number(0, 3600)] = 0
    """Between two OPTIONS to such a phone over UDP; 0: none."""
    answers_keepalives: bool = True
    """Whether phones' NOTIFY with Event: keep-alive is answered here and goes no further."""
    trusted_identities: bool = False
    """Whether a phone may name others than itself in the fields beside From (`ingress.own_identities`)."""
    certificates: tuple[NamedCertificate, ...] = ()
    """Beside `certificate`, which serves clients that name nobody, or a name of none of these."""
    origins: tuple[Annotated[str, fields.origin], ...] = ()
    """The pages whose scripts may connect to a wss listener, as browsers name them (RFC 6454); no others may."""

    @property
    def is_encrypted(self) -> bool:
        """Whether messages come to it over TLS."""
        return self.transport in ENCRYPTED
