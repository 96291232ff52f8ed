"""A gateway between a phone and a provider on a network in memory: real transports and TLS, and a tap on every wire.

The gateway is the ladder's, over its real transport layer. The others are not: their TLS is pyOpenSSL under Twisted,
their SIP a few regular expressions, and the judgement is by the messages sent to them and by the taps, never by the
gateway's own words.

    world = World(directory, PROVIDERS["TLS and SRTP"], Security.REQUIRED, "tls")
    world.call_out("sip:bob@example.com")
    assert world.claim() == world.seen()
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from gateway.config.model import Downgrade, Listener, Provider, Security, Side
from gateway.security.access_list import Resolved
from gateway.security.admission import DomainAdmission
from gateway.security.authenticator import Authenticator
from gateway.security.nonces import Nonces
from gateway.sip.message import Message
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, Flow, FlowKey, Target, Transport
from gateway.transport.layer import TransportLayer
from tests.support.ladder import AVP, CLEAR, PHONES, PROVIDER, SAVP, Ladder
from tests.support.memory_network import MemoryNetwork, Place
from tests.support.tls_authority import Authority

NAME: Final = "provider.example.com"
FALLBACK: Final = f"sip:{NAME};transport=udp"
PHONE: Final = ("192.0.2.11", 5070)
FAR_TLS: Final = ("198.51.100.21", 5061)
FAR_UDP: Final = ("198.51.100.21", 5060)
OWN_PHONES: Final = (PHONES.address, PHONES.port)
OWN_CLEAR: Final = (CLEAR.address, CLEAR.port)

Reply = Callable[[bytes], None]


@attrs.frozen
class Behaviour:
    """How a provider behaves."""

    port: str = "tls"
    """Its TLS port: "tls", "refuses", "silent", "plain" (speaks no TLS)."""
    certificate: str = "good"
    versions: tuple[int, int] = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)
    ciphers: bytes | None = None
    wants_certificate: bool = False
    """A certificate of ours, from the authority that both trust."""
    gets_certificate: bool = False
    answer: int = 200
    """To an offer of SRTP: 200, 488, 415, 606."""
    refuses_rtp: bool = False
    """Whether it says 488 to RTP, which it takes otherwise."""
    answers_rtp: bool = False
    """Whether its 200 to SRTP says RTP."""


PROVIDERS: Final = {
    "TLS and SRTP": Behaviour(),
    "TLS 1.2 only": Behaviour(versions=(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION)),
    "TLS 1.3 only": Behaviour(versions=(SSL.TLS1_3_VERSION, SSL.TLS1_3_VERSION)),
    "answers SRTP with RTP": Behaviour(answers_rtp=True),
    "488 to SRTP": Behaviour(answer=488),
    "415 to SRTP": Behaviour(answer=415),
    "606 to SRTP": Behaviour(answer=606),
    "488 to RTP": Behaviour(refuses_rtp=True),
    "TLS port refuses": Behaviour("refuses"),
    "TLS port is silent": Behaviour("silent"),
    "no TLS on its TLS port": Behaviour("plain"),
    "TLS 1.1 only": Behaviour(versions=(SSL.TLS1_1_VERSION, SSL.TLS1_1_VERSION)),
    "no cipher in common": Behaviour(versions=(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION), ciphers=b"AES256-GCM-SHA384"),
    "certificate expired": Behaviour(certificate="expired"),
    "certificate self-signed": Behaviour(certificate="self-signed"),
    "certificate of another name": Behaviour(certificate="another"),
    "certificate of an unknown CA": Behaviour(certificate="unknown"),
    "wants our certificate, gets it": Behaviour(wants_certificate=True, gets_certificate=True),
    "wants our certificate, gets none": Behaviour(wants_certificate=True),
}


class Wires(MemoryNetwork):
    """The network, with a tap on every connection and datagram, and UDP that arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: dict[tuple[Place, Place], bytearray] = {}
        self.packets: list[tuple[Place, Place, bytes]] = []
        self.elsewhere: dict[Place, Callable[[bytes, Place], None]] = {}

    def settle(self, rounds: int = 10_000) -> None:
        super().settle(rounds)
        while self._deliver() or any(connection.buffer for connection in self.connections):
            super().settle(rounds)

    def send(self, source: Place, place: Place, data: bytes) -> None:
        """A datagram from somebody who is not the gateway."""
        self.packets.append((source, place, data))
        self.datagrams[place].arrive(data, source)

    def _deliver(self) -> bool:
        moved = [(port, *port.sent.pop(0)) for port in self.datagrams.values() if port.sent]
        for port, data, place in moved:
            self.packets.append((port.place, place, data))
            receive = self.elsewhere.get(place)
            if receive is not None:
                receive(data, port.place)
        return bool(moved)

    def _link(self, client: object, own: Place, place: Place) -> None:
        before = len(self.connections)
        original = self.connections
        super()._link(client, own, place)
        assert self.connections is original
        near, far = self.connections[before : before + 2]
        near.write = partial(_tapped, self.streams.setdefault((own, place), bytearray()), near.write)  # type: ignore[method-assign]
        far.write = partial(_tapped, self.streams.setdefault((place, own), bytearray()), far.write)  # type: ignore[method-assign]


def _tapped(stream: bytearray, write: Callable[[bytes], None], data: bytes) -> None:
    stream += data
    write(data)


class SipStream(Protocol):
    """Cuts a stream into messages."""

    def __init__(self, receive: Callable[[bytes, Reply], None]) -> None:
        self._receive = receive
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, rest = self._data.partition(b"\r\n\r\n")
            length = re.search(rb"^Content-Length:\s*(\d+)", head, re.MULTILINE | re.IGNORECASE)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self._data = rest[size:]
            if head.strip():
                self._receive(head + b"\r\n\r\n" + rest[:size], self.say)

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class PlainText(Protocol):
    """Answers whatever comes in clear."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


class Silence(Protocol):
    """Takes connections, and says nothing."""


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
@attrs.frozen
class Context:
    """What TLSMemoryBIOFactory asks for its side of a connection."""

    context: SSL.Context

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)


@attrs.define
class Exchange:
    """The offer that somebody was sent and the answer it gave, or the other way round, and over what."""

    over: str
    sent_to_it: bytes = b""
    sent_by_it: bytes = b""
    status: int = 0

    @property
    def is_srtp(self) -> bool:
        """Whether both sides said RTP/SAVP with a key."""
        return all(re.search(rb"m=audio \d+ RTP/SAVP", body) and b"a=crypto" in body for body in self._bodies)

    @property
    def _bodies(self) -> tuple[bytes, bytes]:
        return self.sent_to_it, self.sent_by_it


class World:
    """One gateway, one phone (over "udp" or "tls"), one provider."""

    def __init__(
        self,
        directory: Path,
        behaviour: Behaviour,
        security: Security,
        phone: str = "udp",
        downgrade: Downgrade = Downgrade.ALERT,
    ) -> None:
        self.network = Wires()
        self.behaviour = behaviour
        self.authority = _authority(directory)
        self._directory = directory
        self._phone_over = phone
        self._numbers = itertools.count(1)
        self.provider_exchange: Exchange | None = None
        self.phone_exchange: Exchange | None = None
        self._phone_flow: Flow | None = None
        self._phone_say: Reply | None = None
        self._far_say: Reply | None = None
        self._start_gateway(security, downgrade)
        self._start_provider()
        self._start_phone()

    # -- what happens

    def call_out(self, uri: str, offer: bytes = b"") -> None:
        """The phone calls, and everything happens that comes of it."""
        offer = offer or (SAVP if self._phone_over == "tls" else AVP)
        self.phone_exchange = Exchange(self._phone_over, sent_by_it=offer)
        self._say_as_phone(self._request("INVITE", uri, PHONE, self._phone_over, offer))
        self._let_it_happen()

    def call_in(self, over: str, offer: bytes) -> None:
        """The provider calls: over "verified" (our connection to it), "unverified" (its own), or "udp"."""
        transport = "udp" if over == "udp" else "tls"
        self.provider_exchange = Exchange(over, sent_by_it=offer)
        place = FAR_UDP if over == "udp" else FAR_TLS
        invite = self._request("INVITE", "sip:alice-1@gw.example.com", place, transport, offer)
        if over == "udp":
            self.network.send(FAR_UDP, OWN_CLEAR, invite)
        elif over == "unverified":
            self.own_connection()(invite)
        else:
            self.ladder.trunk.flow(self.ladder.configuration.providers[0], self._target(Transport.TLS)).send(
                b"\r\n\r\n"
            )
            self.network.settle()
            assert self._far_say is not None
            self._far_say(b"")
            self._far_say(invite)
        self._let_it_happen()

    def becomes(self, behaviour: Behaviour) -> None:
        """The provider, or who is in its place now, behaves in another way; its connections are gone."""
        for connection in list(self.network.connections):
            if FAR_TLS in (connection._own, connection._peer):
                connection.abortConnection()
        self.network.ports.pop(FAR_TLS, None)
        self.behaviour = behaviour
        self._start_provider()
        self.network.pass_time(70)

    def end(self) -> None:
        """End the calls, and look whether everything is let go of."""
        self.ladder.calls.end_all("the end")
        self.network.pass_time(70)
        assert len(self.ladder.calls) == 0
        assert len(self.ladder.dialogs) == 0

    # -- what was claimed, and what was seen

    @property
    def is_answered(self) -> bool:
        exchange = self.provider_exchange
        return exchange is not None and exchange.status == 200 and self._caller_status() == 200

    def claim(self) -> tuple[str, str, int]:
        """(verdict, reason, status that the caller got) of the latest call."""
        record = max(self.ladder.calls.records(), key=lambda record: record.started_at)
        return record.verdict, record.reason, self._caller_status()

    def seen(self) -> str:
        """The verdict that the wires and the two parties give; "" for a call that was not answered."""
        if not self.is_answered:
            return ""
        provider, phone = self.provider_exchange, self.phone_exchange
        assert provider is not None
        assert phone is not None
        provider_tls = provider.over in ("tls", "verified")
        if provider_tls and provider.is_srtp:
            return "ENCRYPTED" if phone.over == "tls" and phone.is_srtp else "ENCRYPTED_TO_PROVIDER"
        if provider_tls:
            return "SIGNALLING_ONLY"
        return "MEDIA_ONLY_WEAK" if provider.is_srtp else "CLEAR"

    def in_clear_to_provider(self) -> bytes:
        """Everything that the gateway sent to the provider's side in clear."""
        return b"".join(data for source, _, data in self.network.packets if source == OWN_CLEAR)

    def readable_in_tls(self) -> bool:
        """Whether SIP can be read in what the gateway sent over a TCP connection."""
        ours = (stream for (own, _), stream in self.network.streams.items() if own[0] not in (FAR_TLS[0], PHONE[0]))
        return any(b"SIP/2.0" in stream or b"inline:" in stream for stream in ours)

    # -- the gateway

    def _start_gateway(self, security: Security, downgrade: Downgrade) -> None:
        network, authority = self.network, self.authority
        files = authority.directory / "gateway.pem", authority.directory / "gateway.key"
        provider = Provider("main", f"sip:{NAME};transport=tls", trust=authority.file, fallback_uri=FALLBACK)
        if self.behaviour.gets_certificate:
            provider = attrs.evolve(provider, certificate=files[0], private_key=files[1])
        self.ladder = ladder = Ladder(security, FALLBACK, downgrade, provider, network)
        listeners = (
            PHONES,
            Listener("secure phones", Side.PHONES, "tls", PHONES.address, 5061, None, *files),
            attrs.evolve(PROVIDER, certificate=files[0], private_key=files[1], client_trust=authority.file),
            CLEAR,
        )
        self.layer = TransportLayer(network, listeners, ladder.metrics)
        self.layer.start(self)
        ladder.flow_to = self.layer.flow_to  # type: ignore[method-assign]
        ladder.locate = self._locate  # type: ignore[method-assign]
        ladder.flow = lambda key: self._phone_flow  # type: ignore[method-assign]
        admission = DomainAdmission(
            ladder.configuration,
            Authenticator(Nonces(b"secret", lambda count: b"r" * count)),
            lambda name: succeed(Resolved((FAR_TLS[0],), 3600.0)),
            network.seconds,
        )
        admission.refresh()
        ladder.admission.instead = admission

    def receive(self, message: Message, flow: Flow) -> None:
        """The gateway has received a message."""
        if flow.side is Side.PHONES:
            self._phone_flow = flow
        self.ladder.transactions.receive(message, flow)

    def may_answer(self, flow: Flow) -> bool:
        """Anybody is answered."""
        return True

    def connection_ended(self, key: FlowKey) -> None:
        """No binding depends on it."""

    def _locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        return succeed([self._target(Transport(uri.transport or "udp"))])

    def _target(self, transport: Transport) -> Target:
        return Target(transport, Address(FAR_TLS[0], transport.default_port), NAME)

    # -- the provider

    def _start_provider(self) -> None:
        self.network.elsewhere[FAR_UDP] = lambda data, source: self._provider_receives(
            "udp", data, lambda reply: self.network.send(FAR_UDP, source, reply)
        )

        def began(protocol: SipStream) -> None:
            self._far_say = protocol.say

        factories: dict[str, Callable[[], object]] = {
            "tls": lambda: self._tls(self._server_context(), False, partial(self._provider_receives, "tls"), began),
            "plain": lambda: Factory.forProtocol(PlainText),
            "silent": lambda: Factory.forProtocol(Silence),
        }
        factory = factories.get(self.behaviour.port)
        if factory is not None:
            self.network.listenTCP(FAR_TLS[1], factory(), interface=FAR_TLS[0])

    def _provider_receives(self, over: str, data: bytes, reply: Reply) -> None:
        self._far_say = reply
        method = data.split(b" ", 1)[0]
        if method == b"SIP/2.0":
            self._hears_answer(self.provider_exchange, data, reply, FAR_TLS)
        elif method == b"INVITE":
            self._provider_is_called(over, data, reply)
        elif method not in (b"ACK", b"CANCEL"):
            reply(answer_to(data, 200, b""))

    def _provider_is_called(self, over: str, invite: bytes, reply: Reply) -> None:
        offer = body_of(invite)
        is_secure = b"RTP/SAVP" in offer
        status = self.behaviour.answer if is_secure else 488 if self.behaviour.refuses_rtp else 200
        answer = SAVP if is_secure and not self.behaviour.answers_rtp else AVP
        self.provider_exchange = Exchange(over, offer, answer if status == 200 else b"", status)
        reply(answer_to(invite, status, answer if status == 200 else b""))

    def _open_to_provider(self) -> None:
        """Let the gateway open its connection, and learn to talk over it."""
        self.ladder.trunk.flow(self.ladder.configuration.providers[0], self._target(Transport.TLS))
        self.network.settle()

    def own_connection(self, certificate: str | None = None) -> Reply:
        """The way over a connection that the provider begins, with a certificate or none."""
        began: list[SipStream] = []
        context = self._client_context()
        if certificate is not None:
            file = self.authority.directory / certificate
            context.use_certificate_chain_file(str(file.with_suffix(".pem")))
            context.use_privatekey_file(str(file.with_suffix(".key")))
        over = "unverified" if certificate is None else "tls"
        factory = self._tls(context, True, partial(self._provider_receives, over), began.append)
        self.network.connectTCP(PROVIDER.address, 5061, factory, bindAddress=(FAR_TLS[0], 0))  # type: ignore[arg-type]
        self.network.settle()
        return began[0].say

    # -- the phone

    def _start_phone(self) -> None:
        if self._phone_over == "udp":
            self._phone_say = lambda data: self.network.send(PHONE, OWN_PHONES, data)
            self.network.elsewhere[PHONE] = lambda data, source: self._phone_receives(data, self._say_as_phone)
        else:

            def began(protocol: SipStream) -> None:
                self._phone_say = protocol.say

            factory = self._tls(self._client_context(), True, self._phone_receives, began)
            self.network.connectTCP(PHONES.address, 5061, factory, bindAddress=PHONE)  # type: ignore[arg-type]
            self.network.settle()
        self._say_as_phone(self._request("OPTIONS", "sip:gw.example.com", PHONE, self._phone_over, b""))
        self.network.settle()
        assert self._phone_flow is not None

    def _say_as_phone(self, data: bytes) -> None:
        assert self._phone_say is not None
        self._phone_say(data)

    def _phone_receives(self, data: bytes, reply: Reply) -> None:
        method = data.split(b" ", 1)[0]
        if method == b"SIP/2.0":
            self._hears_answer(self.phone_exchange, data, reply, PHONE)
        elif method == b"INVITE":
            offer = body_of(data)
            answer = SAVP if b"RTP/SAVP" in offer else AVP
            self.phone_exchange = Exchange(self._phone_over, offer, answer, 200)
            reply(answer_to(data, 200, answer))
        elif method not in (b"ACK", b"CANCEL"):
            reply(answer_to(data, 200, b""))

    # -- what both have in common

    def _hears_answer(self, exchange: Exchange | None, data: bytes, reply: Reply, place: Place) -> None:
        status = int(data.split(b" ", 2)[1])
        if exchange is None or status < 200 or not re.search(rb"^CSeq: 1 INVITE", data, re.MULTILINE):
            return
        exchange.status, exchange.sent_to_it = status, body_of(data)
        reply(acknowledgement_of(data, place))

    def _request(self, method: str, uri: str, place: Place, transport: str, body: bytes) -> bytes:
        number = next(self._numbers)
        head = (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{transport.upper()} {place[0]}:{place[1]};branch=z9hG4bKm{number}\r\n"
            "Max-Forwards: 70\r\n"
            f"From: <sip:alice@example.com>;tag=m{number}\r\n"
            "To: <sip:alice@example.com>\r\n"
            f"Call-ID: m{number}\r\n"
            f"CSeq: 1 {method}\r\n"
            f"Contact: <sip:me@{place[0]}:{place[1]};transport={transport}>\r\n"
        )
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _let_it_happen(self) -> None:
        self.network.settle()
        self.network.pass_time(15)

    def _caller_status(self) -> int:
        record = max(self.ladder.calls.records(), key=lambda record: record.started_at)
        caller = self.phone_exchange if str(record.direction) == "outbound" else self.provider_exchange
        return 0 if caller is None else caller.status

    def _tls(
        self,
        context: SSL.Context,
        is_client: bool,
        receive: Callable[[bytes, Reply], None],
        began: Callable[[SipStream], None] | None = None,
    ) -> TLSMemoryBIOFactory:
        class Stream(SipStream):
            def connectionMade(self) -> None:
                if began is not None:
                    began(self)

        made = Factory.forProtocol(lambda: Stream(receive))
        return TLSMemoryBIOFactory(Context(context), is_client, made, self.network)

    def _server_context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        least, most = self.behaviour.versions
        if most < SSL.TLS1_2_VERSION:
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
        elif self.behaviour.ciphers is not None:
            context.set_cipher_list(self.behaviour.ciphers)
        context.set_min_proto_version(least)
        context.set_max_proto_version(most)
        file = self.authority.directory / self.behaviour.certificate
        context.use_certificate_chain_file(str(file.with_suffix(".pem")))
        context.use_privatekey_file(str(file.with_suffix(".key")))
        if self.behaviour.wants_certificate:
            context.load_verify_locations(str(self.authority.file))
            must = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            context.set_verify(must, lambda *arguments: bool(arguments[-1]))
        return context

    def _client_context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.load_verify_locations(str(self.authority.file))
        context.set_verify(SSL.VERIFY_PEER, lambda *arguments: bool(arguments[-1]))
        return context


_AUTHORITIES: dict[Path, Authority] = {}


def _authority(directory: Path) -> Authority:
    """An authority with every certificate, made once a directory."""
    from datetime import UTC, datetime, timedelta

    if directory not in _AUTHORITIES:
        authority = _AUTHORITIES[directory] = Authority(directory)
        authority.issue("gateway", "gw.example.com")
        authority.issue("good", NAME)
        authority.issue("expired", NAME, begins=datetime.now(tz=UTC) - timedelta(days=10), days=9)
        authority.issue("self-signed", NAME, is_self_signed=True)
        authority.issue("another", "other.example.com")
        stranger = Authority(directory, "Unknown CA")
        stranger.issue("unknown", NAME)
    return _AUTHORITIES[directory]


def body_of(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2]


def fields_of(message: bytes, *names: str) -> bytes:
    wanted = "|".join(names).encode()
    found = re.findall(rb"^(?:" + wanted + rb"):[^\r]*\r\n", message.partition(b"\r\n\r\n")[0] + b"\r\n", re.MULTILINE)
    return b"".join(found)


def answer_to(request: bytes, status: int, body: bytes, tag: str = "") -> bytes:
    to = fields_of(request, "To")
    if b";tag=" not in to:
        to = to.replace(b"\r\n", b";tag=" + (tag or f"far{status}").encode() + b"\r\n")
    kind = b"Content-Type: application/sdp\r\n" if body else b""
    head = (
        b"SIP/2.0 %d Said\r\n" % status + fields_of(request, "Via", "From") + to + fields_of(request, "Call-ID", "CSeq")
    )
    return head + b"Contact: <sip:far@198.51.100.21>\r\n" + kind + b"Content-Length: %d\r\n\r\n" % len(body) + body


def acknowledgement_of(response: bytes, place: Place) -> bytes:
    """The ACK of a final response; for a refusal on the INVITE's own branch."""
    via = fields_of(response, "Via").split(b"\r\n")[0] + b"\r\n"
    if response.startswith(b"SIP/2.0 200"):
        via = via.replace(b"branch=z9hG4bKm", b"branch=z9hG4bKa")
    rest = (
        fields_of(response, "From", "To", "Call-ID") + b"CSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    return b"ACK sip:gw.example.com SIP/2.0\r\n" + via + rest
