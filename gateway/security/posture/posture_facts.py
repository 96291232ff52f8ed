"""The facts that the posture is judged by: frozen values, gathered from a running gateway at one moment.

    configuration, calls, handshakes, phones, the process -> PostureFacts -> checks

Here: values alone. Not here: the gathering (admin/security/posture_gathering), the checks (checks/). None stands for a
fact that is not known; an empty tuple for one that is known to be nothing. No password, key or phone number is among
them, and texts of peers are clean already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from gateway.state.devices.device_table import DeviceCount
from gateway.state.listing.call_groups import CallGroup


@attrs.frozen
class KnownDomain:
    """A domain and its policy."""

    name: str
    provider: str
    security: str
    """required, preferred or off."""
    challenge: tuple[str, ...] = ()
    """Methods that are challenged; none where there is no file of passwords."""
    algorithms: tuple[str, ...] = ()
    registered_callers_only: bool = False
    access: tuple[str, ...] = ()
    """The Restricted Access Domains."""
    budget: float | None = None
    """The share of its calls that may go on with less protection; None: nobody has set one."""
    budget_floor: int = 0
    """Calls that may in any case."""
    weak_passwords: tuple[int, int, int, int] | None = None
    """Users whose password is short, is their name, is that of another user; and all users. None: no file."""


@attrs.frozen
class KnownProvider:
    """A provider."""

    name: str
    does_tls: bool | None = None
    """Whether it was last seen to do TLS, and not to lack it since."""
    does_srtp: bool | None = None
    shows_certificate: bool = False
    """Whether we have a certificate to show to it."""
    allow_wildcards: bool = False
    common_name: bool = False
    suites: tuple[str, ...] = ()
    targets: int | None = None
    """Ways to it that are known; None: it is never asked."""


@attrs.frozen
class KnownListener:
    """A listener of SIP."""

    name: str
    side: str
    transport: str
    address: str
    asks_for_certificate: bool = False


@attrs.frozen
class KnownInterface:
    """The administration interface."""

    address: str
    has_tls: bool = False
    has_users: bool = False
    metrics_from: tuple[str, ...] = ()


@attrs.frozen
class KnownMedia:
    """The relay of media."""

    ng_listen: str = ""
    plain_rtcp: tuple[str, ...] = ()


@attrs.frozen
class ServedCertificate:
    """A certificate that a listener serves."""

    listener: str
    days_left: int
    warnings: tuple[str, ...] = ()
    has_short_key: bool = False


@attrs.frozen
class SeenTls:
    """Handshakes with one peer that ended in the same version and cipher, since the start."""

    side: str
    peer: str
    """The provider's name; empty for all phones together."""
    version: str
    cipher: str
    handshakes: int


@attrs.frozen
class Defence:
    """The parts that stop attacks and fraud, as far as this gateway has them. None: it does not have that part."""

    mode: str | None = None
    """off, report or defend."""
    limits: int | None = None
    """Limits of calls that refuse what is beyond them, of everybody's calls to other countries."""
    limits_reporting: int = 0
    """Those that only report it."""
    unlimited: tuple[str, ...] = ()
    """Domains that such a limit does not hold in at each hour of the week."""
    unlimited_at_night: tuple[str, ...] = ()
    """Those that none holds in at night."""
    limits_hit: int | None = None
    """Calls that limits refused since the start."""
    alerts: int | None = None
    """Ways to deliver alerts."""
    alerts_lost: int | None = None
    """Alerts that could not be delivered since the start."""


@attrs.frozen
class Process:
    """The process and its machine."""

    newest_version: str | None = None
    """The newest version of the gateway that the advisories know."""
    advisories_days: int | None = None
    """The age of the advisories."""
    clock_synchronized: bool | None = None
    disk_free: float | None = None
    """The share of the state directory's disk that is free."""
    failing_files: tuple[str, ...] | None = None
    lost_log_lines: int | None = None
    metrics_read: int | None = None
    """Times that /metrics was read since the start."""
    backup_days: float | None = None
    """Days since the last backup was noted; -1: none ever was."""
    gateways: int | None = None
    worker_restarts: int | None = None


@attrs.frozen
class Surroundings:
    """Matters outside this process. None where nothing here sees them."""

    provisioning: tuple[str, ...] | None = None
    """Ways by which phones get their settings here at any time: https, sealed (over HTTP, a file that is encrypted by
    itself), http, tftp."""
    provisioning_open: bool | None = None
    """Whether a window for unknown phones is open."""
    first_file_ports: tuple[str, ...] | None = None
    """Keys of ports in clear that are open for the first files of phones, and for nothing else."""
    phones_that_challenge: tuple[int, int] | None = None
    """Phones that ask who calls them (Auth_INVITE), and all that were looked at."""
    default_passwords: int | None = None
    """Phones whose web page has the maker's password."""
    rogue_dhcp: int | None = None
    voice_vlan: bool | None = None


@attrs.frozen
class PostureFacts:
    """All of them."""

    at: float = 0.0
    """Seconds since the epoch, as the next two."""
    since: float = 0.0
    """The begin of the time that calls are counted for."""
    up_since: float | None = None
    gateway: str = ""
    version: str = ""
    only_domain: str = ""
    """The domain that this is about; empty: all."""
    domains: tuple[KnownDomain, ...] = ()
    providers: tuple[KnownProvider, ...] = ()
    listeners: tuple[KnownListener, ...] = ()
    interface: KnownInterface | None = None
    media: KnownMedia | None = None
    calls: tuple[CallGroup, ...] = ()
    """Of the time since; of a domain whose policy was changed meanwhile, since that change."""
    day: tuple[CallGroup, ...] = ()
    """Of 24 hours."""
    clear_in_month: int | None = None
    """Calls in clear in 30 days, emergency calls and those before a change of policy among them."""
    phones: Mapping[str, int] | None = None
    """Registered phones by transport."""
    certificates: tuple[ServedCertificate, ...] | None = None
    handshakes: tuple[SeenTls, ...] | None = None
    old_versions_asked: int | None = None
    """Handshakes that failed since the peer speaks no version of TLS that we do."""
    suites: Mapping[tuple[str, str], int] | None = None
    """Streams by side and SRTP suite, since the start; none: RTP."""
    devices: tuple[DeviceCount, ...] | None = None
    strangers: int | None = None
    """Requests of strangers on the provider's side that were dropped since the start."""
    defence: Defence = Defence()
    process: Process = Process()
    surroundings: Surroundings = Surroundings()

    @property
    def answered(self) -> int:
        """Calls that came about."""
        return total(one for one in self.calls if one.is_answered)

    def share(self, calls: int) -> float:
        """The share that so many are of the calls that came about, 0 to 1; 0 while there are none."""
        return calls / self.answered if self.answered else 0.0

    def provider(self, name: str) -> KnownProvider | None:
        """The provider of that name."""
        return next((one for one in self.providers if one.name == name), None)


def total(calls: Iterable[CallGroup]) -> int:
    """How many calls these are together."""
    return sum(one.calls for one in calls)
