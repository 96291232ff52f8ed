"""The configuration: its values, all of them frozen.

Here: one class for each table of the TOML file, with the types and ranges of its keys, and questions that a table
answers by itself. Not here: the form of a single value (`fields`), checks across tables (`checks`), reading a file
(`load`). All paths are absolute.
"""

import re
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import attrs

from gateway.config import fields
from gateway.config.acme_table import Acme as Acme
from gateway.config.admin_table import Admin as Admin
from gateway.config.fields import Nameserver as Nameserver
from gateway.config.fields import PortRange as PortRange
from gateway.config.fields import cipher_list
from gateway.config.hep_table import Hep as Hep
from gateway.config.structuring import number, one_of
from gateway.sdp.crypto import SUITE_NAMES
from gateway.sip.uri import Uri

TLS_VERSIONS = ("1.2", "1.3")
"""Allowed least versions of TLS."""

DIGESTS = ("SHA-256", "SHA-512-256", "MD5")
"""The digest algorithms (RFC 8760) that a challenge may offer."""

DEFAULT_PORTS = PortRange(20000, 29999)
GATHER_US = 100
SILENCE_SECONDS = 60


class ConfigurationError(Exception):
    """The file cannot be used; `errors` holds one line for each mistake in it."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class Side(StrEnum):
    """Which of its two neighbours the gateway faces."""

    PHONES = "phones"
    PROVIDER = "provider"

    @property
    def other(self) -> "Side":
        """The side across the gateway."""
        return Side.PROVIDER if self is Side.PHONES else Side.PHONES


class Security(StrEnum):
    """A domain's demand on the provider leg of its calls."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    OFF = "off"


class Downgrade(StrEnum):
    """The answer to a peer that once did TLS or SRTP and no longer does."""

    ALERT = "alert"
    REFUSE = "refuse"


class MovedPhones(StrEnum):
    """The proof that a phone in a call is the same as before when it comes from another host."""

    REGISTERED = "registered"
    TAGS = "tags"


class SrtpOffer(StrEnum):
    """How SRTP is offered: RTP/SAVP, RTP/AVP with a=crypto (RFC 8643), or both m-lines."""

    SAVP = "savp"
    OSRTP = "osrtp"
    DUAL = "dual"


class Signalling(StrEnum):
    """The signalling of an attempt: TLS only, or a hop in clear."""

    TLS = "tls"
    CLEAR = "clear"


@attrs.frozen
class GatewaySection:
    """[gateway]: the name of this gateway, and the directory for everything that outlives its process."""

    name: Annotated[str, fields.name]
    state_directory: Path
    history_days: Annotated[int, number(1, 3650)] = 30
    """How long calls that ended are kept with their ladders and reasons."""
    nameservers: tuple[Annotated[Nameserver, fields.nameserver], ...] = ()
    """DNS servers to ask; none: those of the system."""
    session_interval: Annotated[int, number(90, 86400)] = 1800
    """Seconds: the longest session interval of a call (RFC 4028 section 4; 90 is the least, section 5)."""
    drain_seconds: Annotated[int, number(0, 86400)] = 8
    """How long calls that are up go on after SIGTERM; 0: they end at once."""


@attrs.frozen
class Listener:
    """[[listener]]: an address and port where SIP arrives, and from which the gateway connects on that side."""

    name: Annotated[str, fields.name]
    side: Side
    transport: Annotated[str, one_of("udp", "tcp", "tls")]
    address: Annotated[str, fields.address]
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
    answers_keepalives: bool = True
    """Whether phones' NOTIFY with Event: keep-alive is answered here and goes no further."""
    trusted_identities: bool = False
    """Whether a phone may name others than itself in the fields beside From (`ingress.own_identities`)."""


@attrs.frozen
class Media:
    """[media]: the relay of RTP, and its ports on this machine."""

    address: Annotated[str, fields.address]
    relay: Annotated[str, one_of("workers", "rtpengine")] = "workers"
    ports: Annotated[PortRange, fields.port_range] = DEFAULT_PORTS
    workers: Annotated[int, number(0, 256)] = 0
    """Worker processes; 0 is one per core."""
    rtpengine: tuple[Annotated[str, fields.relay_node], ...] = ()
    phone_address: Annotated[str, fields.address] | None = None
    provider_address: Annotated[str, fields.address] | None = None
    """Instead of `address` on that side, of either IP version."""
    phone_advertised: Annotated[str, fields.address] | None = None
    provider_advertised: Annotated[str, fields.address] | None = None
    """The address in SDP on that side instead of the bound one, where NAT is between."""
    dscp: Annotated[int, number(0, 63)] = 46
    """Of media packets (RFC 4594: expedited forwarding)."""
    plain_rtcp: tuple[Side, ...] = ()
    """Sides with parties that may send RTCP in clear beside SRTP."""
    constant_ssrc: tuple[Side, ...] = ()
    """Sides with parties that get one SSRC for the whole call."""
    rtp_from_anywhere: tuple[Side, ...] = ()
    """Sides with parties whose RTP in clear may come from another host than SDP or signalling name."""
    follow_port: tuple[Side, ...] = ()
    """Sides with parties that are sent media where theirs come from though the host is the one in their SDP."""
    sequence_restarts: tuple[Side, ...] = ()
    """Sides with parties that begin their sequence again, under the same SSRC and key, after a re-INVITE."""
    gather_us: Annotated[int, number(0, 1_000)] = GATHER_US
    """Microseconds that a busy worker waits for more packets to take at once."""
    silence_seconds: Annotated[int, number(0, 86_400)] = SILENCE_SECONDS
    """Without a packet from either side, after which a call ends; 0: never."""
    ng_listen: Annotated[str, fields.ng_listener] | None = None
    """Where the first worker answers others' NG commands; the next worker has the next port."""


@attrs.frozen
class Provider:
    """[[provider]]: a server that calls and registrations go to, and the expectations on it."""

    name: Annotated[str, fields.name]
    uri: Annotated[str, fields.sip_uri]
    trust: Literal["system"] | Path = "system"
    """The authorities that its certificate must come from."""
    certificate: Path | None = None
    private_key: Path | None = None
    srtp_offer: SrtpOffer = SrtpOffer.SAVP
    suites: tuple[Annotated[str, one_of(*SUITE_NAMES)], ...] = SUITE_NAMES
    """Offered in this order."""
    fallback_uri: Annotated[str, fields.sip_uri] | None = None
    """Where to go when it lacks TLS."""
    tls_minimum: Annotated[str, one_of(*TLS_VERSIONS)] = "1.2"
    ciphers: Annotated[str, cipher_list] | None = None
    """Of TLS 1.2, in OpenSSL's format; None is ours (`transport.tls`)."""
    allow_wildcards: bool = False
    """Whether a certificate for *.example.com may be that of sip.example.com."""
    common_name: bool = False
    """Whether a certificate without subject alternative names may name its host in the common name."""
    ping_seconds: Annotated[int, number(0, 3600)] = 30
    """Between two OPTIONS to each of its hosts; 0: it is not asked."""

    def uri_for(self, signalling: Signalling, *, emergency: bool = False) -> str | None:
        """Where to go over TLS, or in clear; None when the configuration has no such place.

        A URI without a transport may lead to either (NAPTR, RFC 3263): TLS takes the TLS targets only.
        Without a fallback_uri an emergency call goes to the same host over UDP rather than nowhere.
        """
        return _place(self.uri, self.fallback_uri, signalling, emergency)


@attrs.frozen
class Domain:
    """[[domain]]: the policy for all phones and calls of one SIP domain."""

    name: Annotated[str, fields.domain]
    provider: Annotated[str, fields.name]
    security: Security = Security.PREFERRED
    downgrade: Downgrade = Downgrade.ALERT
    challenge: tuple[Annotated[str, fields.method], ...] = ()
    """The methods of the provider's requests that are answered 401 first; none where there are no `credentials`."""
    registered_callers_only: bool = False
    """Whether a phone must be registered under the name that it calls in, emergency numbers excepted."""
    challenge_in_dialog: bool = False
    """Whether requests of these methods within a call are challenged too."""
    challenge_algorithms: tuple[Annotated[str, one_of(*DIGESTS)], ...] = ("SHA-256", "MD5")
    """Offered in this order (RFC 8760 section 2.3)."""
    challenge_exempt: Annotated[tuple[str, ...], fields.domains] = ()
    """Peers that are not challenged: names, proved by certificate or address as `restricted_access_domains`."""
    restricted_access_domains: Annotated[tuple[str, ...], fields.domains] = ()
    restricted_access_keep_hours: Annotated[int, number(0, 8760)] = 24
    """How long the last good addresses count while DNS fails."""
    emergency_numbers: tuple[Annotated[str, fields.dialled_number], ...] = ("112", "911")
    credentials: Path | None = None
    more_bodies: tuple[Annotated[str, fields.body_type], ...] = ()
    """Types of bodies that cross besides those of the list (`b2bua.across.bodies`)."""
    auto_answer: bool = False
    """Whether callers on the provider's side may ask that a phone answer by itself."""

    def is_emergency(self, dialled: str) -> bool:
        """Whether the user part that was dialled is an emergency number; parameters and visual separators do not count.

        The part after the scheme of ``urn:service:sos`` (RFC 5031) is one everywhere, in addition to a domain's own.
        """
        if _EMERGENCY_SERVICE.fullmatch(dialled):
            return True
        user = dialled.partition(";")[0].translate(_VISUAL_SEPARATORS)
        return bool(user) and user in _bare(self.emergency_numbers)


@attrs.frozen
class SourceLimits:
    """[limits]: the share of one source in all that waits for others. Emergency calls have a reserve beyond it."""

    unanswered_calls_per_source: Annotated[int, number(1, 20_000)] = 200
    """Calls that nobody has answered yet, of one address (IPv6: one /64) on the phones' side, whose callers are not
    registered here; an office behind NAT is one address. They have a quarter of the media ports, too."""
    unanswered_calls_per_phone: Annotated[int, number(1, 20_000)] = 500
    """The same of one registered address of record over its own flow, which may be a telephone system's."""
    waiting_mib_per_source: Annotated[int, number(1, 4096)] = 48
    """MiB of requests that wait, and of answers kept for copies of requests, of one address on the phones' side."""
    longest_request_kib: Annotated[int, number(4, 64)] = 32
    """KiB of one request of a phone."""
    waiting_mib: Annotated[int, number(1, 65_536)] = 256
    """The same of all together."""
    wrong_passwords_per_source: Annotated[int, number(1, 100)] = 5
    """Wrong passwords for one user from one address before more are answered here."""
    wrong_passwords_per_user: Annotated[int, number(1, 1000)] = 10
    """The same for one user from all addresses, and from one address for all users, where no phone is known there."""
    wrong_password_seconds: Annotated[int, number(10, 86_400)] = 300
    """Seconds that a wrong password counts."""


@attrs.frozen
class Configuration:
    """A whole configuration; its parts fit each other. `source` is the file it came from."""

    gateway: GatewaySection
    listeners: tuple[Listener, ...]
    media: Media
    providers: tuple[Provider, ...]
    domains: tuple[Domain, ...]
    admin: Admin
    source: Path
    limits: SourceLimits = SourceLimits()
    hep: Hep | None = None
    acme: Acme | None = None


_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")


_EMERGENCY_SERVICE = re.compile(r"service:sos(\..*)?", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=256)
def _bare(numbers: tuple[str, ...]) -> frozenset[str]:
    """A domain's numbers without visual separators."""
    return frozenset(number.translate(_VISUAL_SEPARATORS) for number in numbers)


@lru_cache(maxsize=256)
def _place(main: str, fallback: str | None, signalling: Signalling, emergency: bool) -> str | None:
    """The same of a provider's two URIs: every call asks three times."""
    uri = Uri.parse(main)
    if signalling is Signalling.TLS:
        return main if _may_be_tls(uri) else None
    if not uri.is_secure and uri.transport != "tls" and (uri.transport or not fallback):
        return main
    return fallback or (_over_udp(uri) if emergency else None)


def _may_be_tls(uri: Uri) -> bool:
    return uri.is_secure or uri.transport in (None, "tls")


def _over_udp(uri: Uri) -> str:
    return str(attrs.evolve(uri, scheme="sip", port=None, parameters=(("transport", "udp"),), headers=""))
