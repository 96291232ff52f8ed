"""The configuration: its values, and reading them from a file.

What lives here: one frozen class for each table of the TOML file, what holds between tables, and `load`. What does
not: what a single value may be (`config_fields`), how tables become values (`config_tables`, `structuring`). Every
mistake is told at once, one line each: file, path of the key, what was found, what is allowed. All paths are absolute
after `load`.

    FILE -> tomllib -> structuring (keys, types, values) -> checks (names, files, transports) -> Configuration
"""

import os
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import attrs

from gateway import config_fields as fields
from gateway.cipher_list import cipher_list
from gateway.config_fields import Nameserver as Nameserver
from gateway.config_fields import PortRange as PortRange
from gateway.config_tables import Tables
from gateway.structuring import Mistake, Reader, Unacceptable, number, one_of, shown

SUITES = ("AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
"""The SDES suites (RFC 4568, RFC 7714) that the media relay implements, in the order they are offered by default."""

TLS_VERSIONS = ("1.2", "1.3")
"""What the least version of TLS may be set to."""

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


class Security(StrEnum):
    """What a domain demands of the provider leg of its calls."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    OFF = "off"


class Downgrade(StrEnum):
    """What happens when a peer that once did TLS or SRTP no longer does."""

    ALERT = "alert"
    REFUSE = "refuse"


class SrtpOffer(StrEnum):
    """How SRTP is offered: RTP/SAVP, RTP/AVP with a=crypto (RFC 8643), or both m-lines."""

    SAVP = "savp"
    OSRTP = "osrtp"
    DUAL = "dual"


@attrs.frozen
class GatewayTerms:
    """[gateway]: what this gateway is called and where it keeps what must outlive it."""

    name: Annotated[str, fields.name]
    state_directory: Path
    history_days: Annotated[int, number(1, 3650)] = 30
    """How long calls that ended are kept with their ladders and reasons."""
    nameservers: tuple[Annotated[Nameserver, fields.nameserver], ...] = ()
    """Who is asked for names; none: those of the system."""


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
    """What Via and Contact say instead of `address`."""
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
    """A second, once twice as many as may be up have come at once: what a source may cost in TLS handshakes."""
    dscp: Annotated[int, number(0, 63)] = 24
    """Of what is sent from here and over its connections (RFC 4594: class selector 3)."""


@attrs.frozen
class Media:
    """[media]: who relays RTP, and on which ports of this machine."""

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
    """What SDP names on that side instead of the address that is bound, where NAT is between."""
    dscp: Annotated[int, number(0, 63)] = 46
    """Of media packets (RFC 4594: expedited forwarding)."""
    plain_rtcp: tuple[Side, ...] = ()
    """Sides whose parties may send RTCP in clear beside SRTP."""
    constant_ssrc: tuple[Side, ...] = ()
    """Sides whose parties get one SSRC for the whole call."""
    gather_us: Annotated[int, number(0, 1_000)] = GATHER_US
    """Microseconds that a busy worker waits for more packets to take at once."""
    silence_seconds: Annotated[int, number(0, 86_400)] = SILENCE_SECONDS
    """Without a packet from either side, after which a call ends; 0: never."""
    ng_listen: Annotated[str, fields.ng_listener] | None = None
    """Where the first worker answers others' NG commands; the next worker has the next port."""


@attrs.frozen
class Provider:
    """[[provider]]: a server that calls and registrations go to, and what is expected of it."""

    name: Annotated[str, fields.name]
    uri: Annotated[str, fields.sip_uri]
    trust: Literal["system"] | Path = "system"
    """The authorities that its certificate must come from."""
    certificate: Path | None = None
    private_key: Path | None = None
    srtp_offer: SrtpOffer = SrtpOffer.SAVP
    suites: tuple[Annotated[str, one_of(*SUITES)], ...] = SUITES
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
    """Of the peers, who is not challenged: names, proved by certificate or address as `restricted_access_domains`."""
    restricted_access_domains: Annotated[tuple[str, ...], fields.domains] = ()
    restricted_access_keep_hours: Annotated[int, number(0, 8760)] = 24
    """How long the last good addresses count while DNS fails."""
    emergency_numbers: tuple[Annotated[str, fields.dialled_number], ...] = ("112", "911")
    credentials: Path | None = None


@attrs.frozen
class Admin:
    """[admin]: where the administration interface listens."""

    address: Annotated[str, fields.address] = "127.0.0.1"
    port: Annotated[int, number(0, 65535)] = 8080


@attrs.frozen
class Configuration:
    """A whole configuration whose parts fit each other; `source` is the file it came from."""

    gateway: GatewayTerms
    listeners: tuple[Listener, ...]
    media: Media
    providers: tuple[Provider, ...]
    domains: tuple[Domain, ...]
    admin: Admin
    source: Path


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
        *_listener_mistakes(listeners),
        *_no_phones(tables.pairs("listener", "side")),
        *_media_mistakes(media),
        *_provider_mistakes(providers, tables.pairs("listener", "side", "transport")),
        *_domain_mistakes(domains, {name for (name,) in tables.pairs("provider", "name")}),
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


def _listener_mistakes(entries: list[tuple[str, Listener]]) -> Iterator[Mistake]:
    yield from _repeated("name", [(path, entry.name) for path, entry in entries])
    yield from _repeated("port", [(path, _endpoint(entry)) for path, entry in entries if entry.port])
    for path, entry in entries:
        yield from _identity_mistakes(path, entry.certificate, entry.private_key)
        yield from _file_mistakes(path, "client_trust", entry.client_trust)
        if entry.transport == "tls" and entry.certificate is None and entry.private_key is None:
            yield Mistake(f"{path}.certificate", "is missing: a tls listener needs certificate and private_key")
        if entry.transport != "tls":
            yield from _pointless(path, entry)
        if entry.require_client_certificate and entry.client_trust is None:
            yield Mistake(f"{path}.client_trust", "is missing: require_client_certificate needs it")
        if entry.address in ("0.0.0.0", "::") and entry.advertised_host is None:  # noqa: S104
            yield Mistake(f"{path}.advertised_host", f"is missing: nobody can answer to {shown(entry.address)}")


def _no_phones(sides: set[tuple[object, ...]]) -> Iterator[Mistake]:
    if sides == {(str(Side.PROVIDER),)}:
        yield Mistake("listener", 'none has side = "phones", at least one is needed')


def _pointless(path: str, entry: Listener) -> Iterator[Mistake]:
    """What would protect a listener that it cannot protect: nobody may believe that it does."""
    for key, is_set in (
        ("require_client_certificate", entry.require_client_certificate),
        ("tls_minimum", entry.tls_minimum != TLS_VERSIONS[0]),
        ("ciphers", entry.ciphers is not None),
    ):
        if is_set:
            yield Mistake(f"{path}.{key}", f'is for transport = "tls", found {shown(entry.transport)}')


def _media_mistakes(media: Media | None) -> Iterator[Mistake]:
    if media is None:
        return
    if media.relay == "rtpengine" and not media.rtpengine:
        yield Mistake("media.rtpengine", 'is missing: relay = "rtpengine" needs at least one HOST:PORT')
    if media.relay == "rtpengine":
        yield from _workers_only_mistakes(media)
    yield from _media_address_mistakes(media)
    if media.workers > len(media.ports) // 4:
        yield Mistake(
            "media.workers", f"found {media.workers}, allowed: {len(media.ports) // 4} at most, 4 ports for each"
        )


def _workers_only_mistakes(media: Media) -> Iterator[Mistake]:
    """What an rtpengine cannot do: nobody may believe that it does."""
    for key, is_set in (
        ("plain_rtcp", media.plain_rtcp),
        ("constant_ssrc", media.constant_ssrc),
        ("ng_listen", media.ng_listen),
        ("gather_us", media.gather_us != GATHER_US),
        ("silence_seconds", media.silence_seconds != SILENCE_SECONDS),
    ):
        if is_set:
            yield Mistake(f"media.{key}", 'is for relay = "workers", found "rtpengine"')


def _media_address_mistakes(media: Media) -> Iterator[Mistake]:
    for side, own, advertised in (
        ("phone", media.phone_address, media.phone_advertised),
        ("provider", media.provider_address, media.provider_advertised),
    ):
        address = own or media.address
        key = f"media.{side}_advertised"
        if advertised is None and address in ("0.0.0.0", "::"):  # noqa: S104
            yield Mistake(key, f"is missing: nobody can send media to {shown(address)}")
        if advertised is not None and (":" in advertised) is not (":" in address):
            yield Mistake(key, f"found {shown(advertised)}, allowed: the IP version of {shown(address)}")


def _provider_mistakes(entries: list[tuple[str, Provider]], listening: set[tuple[object, ...]]) -> Iterator[Mistake]:
    yield from _repeated("name", [(path, entry.name) for path, entry in entries])
    for path, entry in entries:
        yield from _identity_mistakes(path, entry.certificate, entry.private_key)
        if isinstance(entry.trust, Path):
            yield from _file_mistakes(path, "trust", entry.trust)
        yield from _transport_mistakes(f"{path}.uri", entry.uri, listening)
        if entry.fallback_uri is not None:
            yield from _transport_mistakes(f"{path}.fallback_uri", entry.fallback_uri, listening)
        if not entry.suites or len(set(entry.suites)) < len(entry.suites):
            yield Mistake(f"{path}.suites", f"found none or one twice, allowed: each once of {', '.join(SUITES)}")


def _transport_mistakes(path: str, uri: str, listening: set[tuple[object, ...]]) -> Iterator[Mistake]:
    """The gateway answers where it calls from, so each transport it uses needs a listener on that side."""
    transport = fields.uri_transport(uri)
    offered = {pair[1] for pair in listening if pair[0] == Side.PROVIDER}
    if transport is None and not offered:
        yield Mistake(path, f'found {shown(uri)}, but no listener has side = "provider"')
    if transport is not None and transport not in offered:
        wanted = f'side = "provider" and transport = "{transport}"'
        yield Mistake(path, f"found {shown(uri)}, but no listener has {wanted}")


def _domain_mistakes(entries: list[tuple[str, Domain]], providers: set[object]) -> Iterator[Mistake]:
    yield from _repeated("name", [(path, entry.name) for path, entry in entries])
    for path, entry in entries:
        if entry.provider not in providers:
            names = ", ".join(sorted(map(str, providers))) or "none is configured"
            yield Mistake(f"{path}.provider", str(Unacceptable(entry.provider, names)))
        if not entry.challenge_algorithms or len(set(entry.challenge_algorithms)) < len(entry.challenge_algorithms):
            yield Mistake(f"{path}.challenge_algorithms", f"found none or one twice, allowed: {', '.join(DIGESTS)}")
        strangers = set(entry.challenge_exempt) - set(entry.restricted_access_domains)
        if entry.restricted_access_domains and strangers:
            allowed = f"names of {path}.restricted_access_domains"
            yield Mistake(f"{path}.challenge_exempt", str(Unacceptable(min(strangers), allowed)))
        yield from _file_mistakes(path, "credentials", entry.credentials)
        if entry.credentials is not None and entry.credentials.is_file() and entry.credentials.stat().st_mode & 0o077:
            mode = f"{entry.credentials.stat().st_mode & 0o777:04o}"
            yield Mistake(
                f"{path}.credentials",
                f"{entry.credentials} has mode {mode}, allowed: nothing for group or others (0600)",
            )


def _identity_mistakes(path: str, certificate: Path | None, private_key: Path | None) -> Iterator[Mistake]:
    yield from _file_mistakes(path, "certificate", certificate)
    yield from _file_mistakes(path, "private_key", private_key)
    if certificate is not None and private_key is None:
        yield Mistake(f"{path}.private_key", "is missing: certificate and private_key go together")
    if private_key is not None and certificate is None:
        yield Mistake(f"{path}.certificate", "is missing: certificate and private_key go together")


def _file_mistakes(path: str, key: str, file: Path | None) -> Iterator[Mistake]:
    if file is not None and not file.is_file():
        yield Mistake(f"{path}.{key}", f"{file} is no file")
    elif file is not None and not os.access(file, os.R_OK):
        yield Mistake(f"{path}.{key}", f"{file} cannot be read by this user")


def _endpoint(listener: Listener) -> str:
    # TLS runs on TCP: the two cannot share a port.
    return f"{'udp' if listener.transport == 'udp' else 'tcp'} {listener.address} {listener.port}"


def _repeated(key: str, values: list[tuple[str, str]]) -> Iterator[Mistake]:
    first: dict[str, str] = {}
    for path, value in values:
        if value in first:
            yield Mistake(f"{path}.{key}", f"found {shown(value)}, which {first[value]} has already")
        first.setdefault(value, path)
