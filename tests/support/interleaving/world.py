"""A call of the real gateway, played by chances: exchanges, forks, flows and refusals in any order.

bytes of chances -> World.play() -> messages of phone, provider and strangers, the relay's replies, time
                 -> World.verdict(), and an Oracle over the taps
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import attrs
from twisted.internet.task import Clock

from gateway.config.model import Listener, Provider, Security, Side, SrtpOffer
from gateway.security.access_list import Proof, ProofKind
from gateway.sip.message import Message, Request, Response
from gateway.state.call_record import CallRecord
from gateway.transport.flow import Address, Flow, PeerIdentity
from tests.support.flows import RecordingFlow
from tests.support.interleaving.descriptions import Descriptions, lines_of
from tests.support.interleaving.oracle import Oracle, Tapped, Wire
from tests.support.interleaving.peer import Peer
from tests.support.interleaving.relay import WrittenRelay
from tests.support.ladder import CLEAR, PHONES, PROVIDER, Everybody, Ladder, Party

PHONES_TLS: Final = Listener("phones", Side.PHONES, "tls", "192.0.2.1", 5061, "gw.example.com")
PHONE: Final = Address("192.0.2.11", 5070)
FAR: Final = Address("198.51.100.21", 5061)
FAR_CLEAR: Final = Address("198.51.100.21", 5060)
IDENTITY: Final = PeerIdentity(uris=(), names=("provider.example.com",), addresses=())
TAGS: Final = ("t1", "t2", "t3")

Action: TypeAlias = Callable[[], None]


class Chances:
    """Bytes, each of which decides one thing; 0 once there are no more."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self.are_over = False

    def below(self, number: int) -> int:
        """One of so many."""
        byte = next(self._data, None)
        if byte is None:
            self.are_over = True
        return (byte or 0) % number

    def one_of(self, *values: str) -> str:
        """One of these."""
        return values[self.below(len(values))]


class TappedFlow(RecordingFlow):
    """A flow of which every message is taken down."""

    __slots__ = ("_tap", "wire")

    def __init__(
        self, listener: Listener, remote: Address, tap: Callable[[Wire, bytes], None], wire: Wire, number: int = 0
    ) -> None:
        super().__init__(listener, remote, number)
        self._tap = tap
        self.wire = wire

    def send(self, data: bytes) -> None:
        self._tap(self.wire, data)
        super().send(data)


class ByCertificate(Everybody):
    """Knows a peer by its certificate, and another by its address alone."""

    def admit(self, request: Request, flow: Flow, domain: str) -> Proof | None:
        return self.proof_of(flow, domain)

    def proof_of(self, flow: Flow, domain: str) -> Proof | None:
        if flow.identity is not None:
            return Proof("provider.example.com", ProofKind.CERTIFICATE)
        is_known = flow.remote.host == FAR.host
        return Proof("provider.example.com", ProofKind.ADDRESS) if is_known else None


@attrs.frozen
class Setting:
    """The circumstances of a call."""

    security: Security
    is_outbound: bool
    phone_on_tls: bool
    arrival: str
    """Of an inbound INVITE: "verified", "unverified" or "clear"."""
    offer: SrtpOffer
    clear_control: Side | None
    """The side whose RTCP comes in clear beside its SRTP."""

    @classmethod
    def by(cls, chances: Chances) -> Setting:
        """Whatever the chances say."""
        return cls(
            (Security.PREFERRED, Security.REQUIRED, Security.PREFERRED, Security.OFF)[chances.below(4)],
            chances.below(2) == 0,
            chances.below(2) == 0,
            chances.one_of("verified", "verified", "unverified", "clear"),
            (SrtpOffer.SAVP, SrtpOffer.OSRTP)[chances.below(2)],
            (None, None, None, None, None, None, Side.PROVIDER, Side.PHONES)[chances.below(8)],
        )


class World:
    """One call, from its INVITE to its end."""

    def __init__(self, data: bytes) -> None:
        self.chances = Chances(data)
        self.setting = setting = Setting.by(self.chances)
        self.taps: list[Tapped] = []
        provider = Provider(
            "main",
            "sip:provider.example.com;transport=tls",
            fallback_uri="sip:provider.example.com;transport=udp",
            srtp_offer=setting.offer,
        )
        clock = Clock()
        self.relay = WrittenRelay(clock.seconds, lambda: len(self.taps))
        self.ladder = ladder = Ladder(setting.security, provider=provider, clock=clock, relay=self.relay)  # type: ignore[arg-type]
        self.relay.clear_control = setting.clear_control
        self._flows = 0
        ladder.admission.instead = ByCertificate()
        ladder.phone_flow = self._flow(PHONES_TLS if setting.phone_on_tls else PHONES, PHONE)
        ladder.provider_flow = self._flow(PROVIDER, FAR, is_verified=True)
        ladder.clear_flow = self._flow(CLEAR, FAR_CLEAR)
        self.phone = self._peer(ladder.phone, ladder.phone_flow, "192.0.2.11", 1_000)
        arrives: RecordingFlow = ladder.provider_flow
        if not setting.is_outbound and setting.arrival != "verified":
            arrives = ladder.clear_flow if setting.arrival == "clear" else self._flow(PROVIDER, FAR)
        self.provider = self._peer(ladder.provider, arrives, "198.51.100.21", 10_000)
        self.strangers = Descriptions("198.51.100.66", 20_001)
        self._was_moved = False

    def play(self, steps: int = 60) -> None:
        """Begin the call, let chances go on with it, and end it."""
        self._begin()
        for _ in range(steps):
            actions = list(self._actions())
            if self.chances.are_over or not actions:
                break
            actions[self.chances.below(len(actions))]()
            self._settle()
        self.relay.held = False
        while self.relay.is_waiting:
            self.relay.release()
        self._settle()
        self.ladder.calls.end_all("the test is over")

    def record(self) -> CallRecord | None:
        """The gateway's record of the call; None where there was none."""
        return next(iter(self.ladder.calls.records()), None)

    def oracle(self) -> Oracle:
        """The reader of its wires."""
        told = self.relay.clear_control if self.relay.has_let_go else None
        return Oracle(self.taps, self.relay.exchanges, told)

    def is_answered(self) -> bool:
        """Whether the caller was given a 2xx."""
        caller = self.phone if self.setting.is_outbound else self.provider
        return caller.is_confirmed

    def _begin(self) -> None:
        caller = self.phone if self.setting.is_outbound else self.provider
        uri = "sip:bob@example.com" if self.setting.is_outbound else "sip:alice-1@gw.example.com"
        form = self._offer_form(*(("LATE",) if self.chances.below(5) == 0 else ()))
        invite = caller.party.invite(uri, sdp=caller.descriptions.make(form) if form != "LATE" else b"")
        extension = self.chances.one_of("", "Supported", "Require")
        if extension:
            invite.headers.add(extension, "100rel")
        caller.send(invite)
        self._settle()

    def _offer_form(self, *more: str) -> str:
        return self.chances.one_of("AVP", "SAVP", "AVP", "SAVP", "OSRTP", "DUAL", "NONE", "FAX", *more)

    def _actions(self) -> Iterator[Action]:
        for peer in (self.phone, self.provider):
            if peer.has_ended:
                continue
            yield from self._answers(peer)
            yield from self._acknowledgements(peer)
            yield from self._requests(peer)
        yield lambda: self.ladder.clock.advance((0.1, 0.6, 2.0, 9.0, 33.0)[self.chances.below(5)])
        yield from [self._hold] * 2
        if self.relay.is_waiting:
            yield from [self.relay.release] * 4
        yield from self._moves()
        yield self._intrude

    def _answers(self, peer: Peer) -> Iterator[Action]:
        for request in peer.pending:
            if request.method not in ("INVITE", "UPDATE"):
                yield lambda request=request: peer.respond(request, 200)  # type: ignore[misc]
                continue
            for _ in range(5):
                yield lambda request=request: self._answer(peer, request)  # type: ignore[misc]
            if request.to.tag is not None or self.chances.below(4) == 0:
                yield lambda request=request: self._refuse(peer, request)  # type: ignore[misc]

    def _answer(self, peer: Peer, request: Request) -> None:
        """A provisional response, or the final one."""
        tag = TAGS[self.chances.below(3)] if request.to.tag is None else "t1"
        status = 200 if request.method == "UPDATE" else (200, 183, 180, 200)[self.chances.below(4)]
        is_described = request.to.tag is None and (tag, request.cseq.number) in peer.described
        sdp = b""
        if lines_of(request.body):
            omits = status == 180 or (is_described and self.chances.below(2) == 0)
            sdp = b"" if omits else self._answer_to(peer, request.body)
        elif request.method == "INVITE" and status in (200, 183):
            sdp = peer.descriptions.make(self._offer_form())
        is_reliable = status < 200 and "100rel" in str(request.headers.get("Supported")) and self.chances.below(3) == 0
        peer.respond(request, status, sdp, tag, is_reliable=is_reliable)

    def _answer_to(self, peer: Peer, offer: bytes) -> bytes:
        """An answer that fits mostly, and one that does not at times."""
        lines = [line for line in lines_of(offer) if line.port]
        if not lines:
            return peer.descriptions.answer(offer, "NONE")
        first = lines[0]
        if first.kind == b"image":
            return peer.descriptions.answer(offer, self.chances.one_of("FAX", "FAX", "NONE"))
        fitting = "SAVP" if first.is_secure else "OSRTP" if first.keys else "AVP"
        return peer.descriptions.answer(
            offer, self.chances.one_of(fitting, fitting, fitting, "AVP", fitting, "NONE", "SAVP")
        )

    def _refuse(self, peer: Peer, request: Request) -> None:
        peer.respond(request, (488, 491, 486, 503, 488)[self.chances.below(5)])

    def _acknowledgements(self, peer: Peer) -> Iterator[Action]:
        for invite, response in peer.answered:
            for _ in range(4):
                yield lambda one=invite, two=response: self._acknowledge(peer, one, two)  # type: ignore[misc]
        for invite, response in peer.provisional:
            for _ in range(3):
                yield lambda one=invite, two=response: self._prack(peer, one, two)  # type: ignore[misc]
        for invite in peer.invites:
            if invite.to.tag is None and self.chances.below(6):
                continue
            yield lambda one=invite: peer.cancel(one)  # type: ignore[misc]

    def _acknowledge(self, peer: Peer, invite: Request, response: Response) -> None:
        is_late = not invite.body and bool(lines_of(response.body))
        peer.acknowledge(invite, response, self._answer_to(peer, response.body) if is_late else b"")

    def _prack(self, peer: Peer, invite: Request, response: Response) -> None:
        if not invite.body and lines_of(response.body):
            peer.prack(invite, response, self._answer_to(peer, response.body))
        elif invite.body and response.body and self.chances.below(4) == 0:
            peer.prack(invite, response, peer.descriptions.make(self._offer_form()))
        else:
            peer.prack(invite, response)

    def _requests(self, peer: Peer) -> Iterator[Action]:
        for dialog in list(peer.dialogs.values()):
            if peer.is_confirmed:
                for _ in range(2):
                    yield lambda one=dialog: peer.send(  # type: ignore[misc]
                        peer.request(one, "INVITE", self._offer_or_none(peer))
                    )
                if self.relay.is_waiting or self.chances.below(6) == 0:
                    yield lambda one=dialog: self._hang_up(peer, one)  # type: ignore[misc]
            yield lambda one=dialog: peer.send(peer.request(one, "UPDATE", self._offer_or_none(peer)))  # type: ignore[misc]

    def _offer_or_none(self, peer: Peer) -> bytes:
        form = self._offer_form("LATE")
        return b"" if form == "LATE" else peer.descriptions.make(form)

    def _hang_up(self, peer: Peer, dialog: object) -> None:
        peer.has_ended = True
        peer.send(peer.request(dialog, "BYE"))  # type: ignore[arg-type]

    def _hold(self) -> None:
        self.relay.held = not self.relay.held

    def _moves(self) -> Iterator[Action]:
        """Peers that get another flow."""
        if not self._was_moved:
            yield self._reconnect
        if not self.setting.phone_on_tls:
            yield self._rebind

    def _reconnect(self) -> None:
        """The provider's connection ends, and it goes on over TLS: with its certificate, or from its host."""
        self._was_moved = True
        old = self.provider.party.flow
        is_verified = self.chances.below(3) > 0
        new = self._flow(PROVIDER, Address(FAR.host, 5062), is_verified=is_verified)
        if not (is_verified or old.identity is None):
            return
        old.open = False
        self._settle()
        self.provider.party.flow = new
        self.ladder.provider_flow = new if is_verified else self.ladder.provider_flow

    def _rebind(self) -> None:
        """The phone's NAT gives it another port."""
        self.phone.party.flow = self._flow(PHONES, Address(PHONE.host, 6_000 + self.chances.below(50)))

    def _intrude(self) -> None:
        """Somebody who knows every tag and branch speaks for one of the parties."""
        peer = (self.provider, self.phone)[self.chances.below(2)]
        is_provider = peer is self.provider
        listener = PHONES if not is_provider else (CLEAR, PROVIDER)[self.chances.below(2)]
        flow = self._flow(listener, Address("192.0.2.66", 5066), is_stranger=True)
        party = Party(self.ladder, flow, "192.0.2.66:5066")
        body = self.strangers.make(self.chances.one_of("SAVP", "AVP"))
        for request in peer.pending:
            if self.chances.below(2) == 0:
                response = request.response(200, to_tag="t1")
                response.headers.add("Contact", "<sip:me@192.0.2.66>")
                response.headers.add("Content-Type", "application/sdp")
                response.body = body
                self._sent(party, response)
                return
        dialogs = list(peer.dialogs.values())
        if dialogs:
            dialog = dialogs[self.chances.below(len(dialogs))]
            method = self.chances.one_of("INVITE", "UPDATE", "BYE", "INFO")
            tags = (dialog.own, dialog.gateway)
            sdp = body if method in ("INVITE", "UPDATE") else b""
            self._sent(
                party,
                party.request(method, "sip:gw", sdp=sdp, call_id=dialog.call_id, cseq=dialog.cseq + 50, tags=tags),
            )

    def _settle(self) -> None:
        for _ in range(50):
            if not any([self.phone.read(), self.provider.read()]):
                return

    def _peer(self, party: Party, flow: RecordingFlow, host: str, first_port: int) -> Peer:
        party.flow = flow
        return Peer(self.ladder, party, Descriptions(host, first_port), lambda message: self._sent(party, message))

    def _sent(self, party: Party, message: Message) -> None:
        flow = party.flow
        assert isinstance(flow, TappedFlow)
        self.taps.append(Tapped(self.ladder.clock.seconds(), flow.wire, False, message.to_bytes()))
        party.sends(message)

    def _tapped(self, wire: Wire, data: bytes) -> None:
        self.taps.append(Tapped(self.ladder.clock.seconds(), wire, True, data))

    def _flow(
        self, listener: Listener, remote: Address, *, is_verified: bool = False, is_stranger: bool = False
    ) -> TappedFlow:
        self._flows += 1
        wire = Wire(listener.side, listener.transport == "tls", is_verified, is_stranger)
        flow = TappedFlow(listener, remote, self._tapped, wire, self._flows if listener.transport == "tls" else 0)
        flow.identity = IDENTITY if is_verified else None
        return flow
