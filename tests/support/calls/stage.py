"""One test's scenery: its parties, their places, and the judgement of a call between them.

    alice (phone) --UDP, RTP--> gateway --TLS, SRTP--> Kamailio <--TLS, SRTP--> bob (far end)
    dave  (phone) --UDP, RTP-->                                 <--TLS, SRTP--> carol (far end)
    erin, frank, ivan, kim                                                      grace, heidi, judy, laura

Others stand beside them where many talk at once. Each plays a tone of its own: alice 440 Hz, bob 880 Hz (HERTZ).
Everything started here is ended by `close`, in reverse order.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import attrs

from tests.support.calls.audio import assert_hears, tone, write_wav
from tests.support.calls.baresip import Baresip
from tests.support.calls.capture import Capture
from tests.support.calls.certificates import Authority, Certificate
from tests.support.calls.gateway import Gateway, GatewaySection
from tests.support.calls.hosts import Hosts
from tests.support.calls.judge import Sides, Verdict, judge_phone_side, judge_provider_side, judge_secure_phones
from tests.support.calls.kamailio import Kamailio, ProviderTerms
from tests.support.calls.linphone import Linphone
from tests.support.calls.nameserver import Nameserver, Server
from tests.support.calls.pbx import PbxKamailio
from tests.support.calls.pcap import Endpoint, Packet
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.rekeying import Rekeying
from tests.support.calls.rekeying_agent import Manners
from tests.support.calls.rtpengine import Rtpengine
from tests.support.calls.sipp import Sipp
from tests.support.calls.telephone import USUAL, Habits, Line, Telephone
from tests.support.calls.twinkle import Twinkle
from tests.support.calls.wire import SipMessage, agreed_keys, keys_in

DOMAIN = "voip.test"
PASSWORDS = {
    "alice": "Wonderland-7531",
    "bob": "Builder-8642",
    "carol": "Christmas-9753",
    "dave": "Hal-9000-2001",
    "erin": "Rookie-3141",
    "frank": "Tulip-2718",
    "grace": "Hopper-1906",
    "heidi": "Meadow-1881",
    "ivan": "Winter-1962",
    "judy": "Garland-1939",
    "kim": "Lahore-1901",
    "laura": "Palmer-1990",
    "4930123450": "Kaiserhof-1875",
}
ALICE, BOB, CAROL, DAVE = (f"sip:{user}@{DOMAIN}" for user in ("alice", "bob", "carol", "dave"))
PHONE_HERTZ, FAR_HERTZ = 440, 880
HERTZ = {"alice": PHONE_HERTZ, "bob": FAR_HERTZ, "carol": 620, "dave": 1000}
HERTZ |= {"erin": 1140, "frank": 1260, "grace": 1380, "heidi": 1520}
HERTZ |= {"ivan": 750, "judy": 1680, "kim": 530, "laura": 1860}
PHONES = ("alice", "dave", "erin", "frank", "ivan", "kim")
FAR_ENDS = ("bob", "carol", "grace", "heidi", "judy", "laura")
HOSTS = {user: number for first, users in ((11, PHONES), (31, FAR_ENDS)) for number, user in enumerate(users, first)}
TELEPHONES: dict[str, Callable[[Line], Telephone]] = {
    "pjsua2": Pjsua,
    "baresip": Baresip,
    "sipp": Sipp,
    "linphonec": Linphone,
    "twinkle": Twinkle,
}
TONE_SECONDS = 90  # baresip hangs up at the end of the file, the others begin again
LOOSE_HOST = "127.0.0.1"  # where RTP and TLS of baresip and of linphonec really come from


class Stoppable(Protocol):
    def stop(self) -> object: ...


Started = TypeVar("Started", bound=Stoppable)
Phone = TypeVar("Phone", bound=Telephone)


@attrs.frozen
class Scenery:
    """What all tests of a run share: slow to make, never changed."""

    hosts: Hosts
    authority: Authority
    certificates: dict[str, Certificate]
    tones: dict[int, Path]

    @classmethod
    def build(cls, hosts: Hosts, directory: Path) -> Scenery:
        authority = Authority(directory / "certificates")
        certificates = {
            "provider": authority.issue("provider", hosts.provider, DOMAIN),
            "gateway": authority.issue("gateway", hosts.gateway, f"gw1.{DOMAIN}"),
            **{user: authority.issue(user, hosts.host(number)) for user, number in HOSTS.items()},
        }
        tones = {
            hertz: write_wav(directory / f"{hertz}.wav", tone(hertz, 1) * TONE_SECONDS) for hertz in HERTZ.values()
        }
        return cls(hosts, authority, certificates, tones)


class Stage:
    """Starts what a test asks for, and judges what it did."""

    def __init__(
        self,
        scenery: Scenery,
        directory: Path,
        algorithm: str = "MD5",
        clear: bool = False,
        asks_callers: bool = True,
    ) -> None:
        self.scenery = scenery
        self.hosts = scenery.hosts
        self.directory = directory
        self._running = ExitStack()
        self._telephones: list[Telephone] = []
        self._secure_phones: list[Telephone] = []
        self.gateway: Gateway | None = None
        self.kind_of_gateway: type[Gateway] = Gateway  # how the gateway, when it starts, is to run
        self.domain_keys = ""  # further keys of its domain
        self.more = ""  # further tables of the configuration of the gateway, when it starts
        self.kind_of_rtpengine: type[Rtpengine] = Rtpengine
        self.has_ipv6 = False  # whether the gateway, when it starts, is to serve phones over IPv6
        self.phone_media = ""  # the address of media toward phones, when the gateway starts; none: its own
        self.has_tls_phones = False  # whether the gateway, when it starts, is to serve phones over TLS as well
        self.inside: frozenset[int] = frozenset()
        self.capture = self.keep(Capture(self.hosts.all, directory))
        self.providers: list[Kamailio] = []
        self.provider = self.start_provider(algorithm, clear, asks_callers)
        self.nameserver: Nameserver | None = None

    # -- starting

    def start_provider(self, algorithm: str = "MD5", clear: bool = False, asks_callers: bool = True) -> Kamailio:
        """A server of the provider: each knows its own users only."""
        terms = ProviderTerms(
            address=self.hosts.provider,
            port=self.hosts.port(self.hosts.provider),
            domain=DOMAIN,
            passwords=PASSWORDS,
            certificate=self.scenery.certificates["provider"],
            algorithm=algorithm,
            clear=clear,
            asks_callers=asks_callers,
        )
        directory = self.directory / f"kamailio-{len(self.providers)}"
        self.providers.append(self.keep(Kamailio(terms, directory)))
        return self.providers[-1]

    def start_nameserver(self, service: str, servers: Sequence[Server]) -> None:
        """DNS, from which the gateway, when it starts, learns where the provider is."""
        at = Server(self.hosts.gateway, self.hosts.port(self.hosts.gateway))
        self.nameserver = self.keep(Nameserver(at, DOMAIN, service, servers, self.directory / "dns"))

    def have_local_calls(self, *users: str) -> None:
        """Between phones of these users, whose passwords the gateway has, when it starts."""
        passwords = self.directory / "passwords.toml"
        passwords.touch(0o600)
        passwords.write_text("".join(f'{user} = "{PASSWORDS[user]}"\n' for user in users))
        self.domain_keys = f'local_calls = true\ncredentials = "{passwords}"'

    def start_gateway(
        self,
        relay: str = "workers",
        log_level: str = "info",
        transport: str = "tls",
        media_ports: int = 100,
        session_interval: int = 1800,
    ) -> Gateway:
        """The gateway, with our own workers or with an rtpengine of its own; toward the provider over UDP if told."""
        address, port = self.hosts.gateway, self.hosts.port
        first = port(address, media_ports)
        last = first + media_ports - 1
        control = self._start_rtpengine((first, last)) if relay == "rtpengine" else None
        terms = GatewaySection(
            address=address,
            phone_port=port(address),
            phone_port6=port("::1") if self.has_ipv6 else 0,
            phone_tls_port=port(address) if self.has_tls_phones else 0,
            phone_media=self.phone_media,
            provider_port=port(address),
            admin_port=port(address),
            media_ports=(first, last),
            certificate=self.scenery.certificates["gateway"],
            trust=self.scenery.authority.trust,
            provider_uri=f"sip:{DOMAIN};transport={transport}" if self.nameserver else self.provider.uri,
            provider_transport=transport,
            security="required" if transport == "tls" else "off",
            nameserver=str(self.nameserver.at) if self.nameserver else "",
            domain=DOMAIN,
            rtpengine=control,
            log_level=log_level,
            domain_keys=self.domain_keys,
            more=self.more,
            session_interval=session_interval,
        )
        self.gateway = self.keep(self.kind_of_gateway(terms, self.directory / "gateway"))
        return self.gateway

    def phone(self, kind: str, user: str = "alice", habits: Habits = USUAL) -> Telephone:
        """A plain phone behind the gateway (without a gateway: straight at a provider that does not insist on TLS)."""
        proxy = self.gateway.phones_proxy if self.gateway else self._provider_port
        return self._telephone(TELEPHONES[kind], self._line(user, proxy, secure=False, habits=habits))

    def another_phone(self, kind: str, user: str = "alice") -> Telephone:
        """One more plain phone behind the gateway, of a user that has some already."""
        assert self.gateway is not None
        line = self._line(user, self.gateway.phones_proxy, secure=False)
        directory = line.directory.with_name(f"{user}-{len(self._telephones)}")
        return self._telephone(TELEPHONES[kind], attrs.evolve(line, directory=directory))

    def far_end(self, kind: str = "pjsua2", user: str = "bob", habits: Habits = USUAL) -> Telephone:
        """A telephone with TLS and mandatory SRTP at the provider; alice may be one, too (without a gateway)."""
        return self._telephone(TELEPHONES[kind], self._line(user, self._provider_port, secure=True, habits=habits))

    def pjsua_phone(self, user: str = "alice", habits: Habits = USUAL) -> Pjsua:
        """A plain phone that can be asked for more."""
        assert self.gateway is not None
        return self._telephone(Pjsua, self._line(user, self.gateway.phones_proxy, secure=False, habits=habits))

    def secure_phone(self, kind: str = "pjsua2", user: str = "alice") -> Telephone:
        """A phone behind the gateway that speaks TLS and insists on SRTP itself."""
        assert self.gateway is not None
        phone = self._telephone(TELEPHONES[kind], self._line(user, self.gateway.phones_tls_proxy, secure=True))
        self._secure_phones.append(phone)
        return phone

    def pbx_line(self, number: str) -> Line:
        """The line of a phone with TLS and mandatory SRTP, which is to be behind a PBX."""
        return attrs.evolve(self._line("alice", "", secure=True), user=number, password="")

    def pbx_phone(self, line: Line, pbx: PbxKamailio) -> Pjsua:
        """The phone of a line, behind a PBX, which asks it for no password."""
        return self._telephone(Pjsua, attrs.evolve(line, proxy=pbx.proxy))

    def ipv6_phone(self, user: str = "alice") -> Baresip:
        """A plain phone that knows nothing but IPv6. No capture sees it: every run shares ::1."""
        assert self.gateway is not None
        line = self._line(user, self.gateway.phones_proxy6, secure=False)
        port = self.hosts.port("::1", 22)
        return self._telephone(Baresip, attrs.evolve(line, address="::1", sip_port=port, media_port=port + 2))

    def pjsua_far_end(self, user: str = "bob", habits: Habits = USUAL, at: Kamailio | None = None) -> Pjsua:
        """A far end that can be asked for more, perhaps at another server of the provider."""
        proxy = f"{self.hosts.provider}:{at.terms.port}" if at else self._provider_port
        return self._telephone(Pjsua, self._line(user, proxy, secure=True, habits=habits))

    def scripted_phone(self, user: str = "alice") -> Sipp:
        """A phone behind the gateway that follows a script."""
        assert self.gateway is not None
        return self._telephone(Sipp, self._line(user, self.gateway.phones_proxy, secure=False))

    def scripted_far_end(self, user: str = "bob") -> Sipp:
        """Somebody at the provider, inside its own network (UDP: the provider must take it), who follows a script."""
        return self._telephone(Sipp, self._line(user, self._provider_port, secure=False))

    def rekeying_far_end(self, user: str = "bob", manners: Manners | None = None) -> Rekeying:
        """A far end with TLS and SRTP that follows a script, and takes a new port and key with each refresh."""
        line = self._line(user, self._provider_port, secure=True)
        return self._telephone(lambda line: Rekeying(line, manners), line)

    @property
    def _provider_port(self) -> str:
        return f"{self.hosts.provider}:{self.provider.terms.port}"

    def _line(self, user: str, proxy: str, secure: bool, habits: Habits = USUAL) -> Line:
        host = self.hosts.host(HOSTS[user])
        return Line(
            user=user,
            password=PASSWORDS[user],
            domain=DOMAIN,
            proxy=proxy,
            address=host,
            control=self.hosts.control,
            sip_port=self.hosts.port(host, 2),
            media_port=self.hosts.port(host, 20),
            tone=self.scenery.tones[HERTZ[user]],
            directory=self.directory / user,
            secure=secure,
            trust=self.scenery.authority.trust,
            certificate=self.scenery.certificates[user],
            # What libsrtp, with which the judge opens packets, can do; pjsua would rather take AES_256_CM.
            suites=("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32") if secure else (),
            habits=habits,
        )

    def _telephone(self, kind: Callable[[Line], Phone], line: Line) -> Phone:
        telephone = self.keep(kind(line))
        self._telephones.append(telephone)
        return telephone

    def _start_rtpengine(self, media_ports: tuple[int, int]) -> str:
        port = self.hosts.port(self.hosts.gateway)
        self.inside = frozenset({port})
        return self.keep(
            self.kind_of_rtpengine(self.hosts.gateway, port, media_ports, self.directory / "rtpengine")
        ).control

    def keep(self, started: Started) -> Started:
        """Stop it in the end."""
        self._running.callback(started.stop)
        return started

    # -- judging

    def talk(self, seconds: float = 1.9) -> None:
        """Let the call stand for so long."""
        time.sleep(seconds)

    @property
    def sides(self) -> Sides:
        """Who is who in the capture; without a gateway all of it is the provider's side."""
        if self.gateway is None:
            everybody = (self.hosts.provider, *(self.hosts.host(number) for number in HOSTS.values()))
            return Sides("", everybody, frozenset(), clear_rtcp=self._clear_rtcp, stun=self._stun)
        media = (message.audio for message in self.messages())
        ports = {audio.port + n for audio in media if audio and audio.address == self.hosts.gateway for n in (0, 1)}
        there = (self.hosts.provider, *(self.hosts.host(HOSTS[user]) for user in FAR_ENDS))
        return Sides(
            self.hosts.gateway,
            there,
            frozenset(ports),
            self.inside,
            self._clear_rtcp,
            self._secure_phone_hosts,
            self._stun,
            self.gateway.terms.admin_port,
        )

    @property
    def _secure_phone_hosts(self) -> frozenset[str]:
        hosts = {phone.line.address for phone in self._secure_phones}
        loose = {LOOSE_HOST for phone in self._secure_phones if isinstance(phone, Baresip | Linphone)}
        return frozenset(hosts | loose)

    @property
    def _clear_rtcp(self) -> frozenset[str]:
        return self._loose_host_of(Baresip)

    @property
    def _stun(self) -> frozenset[str]:
        return self._loose_host_of(Linphone)

    def _loose_host_of(self, kind: type[Telephone]) -> frozenset[str]:
        """Where a kind of program sends from, when one of it speaks TLS and SRTP here."""
        is_here = any(isinstance(telephone, kind) for telephone in self._telephones if telephone.line.secure)
        return frozenset({LOOSE_HOST} if is_here else ())

    def messages(self) -> list[SipMessage]:
        """Every message that a server of the provider received."""
        return [message for provider in self.providers for message in provider.messages()]

    def secrets(self) -> set[bytes]:
        """Keys (text and bytes) and passwords, which must not appear beside the provider's side."""
        messages = self.messages()
        texts = {key.rstrip("=").encode() for key in keys_in(messages)}
        return texts | {agreed.key for agreed in agreed_keys(messages)} | {p.encode() for p in PASSWORDS.values()}

    def judge_provider_side(self, packets: list[Packet]) -> Verdict:
        agreed = agreed_keys(self.messages())
        assert agreed, f"no SRTP keys were agreed:\n{self.provider.ladder()}"
        return judge_provider_side(packets, self.sides, agreed)

    def judge_secure_phones(self, packets: list[Packet]) -> Verdict:
        """The side of the phones that speak TLS and SRTP; the keys are those that the phones themselves tell of."""
        agreed = agreed_keys(message for phone in self._secure_phones for message in phone.messages())
        assert agreed, "no SRTP keys were agreed with a phone"
        return judge_secure_phones(packets, self.sides, agreed)

    def judge_phone_side(self, packets: list[Packet]) -> Verdict:
        return judge_phone_side(packets, self.sides, self.secrets())

    def assert_call_was_right(self, seconds: float = 1.2) -> None:
        """Both sides heard the other for so long; TLS and SRTP there; a clean log.

        Here, as the phones are: TLS and SRTP as well, or clear RTP and no secret.
        """
        packets = self.capture.stop()
        there = self.judge_provider_side(packets)
        here = self.judge_secure_phones(packets) if self._secure_phones else self.judge_phone_side(packets)
        there.assert_clean()
        here.assert_clean()
        for where, verdict in (("at the provider's side", there), ("at the phone's side", here)):
            self._assert_both_tones(verdict, where, seconds)
        for telephone in self._telephones:
            self.assert_recording(telephone, seconds)
        self.assert_gateway_is_well()

    def assert_recording(self, telephone: Telephone, seconds: float = 1.2, of: str = "") -> None:
        """It recorded the other side's tone, and never its own (sipp cannot record: the capture speaks for it).

        The other side is `of`; unless told, bob for alice and alice for bob.
        """
        if not isinstance(telephone, Sipp):
            _assert_hears(telephone, telephone.heard(), of, seconds)

    def assert_heard_since_mark(self, telephone: Telephone, seconds: float, of: str = "") -> None:
        """The same of what came after `mark_recording`."""
        _assert_hears(telephone, telephone.heard_since_mark(), of, seconds)

    def connections_from_provider(self) -> int:
        """How many TCP connections the provider opened to the gateway."""
        ends = (self.hosts.provider, self.hosts.gateway)
        packets = [packet for packet in self.capture.packets() if packet.opens]
        return sum((packet.source.address, packet.destination.address) == ends for packet in packets)

    def keys_of_gateway(self) -> set[str]:
        """Every SRTP key the gateway offered or answered with and that was agreed, by suite."""
        agreed = agreed_keys(self.messages())
        return {f"{one.suite} {one.key.hex()}" for one in agreed if one.address == self.hosts.gateway}

    def statuses(self, method: str, user: str) -> set[int]:
        """The statuses the provider got so far from who is called by this name."""
        messages = (message for message in self.messages() if message.status)
        return {m.status for m in messages if m.cseq.endswith(method) and f"sip:{user}@" in m.header("to")}

    def wait_for_statuses(self, method: str, user: str, wanted: set[int]) -> None:
        """Wait until the provider got all of these."""
        self.provider.program.wait_until(f"{wanted}", lambda: wanted <= self.statuses(method, user))

    def wait_registered_at_provider(self, user: str) -> None:
        """Wait until the registrar accepted a contact of this user: it answers first, and writes that down then."""
        self.provider.program.wait_until(f"{user} is registered", lambda: user in self.provider.registered())

    def stranger(self) -> socket.socket:
        """A UDP socket at an address nobody has mentioned."""
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.bind((self.hosts.host(66), 0))
        return stranger

    def assert_gateway_is_well(self) -> None:
        """Nothing in what it wrote that should not be there."""
        if self.gateway is not None:
            self.gateway.assert_log_is_clean(self.secrets())

    def _assert_both_tones(self, verdict: Verdict, where: str, seconds: float) -> None:
        gateway = self.hosts.gateway
        sent = [samples for sender, samples in verdict.audio.items() if sender.address == gateway]
        received = [samples for sender, samples in verdict.audio.items() if sender.address != gateway]
        from_gateway = PHONE_HERTZ if "provider" in where else FAR_HERTZ
        to_gateway = FAR_HERTZ if "provider" in where else PHONE_HERTZ
        assert_hears(_longest(sent), from_gateway, never=to_gateway, seconds=seconds, who=f"who gets our RTP {where}")
        assert_hears(_longest(received), to_gateway, never=from_gateway, seconds=seconds, who=f"the gateway {where}")

    def report(self) -> str:
        """What to look at after a failure."""
        log = self.gateway.program.tail(60) if self.gateway else "no gateway"
        return (
            f"--- the provider received\n{self.provider.ladder()}\n--- the gateway wrote\n{log}\n--- {self.directory}"
        )

    def close(self) -> None:
        self._running.close()


def senders(verdict: Verdict) -> set[Endpoint]:
    """Who sent audio."""
    return set(verdict.audio)


def _assert_hears(telephone: Telephone, samples: Sequence[int], of: str, seconds: float) -> None:
    user = telephone.line.user
    other = of or ("alice" if user == "bob" else "bob")
    assert_hears(samples, HERTZ[other], never=HERTZ[user], seconds=seconds, who=user)


def _longest(streams: list[list[int]]) -> list[int]:
    return max(streams, key=len, default=[])
