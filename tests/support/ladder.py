"""A call as a script: a phone, the gateway's signalling, a provider, in the order that a ladder diagram has.

Everything between the transport and the relay is real: transactions, core, calls, policy. Flows keep the messages
sent, the clock is Twisted's test clock, the relay rewrites SDP at once or, when held, when told to.

    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite())
    invite = ladder.provider.receives("INVITE")
    ladder.provider.answers(invite, 200, sdp=SAVP)
    ladder.phone.receives(200)
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.app.calls_part import CallsPart
from gateway.app.ingress_part import IngressPart
from gateway.app.pbx.pbx_part import PbxPart
from gateway.b2bua.legs.leg import Leg
from gateway.config.model import (
    Admin,
    CallLimit,
    Configuration,
    Domain,
    Downgrade,
    FixedPhone,
    GatewaySection,
    Listener,
    Media,
    NumberRule,
    Provider,
    Security,
    Side,
)
from gateway.ingress.sender_rights import Admission
from gateway.media.relay import (
    JSON,
    UNKNOWN_SOURCE,
    Encryption,
    RelayFailure,
    RelayListener,
    RelayRefusal,
    SdpSource,
    SdpWish,
)
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding
from gateway.routing.trunk import Trunk
from gateway.security.access_list import Proof, ProofKind
from gateway.security.answering import Answering
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import parse
from gateway.sip.uri import Uri
from gateway.state.journal.journal_clock import JournalClock
from gateway.state.journal.live_journal import FILE, LiveJournal
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Address, Flow, FlowKey, Target, TlsTerms, Transport, is_ip_address
from tests.support.flows import RecordingFlow
from tests.support.parts import GivenLimits, GivenMedia, GivenPeers, GivenSignalling, MemoryState, NoCrowd, basis_of

AVP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
SAVP = (
    b"v=0\r\no=- 2 2 IN IP4 198.51.100.21\r\ns=-\r\nc=IN IP4 198.51.100.21\r\nt=0 0\r\nm=audio 6000 RTP/SAVP 0\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY.encode() + b"\r\n"
)

FINGERPRINT = ":".join(["AB"] * 32)
DTLS = (
    b"v=0\r\no=- 3 3 IN IP4 192.0.2.11\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtcp-mux\r\na=setup:%s\r\n"
    b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 " + FINGERPRINT.encode() + b"\r\n"
)
"""A browser's description, less its role."""
DTLS_OFFER, DTLS_ANSWER = DTLS % b"actpass", DTLS % b"active"

PHONES = Listener("phones", Side.PHONES, "udp", "192.0.2.1", 5060)
PROVIDER = Listener("provider", Side.PROVIDER, "tls", "198.51.100.1", 5061, "gw.example.com")
CLEAR = Listener("clear", Side.PROVIDER, "udp", "198.51.100.1", 5060)
BINDING = Binding(
    aor="sip:alice@example.com",
    contact="sip:alice@192.0.2.11:5070",
    flow=FlowKey("phones", Transport.UDP, Address("192.0.2.11", 5070)),
    expires_at=1e12,
    call_id="r",
    cseq=1,
    q=1.0,
    instance=None,
    user_agent="",
    token="alice-1",
    provider_expires_at=1e12,
)


PHONES_TLS = Listener("phones-tls", Side.PHONES, "tls", "192.0.2.1", 5061, client_trust=Path("/nowhere/ca.pem"))


@attrs.frozen
class PbxListener:
    """A started listener."""

    listener: Listener


WEB = Listener("web", Side.PHONES, "wss", "192.0.2.1", 8443, "gw.example.com", origins=("https://example.com",))


SECRET = bytes(32)
"""That of the gateway under test, for its journal."""

_PROCESSES = itertools.count(1)


class TestRelay:
    """Rewrites SDP as a relay would; held, it waits for `release`."""

    __test__ = False

    def __init__(self) -> None:
        self.listener: RelayListener | None = None
        self.held = False
        self.refuses = False
        self.failure: RelayFailure = RelayRefusal("made by the test")
        """How it refuses."""
        self.asked: list[tuple[str, str, str | None]] = []
        self.sources: list[SdpSource] = []
        self.offers: list[bytes] = []
        self.wishes: list[SdpWish] = []
        self.confirmed: list[str] = []
        self.deleted: list[str] = []
        self.deleted_at_once: list[str] = []
        self._offered: dict[str, bytes] = {}
        self._waiting: deque[tuple[Deferred[bytes], bytes]] = deque()

    def start(self, listener: RelayListener) -> Deferred[None]:
        self.listener = listener
        return succeed(None)

    def missing(self, calls: Iterable[str]) -> tuple[str, ...]:
        """Those that this relay has lost, or never had."""
        return tuple(call for call in calls if call not in self._offered)

    def lost(self, calls: tuple[str, ...]) -> None:
        """Lose the media of these calls."""
        assert self.listener is not None
        self.listener.media_lost(calls)

    def ended(self, calls: tuple[str, ...]) -> None:
        """End these calls by itself."""
        assert self.listener is not None
        self.listener.media_ended(calls)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def offer(
        self,
        call: str,
        from_tag: str,
        sdp: bytes,
        wish: SdpWish,
        to_tag: str | None = None,
        source: SdpSource = UNKNOWN_SOURCE,
    ) -> Deferred[bytes]:
        self.sources.append(source)
        self.offers.append(sdp)
        self.wishes.append(wish)
        self.asked.append(("offer", from_tag, to_tag))
        self._offered[call] = DTLS_ANSWER if b"UDP/TLS/" in sdp else SAVP if b"RTP/SAVP" in sdp else AVP
        return self._reply({Encryption.SAVP: SAVP, Encryption.DTLS: DTLS_OFFER}.get(wish.encryption, AVP))

    def confirm(self, call: str) -> None:
        self.confirmed.append(call)

    def answer(
        self, call: str, from_tag: str, to_tag: str, sdp: bytes, source: SdpSource = UNKNOWN_SOURCE
    ) -> Deferred[bytes]:
        self.sources.append(source)
        self.asked.append(("answer", from_tag, to_tag))
        return self._reply(self._offered[call])

    def delete(self, call: str, *, at_once: bool = False) -> Deferred[dict[str, JSON]]:
        self.deleted.append(call)
        if at_once:
            self.deleted_at_once.append(call)
        return succeed({})

    def query(self, call: str) -> Deferred[dict[str, JSON]]:
        return succeed({})

    def forget(self) -> None:
        """Let go all that was noted of calls."""
        for noted in (self.asked, self.sources, self.offers, self.wishes, self.confirmed, self.deleted):
            noted.clear()
        self.deleted_at_once.clear()
        self._offered.clear()

    def release(self) -> None:
        """Give the oldest answer that is held."""
        deferred, sdp = self._waiting.popleft()
        deferred.callback(sdp)

    def fails(self) -> None:
        """Answer nothing that is held."""
        while self._waiting:
            self._waiting.popleft()[0].errback(RelayFailure("made by the test"))

    def _reply(self, sdp: bytes) -> Deferred[bytes]:
        if self.refuses:
            return fail(self.failure)
        if not self.held:
            return succeed(sdp)
        deferred: Deferred[bytes] = Deferred()
        self._waiting.append((deferred, sdp))
        return deferred


class Party:
    """The phone, or the provider: sends requests and answers, and reads what it is sent."""

    def __init__(self, ladder: Ladder, flow: RecordingFlow, host: str) -> None:
        self._ladder = ladder
        self.flow = flow
        self._host = host
        self._branches = itertools.count(1)

    def sends(self, message: Message) -> None:
        """Let the gateway receive a message from here."""
        self._ladder.receive(parse(message.to_bytes()), self.flow)

    def receives(self, what: str | int) -> Message:
        """The next message here, which must be a request with this method or a response with this status."""
        assert self.flow.sent, f"nothing was sent here, wanted {what}"
        message = self.flow.sent.pop(0)
        found: str | int = message.method if isinstance(message, Request) else message.status
        assert found == what, f"wanted {what}, not {message.to_bytes()!r}"
        return message

    def receives_request(self, method: str) -> Request:
        """The next message here, a request."""
        message = self.receives(method)
        assert isinstance(message, Request)
        return message

    def receives_response(self, status: int) -> Response:
        """The next message here, a response."""
        message = self.receives(status)
        assert isinstance(message, Response)
        return message

    def receives_nothing(self) -> None:
        """Nothing more was sent here."""
        assert not self.flow.sent, self.flow.sent[0].to_bytes()

    def request(
        self,
        method: str,
        uri: str,
        *,
        sdp: bytes = b"",
        call_id: str = "c1",
        cseq: int = 1,
        tags: tuple[str, str] = ("f1", ""),
    ) -> Request:
        """A request of this party."""
        transport = str(self.flow.transport).upper()
        to = "<sip:bob@example.com>" + (f";tag={tags[1]}" if tags[1] else "")
        headers = Headers(
            [
                ("Via", f"SIP/2.0/{transport} {self._host};branch=z9hG4bK{self._host}{next(self._branches)};rport"),
                ("Max-Forwards", "70"),
                ("From", f"<sip:alice@example.com>;tag={tags[0]}"),
                ("To", to),
                ("Call-ID", call_id),
                ("CSeq", f"{cseq} {method}"),
                ("Contact", f"<sip:me@{self._host}>"),
            ]
        )
        if sdp:
            headers.add("Content-Type", "application/sdp")
        return Request(method, uri, headers, sdp)

    def invite(self, uri: str = "sip:bob@example.com", sdp: bytes = AVP, **more: object) -> Request:
        """An INVITE of this party."""
        return self.request("INVITE", uri, sdp=sdp, **more)  # type: ignore[arg-type]

    def answers(
        self,
        request: Request,
        status: int,
        *,
        sdp: bytes = b"",
        tag: str = "t1",
        fields: tuple[tuple[str, str], ...] = (),
    ) -> Response:
        """Answer a request that came here."""
        response = request.response(status, to_tag=None if status == 100 else tag)
        response.headers.add("Contact", f"<sip:me@{self._host}>")
        for name, value in fields:
            response.headers.add(name, value)
        if sdp:
            response.headers.add("Content-Type", "application/sdp")
            response.body = sdp
        self.sends(response)
        return response

    def acknowledges(self, invite: Message, response: Response, sdp: bytes = b"") -> None:
        """Send the ACK of a 2xx."""
        tags = (invite.from_.tag or "", response.to.tag or "")
        ack = self.request("ACK", "sip:gw", sdp=sdp, call_id=invite.call_id, cseq=invite.cseq.number, tags=tags)
        self.sends(ack)

    def within(self, response: Response, method: str, *, sdp: bytes = b"", cseq: int = 2) -> Request:
        """A request inside the dialog that this response made, by who asked."""
        tags = (response.from_.tag or "", response.to.tag or "")
        return self.request(method, "sip:gw", sdp=sdp, call_id=response.call_id, cseq=cseq, tags=tags)

    def within_answered(
        self, request: Request, method: str, *, sdp: bytes = b"", cseq: int = 1, tag: str = "t1"
    ) -> Request:
        """A request inside the dialog that this request made, by who answered it."""
        tags = (tag, request.from_.tag or "")
        return self.request(method, "sip:gw", sdp=sdp, call_id=request.call_id, cseq=cseq, tags=tags)


class Everybody:
    """Lets every request in, until there is an admission to ask."""

    def __init__(self) -> None:
        self.instead: Admission | None = None

    def served_by(self, flow: Flow) -> tuple[str, ...]:
        return ("example.com",)

    def proof_of(self, flow: Flow, domain: str) -> Proof | None:
        return None if self.instead is None else self.instead.proof_of(flow, domain)

    def admit(self, request: Request, flow: Flow, domain: str) -> Proof | None:
        if self.instead is not None:
            return self.instead.admit(request, flow, domain)
        return Proof("provider.example.com", ProofKind.CERTIFICATE)

    def prove_caller(self, request: Request, domain: str, user: str) -> bool:
        return self.instead is None or self.instead.prove_caller(request, domain, user)

    def admit_within(self, request: Request, flow: Flow, domain: str) -> bool:
        return self.instead is None or self.instead.admit_within(request, flow, domain)


class Ladder:
    """The signalling of a gateway between one phone and one provider."""

    def __init__(
        self,
        security: Security = Security.PREFERRED,
        fallback: str | None = None,
        downgrade: Downgrade = Downgrade.ALERT,
        provider: Provider | None = None,
        clock: Clock | None = None,
        registered_callers_only: bool = False,
        relay: TestRelay | None = None,
        session_interval: int = 1800,
        journal: Path | None = None,
        tokens: str = "tag{}",
        phones: tuple[FixedPhone, ...] = (),
        passwords: Mapping[str, str] | None = None,
        limit: tuple[CallLimit, ...] = (),
        numbers: tuple[NumberRule, ...] = (),
        **rules: object,
    ) -> None:
        """Calls are kept in the directory `journal`: see `killed`. `phones` are PBXs, at flows among `other_flows`;
        the gateway holds `passwords` by user."""
        self._made_with: dict[str, Any] = {
            "security": security,
            "fallback": fallback,
            "downgrade": downgrade,
            "provider": provider,
            "registered_callers_only": registered_callers_only,
            "session_interval": session_interval,
            "limit": limit,
            "numbers": numbers,
            "journal": journal,
            "phones": phones,
            "passwords": passwords,
            **rules,
        }
        self.clock = clock or Clock()
        self.other_flows: dict[FlowKey, Flow] = {}
        """More flows of phones that are open."""
        self.servers = 1
        """How many targets the provider's name leads to; all are reached over the same flow."""
        self.relay = relay or TestRelay()
        self.phone_flow = RecordingFlow(PHONES, Address("192.0.2.11", 5070))
        self.provider_flow = RecordingFlow(PROVIDER, Address("198.51.100.21", 5061))
        self.clear_flow = RecordingFlow(CLEAR, Address("198.51.100.21", 5060))
        self.crowd = NoCrowd()
        self.transactions = TransactionLayer(self.clock, waiting=self.crowd)
        self.metrics = Metrics(CollectorRegistry())
        self.phone = Party(self, self.phone_flow, "192.0.2.11:5070")
        self.provider = Party(self, self.provider_flow, "198.51.100.21:5061")
        self.clear = Party(self, self.clear_flow, "198.51.100.21:5060")
        section = GatewaySection("gw", Path("/nowhere"), session_interval=session_interval)
        configuration = _configuration(security, fallback, downgrade, provider)
        (domain,) = configuration.domains
        rules["registered_callers_only"] = registered_callers_only
        domains = (attrs.evolve(domain, **rules),)  # type: ignore[arg-type]
        configuration = attrs.evolve(configuration, gateway=section, phones=phones, domains=domains, limit=limit)
        configuration = attrs.evolve(configuration, numbers=numbers)
        self.configuration = configuration
        self.admission = Everybody()
        basis = basis_of(configuration, self.clock, self.metrics, tokens)
        self.journal = kept = (
            None if journal is None else LiveJournal(journal / FILE, SECRET, clock=self.journal_clock())
        )
        state, signalling = MemoryState(basis, kept), GivenSignalling(self, self.transactions, self)
        self.memory = state.memory
        self.listeners = configuration.listeners
        held = passwords or {}
        self.answering = Answering(lambda _, user: held.get(user), self._is_bound, basis.random.token)
        self.trunk = Trunk(self.clock, self, self, self.transactions, self.memory, self.answering)  # type: ignore[arg-type]
        self.store = state.store
        self.store.save(BINDING)
        self.pbx = PbxPart(basis, signalling, SECRET, lambda: {"198.51.100.21"})
        peers = GivenPeers(self, self.pbx, self.trunk, self.admission, self.store)
        self.pbx.ways.refresh()
        self.pbx.register_by(self.trunk, peers.router, self.answering.password_of)
        self._peers = peers
        parts = CallsPart(basis, state, GivenMedia(self.relay), signalling, peers, GivenLimits(basis))
        self.parts, self.history = parts, state.history
        self.calls, self.subscriptions, self.dialogs = parts.calls, parts.subscriptions, parts.dialogs
        self.relay.start(self.calls)
        ingress = IngressPart(basis, signalling, peers, parts)
        self.overload, self.drain, self.receive = ingress.overload, ingress.drain, ingress.identities.receive
        self.transactions.start(ingress.core)
        if journal is not None and kept is not None and not (journal / FILE).exists():
            kept.renew(())  # of the first process; the next ones look at it first, in `rebuild`

    def killed(self, down: float = 1.0, listeners: tuple[Listener, ...] = ()) -> Ladder:
        """The gateway is killed, and the next one is up after so many seconds: the same peers, the same relay and a
        journal. Connections of peers are gone; those of ours are opened again."""
        self.lets_go()
        clock = Clock()
        clock.advance(self.clock.seconds() + down)
        after = self.next(clock=clock, relay=self.relay, tokens=f"next{next(_PROCESSES)}-{{}}", **self._made_with)
        after.history = self.history
        after.parts._survival._state.history = self.history
        for party, flow in (
            (self.phone, after.phone_flow),
            (self.provider, after.provider_flow),
            (self.clear, after.clear_flow),
        ):
            party.flow, party._ladder = flow, after
        after.phone, after.provider, after.clear = self.phone, self.provider, self.clear
        if listeners:
            basis = after.parts._survival._basis
            configuration = attrs.evolve(basis.configuration, listeners=(*basis.configuration.listeners, *listeners))
            after.parts._survival._basis = attrs.evolve(basis, configuration=configuration)
        after.other_flows.update((key, one) for key, one in self.other_flows.items() if not one.is_reliable)
        after.parts.rebuild()
        return after

    def journal_clock(self) -> JournalClock:
        """The time of the journal: that of the test, in one boot."""
        return JournalClock(self.clock.seconds, self.clock.seconds, "a boot")

    def next(self, **made: Any) -> Ladder:
        """The next process."""
        return Ladder(**made)

    def tidy(self) -> None:
        """Let the round of the journal come."""
        self.parts._survival.tidy(self.calls.active)

    def locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        transport = Transport(uri.transport or "udp")
        if is_ip_address(uri.host):
            return succeed([Target(transport, Address(uri.host, uri.port or transport.default_port), uri.host)])
        target = Target(transport, Address("198.51.100.21", transport.default_port), uri.host)
        return succeed([target] * self.servers)

    def at_once(self, uri: Uri) -> Target | None:
        """The provider has a name."""
        return None

    def flow_to(self, target: Target, side: Side, tls: TlsTerms | None = None) -> Flow:
        if side is Side.PHONES:
            return next(flow for flow in self.other_flows.values() if flow.remote == target.address)
        if target.transport is not Transport.TLS:
            return self.clear_flow
        self.provider_flow.name = target.name
        return self.provider_flow

    def flow(self, key: FlowKey) -> Flow | None:
        if key == self.clear_flow.key:
            return self.clear_flow
        return self.phone_flow if key == BINDING.flow else self.other_flows.get(key)

    def port_toward(self, target: Target, side: Side) -> PbxListener:
        """The port that PBXs are reached from."""
        return PbxListener(PHONES if target.transport is Transport.UDP else PHONES_TLS)

    def place(self, host: str, listener: Listener = PHONES, connection: int = 0) -> Party:
        """A PBX's place, and the way to it."""
        flow = RecordingFlow(listener, Address(host, 5060 if listener is PHONES else 5061), connection)
        self.other_flows[flow.key] = flow
        return Party(self, flow, f"{host}:5060")

    def _is_bound(self, aor: str, flow: FlowKey) -> bool:
        return self._peers.callers.is_bound(aor, flow)

    def stranger(self) -> Party:
        """Somebody else on the phones' side."""
        return Party(self, RecordingFlow(PHONES, Address("192.0.2.66", 5060)), "192.0.2.66:5060")

    @property
    def caller(self) -> Leg:
        """The caller's leg of the one call that is up."""
        (call,) = self.calls.active
        return call.caller

    @property
    def callee(self) -> Leg:
        """The callee's leg of the one call that is up."""
        (call,) = self.calls.active
        assert call.callee is not None
        return call.callee

    def reconnect_provider(self) -> None:
        """The provider's side has a new connection, in place of the one that was lost."""
        self.provider_flow = RecordingFlow(PROVIDER, Address("198.51.100.21", 5061))
        self.provider.flow = self.provider_flow

    def lets_go(self) -> None:
        """Close the journal, as the end of a process does."""
        if self.journal is not None:
            self.journal.close()

    def ends_clean(self) -> None:
        """Nothing is left of any call once every timer has run out."""
        self.clock.pump([1.0] * 200)
        assert self.calls.is_idle
        assert len(self.dialogs) == 0
        assert not self.clock.getDelayedCalls()

    def flow_ended(self, key: FlowKey) -> None:
        """No binding depends on it."""


def _configuration(
    security: Security, fallback: str | None, downgrade: Downgrade, provider: Provider | None
) -> Configuration:
    usual = Provider("main", "sip:provider.example.com;transport=tls", fallback_uri=fallback)
    return Configuration(
        gateway=GatewaySection("gw", Path("/nowhere")),
        listeners=(PHONES, PROVIDER, CLEAR),
        media=Media("127.0.0.1"),
        providers=(provider or usual,),
        domains=(Domain("example.com", "main", security, downgrade),),
        admin=Admin(),
        source=Path("/nowhere/gateway.toml"),
    )


def drain(party: Party) -> Iterator[Message]:
    """Everything that was sent to a party and not read."""
    while party.flow.sent:
        yield party.flow.sent.pop(0)
