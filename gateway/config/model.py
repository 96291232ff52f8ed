"""The configuration: its values, all of them frozen.

Here: one class for each table of the TOML file, with the types and ranges of its keys, and questions that a table
answers by itself. Not here: the form of a single value (`fields`), checks across tables (`checks`), reading a file
(`load`). All paths are absolute.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import attrs

from gateway.base.media_ports import PortRange as PortRange
from gateway.base.telephone_numbers import LONGEST, TelephoneNumber, known_number, read_number
from gateway.config import fields
from gateway.config.emergency_numbers import is_emergency
from gateway.config.fields import Nameserver as Nameserver
from gateway.config.places import own_address
from gateway.config.structuring import number, one_of
from gateway.config.tables.admin_table import Admin as Admin
from gateway.config.tables.alert_table import Alert as Alert
from gateway.config.tables.blocklist_table import Blocklist as Blocklist
from gateway.config.tables.defence_table import DefenceTerms as DefenceTerms
from gateway.config.tables.limit_table import BUILT_IN
from gateway.config.tables.limit_table import CallLimit as CallLimit
from gateway.config.tables.limit_table import SourceLimits as SourceLimits
from gateway.config.tables.listeners.listener_table import Listener as Listener
from gateway.config.tables.listeners.listener_table import MovedPhones as MovedPhones
from gateway.config.tables.listeners.listener_table import NamedCertificate as NamedCertificate
from gateway.config.tables.listeners.listener_table import Side as Side
from gateway.config.tables.network_table import NetworkMode as NetworkMode
from gateway.config.tables.network_table import NetworkTerms as NetworkTerms
from gateway.config.tables.numbers.number_table import Dial as Dial
from gateway.config.tables.numbers.number_table import NumberRule as NumberRule
from gateway.config.tables.optional.optional_tables import Acme as Acme
from gateway.config.tables.optional.optional_tables import Cluster as Cluster
from gateway.config.tables.optional.optional_tables import Hep as Hep
from gateway.config.tables.optional.optional_tables import OptionalTables
from gateway.config.tables.optional.optional_tables import Provisioning as Provisioning
from gateway.config.tables.optional.optional_tables import WithoutStore as WithoutStore
from gateway.config.tables.phones.phone_table import FixedPhone as FixedPhone
from gateway.config.tables.posture_table import Posture as Posture
from gateway.config.tables.provider_table import TLS_VERSIONS as TLS_VERSIONS
from gateway.config.tables.provider_table import Provider as Provider
from gateway.config.tables.provider_table import Signalling as Signalling
from gateway.config.tables.provider_table import SrtpOffer as SrtpOffer
from gateway.config.tables.resync_table import Resync as Resync
from gateway.config.tables.resync_table import ResyncMake as ResyncMake

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


class Security(StrEnum):
    """A domain's demand on the provider leg of its calls."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    OFF = "off"


class PhonesSecurity(StrEnum):
    """The protection that the phones' own leg of a domain is led to."""

    OFF = "off"
    PREFERRED = "preferred"
    REQUIRED = "required"
    """A phone in clear is refused, once a roll-out to it is done."""


class Downgrade(StrEnum):
    """The answer to a peer that once did TLS or SRTP and no longer does."""

    ALERT = "alert"
    REFUSE = "refuse"


class Forking(StrEnum):
    """The phones of one user that a call rings."""

    ALL = "all"
    """Together, those of one q; those of a lower one after them."""
    FIRST = "first"
    """One: the phone that the provider named, else the best."""
    SEQUENTIAL = "sequential"
    """One after the other."""


class FallbackSpent(StrEnum):
    """The consequence of more calls in clear than a domain's budget allows."""

    ALERT = "alert"
    REQUIRE = "require"


class AtStop(StrEnum):
    """The fate of calls that are up when the process is told to stop."""

    END = "end"
    """They are drained, then ended with BYE."""
    KEEP = "keep"
    """The next process goes on with them, as after a crash."""


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
    keep_calls: bool = True
    """Whether calls that are up are written down, and the next process goes on with them after a crash."""
    longest_call: Annotated[int, number(0, 2_592_000)] = 43_200
    """Seconds after its answer at which a call is hung up; 0: never."""
    stop: AtStop | None = None
    """The fate of calls that are up at SIGTERM; None: kept, where media workers outlive the process."""
    keep_seconds: Annotated[int, number(1, 540)] = 60
    """For how long calls that were left wait for the next process; then they are ended."""


@attrs.frozen
class Media:
    """[media]: the relay of RTP, and its ports on this machine. Addresses as a listener's."""

    address: Annotated[str, own_address]
    relay: Annotated[str, one_of("workers", "rtpengine")] = "workers"
    ports: Annotated[PortRange, fields.port_range] = DEFAULT_PORTS
    workers: Annotated[int, number(0, 256)] = 0
    """Worker processes; 0 is one per core."""
    rtpengine: tuple[Annotated[str, fields.relay_node], ...] = ()
    phone_address: Annotated[str, own_address] | None = None
    provider_address: Annotated[str, own_address] | None = None
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
    loop: Annotated[str, one_of("auto", "native", "python")] = "auto"
    """The workers' loop of packets: in C, in Python, or in C where that was built."""
    gather_us: Annotated[int, number(0, 1_000)] = GATHER_US
    """Microseconds that a busy worker waits for more packets to take at once."""
    silence_seconds: Annotated[int, number(0, 86_400)] = SILENCE_SECONDS
    """Without a packet from either side, after which a call ends; 0: never."""
    ng_listen: Annotated[str, fields.ng_listener] | None = None
    """Where the first worker answers others' NG commands; the next worker has the next port."""


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
    codecs: tuple[Annotated[str, fields.codec], ...] = ()
    """Those that cross to its phones and from them, offered to them in this order; empty: all."""
    more_bodies: tuple[Annotated[str, fields.body_type], ...] = ()
    """Types of bodies that cross besides those of the list (`b2bua.across.bodies`)."""
    auto_answer: bool = False
    """Whether callers on the provider's side may ask that a phone answer by itself."""
    provider_resync: bool = False
    """Whether the provider may order phones about: a new configuration, a restart, a key pressed."""
    fork: Forking = Forking.ALL
    """Of a call to a user with several phones."""
    fork_seconds: Annotated[int, number(5, 180)] = 20
    """Seconds that phones ring before the next ones do, where they do not ring together."""
    local_calls: bool = False
    """Whether calls and messages between its registered phones go from one to the other, and not by the provider."""
    phones_security: PhonesSecurity = PhonesSecurity.OFF
    region: Annotated[str, fields.region] | None = None
    """Where its numbers are dialled, two letters; None: nobody knows, and national numbers stay as they are."""
    dial: Dial = Dial.AS_IS
    """The form in which the provider is given the numbers that phones dial."""
    fallback_budget: Annotated[float, fields.share_of_calls] | None = None
    """Share of its calls in 30 days that may fall back to less than TLS and SRTP, 0 to 1; None: nobody counts."""
    fallback_floor: Annotated[int, number(0, 1_000_000)] = 3
    """Calls that may in any case."""
    fallback_spent: FallbackSpent = FallbackSpent.ALERT

    def is_emergency(self, dialled: str) -> bool:
        """Whether the user part that was dialled is an emergency number; parameters and visual separators do not count.

        The part after the scheme of ``urn:service:sos`` (RFC 5031) is one everywhere, in addition to a domain's own.
        """
        return is_emergency(dialled, self.emergency_numbers, self.region)

    def number(self, user: str) -> TelephoneNumber:
        """The telephone number that a user part is, as it is dialled in this domain."""
        return known_number(user, self.region) if len(user) <= LONGEST else read_number(user, self.region)


@attrs.frozen
class Configuration(OptionalTables):
    """A whole configuration; its parts fit each other. `source` is the file it came from."""

    gateway: GatewaySection
    listeners: tuple[Listener, ...]
    media: Media
    providers: tuple[Provider, ...]
    domains: tuple[Domain, ...]
    admin: Admin
    source: Path
    limits: SourceLimits = attrs.field(factory=SourceLimits)
    alerts: tuple[Alert, ...] = ()
    limit: tuple[CallLimit, ...] = BUILT_IN
    """Of calls; those built in where the file has none."""
    defence: DefenceTerms = attrs.field(factory=DefenceTerms)
    posture: Posture = attrs.field(factory=Posture)
    resync: Resync = attrs.field(factory=Resync)
    resync_makes: tuple[ResyncMake, ...] = ()
    """Beside the makes that are built in, and before them."""
    blocklists: tuple[Blocklist, ...] = ()
    network: NetworkTerms = attrs.field(factory=NetworkTerms)
    phones: tuple[FixedPhone, ...] = ()
    """PBXs and trunks that do not register."""
    numbers: tuple[NumberRule, ...] = ()
    """Rules that rewrite numbers, in their order."""

    def phone_listener(self, transport: str) -> Listener | None:
        """The first listener of the phones with a transport: udp, tcp or tls."""
        found = (one for one in self.listeners if one.side is Side.PHONES and one.transport == transport)
        return next(found, None)
