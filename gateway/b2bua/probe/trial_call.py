"""One call of a probe: an INVITE to a number with our offer, media both ways for a moment, and BYE.

    party of ours <-RTP-> relay <-SRTP or RTP-> provider
    offer -> relay -> INVITE -> 2xx -> ACK -> answer -> relay -> packets for MEDIA_SECONDS -> BYE -> relay's delete

The relay is the calls' own, with the same wish, so the offer is the one that calls make. It is no call of the gateway:
no record, no verdict, no memory. In any case the provider is hung up on and the relay
is told to forget it.
"""

from __future__ import annotations

import re
import struct
from typing import Final, cast

import attrs
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from gateway.b2bua.probe import requests
from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.found import CallFacts, told
from gateway.b2bua.probe.prediction import AttemptOutcome
from gateway.b2bua.probe.requests import Teller
from gateway.b2bua.probe.roads import AskedEnd, Road
from gateway.dialog.dialog import Dialog
from gateway.media.relay import RelayFailure, SdpSource, SdpWish
from gateway.sdp.description import MalformedDescription
from gateway.sdp.negotiation import fits, media_security
from gateway.sdp.settlement import settles
from gateway.security.policy.terms import MEDIA_REFUSALS, MediaFailure, PeerFailure
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response

log = Logger()

ANSWER_WITHIN: Final = 10.0
"""Seconds that the number may ring."""
MEDIA_SECONDS: Final = 3.0
PACKET_SECONDS: Final = 0.02
_SILENCE: Final = b"\xff" * 160
"""20 ms of G.711 (mu-law)."""
_HOST: Final = re.compile(rb"^c=IN IP[46] (\S+)", re.MULTILINE)
_PORT: Final = re.compile(rb"^m=audio (\d{1,5}) ", re.MULTILINE)
_OWN: Final = (
    "v=0\r\no=- 1 1 IN IP{version} {host}\r\ns=-\r\nc=IN IP{version} {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n"
)
_CALLEES: Final = frozenset({404, 408, 410, 480, 484, 486, 487, 600, 603, 604, 607, 608})
"""Answers about the number that was called, and not about the provider."""


@attrs.frozen
class Called:
    """A call that was made."""

    facts: CallFacts
    outcome: AttemptOutcome | None
    """For the policy; None where the answer says nothing about calls in general."""


class SilentParty(DatagramProtocol):
    """A party of ours: sends silence, and counts packets that come."""

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self._place: tuple[str, int] | None = None

    def send_to(self, place: tuple[str, int]) -> None:
        """Send there from now on, and count packets of that host alone."""
        self._place = place

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """A packet."""
        self.received += self._place is not None and addr[0] == self._place[0]

    def speak(self) -> None:
        """One packet of silence."""
        if self._place is None or self.transport is None:
            return
        head = struct.pack("!BBHII", 0x80, 0, self.sent & 0xFFFF, self.sent * 160, 0x50524F42)
        self.sent += 1
        self.transport.write(head + _SILENCE, self._place)


class TrialCall:
    """Makes one call."""

    def __init__(self, around: Around, teller: Teller, number: str, password: str | None) -> None:
        """``password`` is the teller's."""
        self._around = around
        self._teller = teller
        self._number = number
        self._password = password

    async def make(self, road: Road, wish: SdpWish) -> Called:
        """Make it over this road, offering this. The job that waits may be cancelled at any time."""
        facts = CallFacts(self._number, road.words, str(wish.encryption), 0, "", 0.0)
        ear = SilentParty()
        address, call = self._around.media_address(), f"probe-{self._around.new_token()}"
        try:
            port = self._around.ports.listenUDP(0, ear, address, 8192)
        except CannotListenError as error:
            return Called(attrs.evolve(facts, why=f"no port for media: {error.socketError}"), None)
        try:
            own = _own_offer(address, port)
            offer = await self._around.relay.offer(call, "probe", own, wish, source=SdpSource(address))
            return await self._invite(road, facts, offer, ear, call)
        except RelayFailure as failure:
            return Called(attrs.evolve(facts, why=f"the relay of media: {failure}"), None)
        finally:
            port.stopListening()
            self._around.relay.delete(call, at_once=True).addErrback(_forgotten)

    async def _invite(self, road: Road, facts: CallFacts, offer: bytes, ear: SilentParty, call: str) -> Called:
        invite = requests.invite(self._teller, self._number, road.contact, offer, self._around.new_token)
        heard = await road.ask(invite, ANSWER_WITHIN)
        invite, heard = await self._with_password(road, invite, heard)
        facts = attrs.evolve(facts, seconds=round(heard.seconds, 2))
        response = heard.response
        if response is None:
            return _unanswered(facts, heard)
        facts = attrs.evolve(facts, status=response.status, reason=told(response.reason))
        if response.status >= 300:
            return _refused(facts, response)
        return await self._up(road, _Up(invite, response, offer, call), facts, ear)

    async def _with_password(self, road: Road, invite: Request, heard: AskedEnd) -> tuple[Request, AskedEnd]:
        """The answer to a challenge, once, to a provider that has proved its name. One that comes after ringing is the
        callee's."""
        response = heard.response
        challenge = None if response is None else requests.challenged(response, self._teller.realms)
        if challenge is None or self._password is None or not road.is_verified or heard.has_rung:
            return invite, heard
        user, new_token = self._teller.user, self._around.new_token
        credentials = requests.credentials_for(invite, challenge, user, self._password, new_token)
        if credentials is None:
            return invite, heard
        invite = requests.again(invite, credentials)
        return invite, await road.ask(invite, ANSWER_WITHIN)

    async def _up(self, road: Road, up: _Up, facts: CallFacts, ear: SilentParty) -> Called:
        try:
            dialog = Dialog.from_response(up.invite, up.response)
            road.acknowledge(dialog.make_ack(up.invite.cseq.number))
        except MalformedMessage as malformed:
            return Called(attrs.evolve(facts, why=f"its 2xx cannot be acknowledged: {malformed.reason}"), None)
        try:
            called = _judged(facts, up.offer, up.response)
            if called.outcome is not None and called.outcome.failure is None and up.response.body:
                called = await self._with_media(called, up, ear)
            return called
        finally:
            road.tell(dialog.make_request("BYE"))

    async def _with_media(self, called: Called, up: _Up, ear: SilentParty) -> Called:
        tag = up.response.to.tag or "provider"
        try:
            answer = await self._around.relay.answer(up.call, "probe", tag, up.response.body)
        except RelayFailure as failure:
            return Called(attrs.evolve(called.facts, why=f"the relay of media: {failure}"), called.outcome)
        host, port = _HOST.search(answer), _PORT.search(answer)
        if host is not None and port is not None and int(port[1]):
            ear.send_to((host[1].decode("ascii", "replace"), int(port[1])))
        speaking = LoopingCall(ear.speak)
        speaking.clock = self._around.clock
        speaking.start(PACKET_SECONDS).addErrback(_deaf)
        try:
            await deferLater(self._around.clock, MEDIA_SECONDS)
        finally:
            if speaking.running:
                speaking.stop()
        facts = attrs.evolve(called.facts, sent=ear.sent, received=ear.received)
        return Called(facts, called.outcome)


@attrs.frozen
class _Up:
    """A call that was answered."""

    invite: Request
    response: Response
    offer: bytes
    call: str


def _own_offer(address: str, port: IListeningPort) -> bytes:
    own = cast("_Place", port.getHost())
    return _OWN.format(version=6 if ":" in address else 4, host=address, port=own.port).encode()


class _Place:
    """Twisted's address of a socket."""

    port: int


def _judged(facts: CallFacts, offer: bytes, response: Response) -> Called:
    """A 2xx by its session description, as calls judge it."""
    if not response.body:
        return Called(attrs.evolve(facts, why="no session description came with it"), AttemptOutcome(None, None))
    try:
        lines = media_security(response.body)
        is_fit, encrypted = fits(offer, response.body), settles(offer, response.body)
    except MalformedDescription as error:
        why = f"its session description cannot be read: {told(error.reason)}"
        return Called(attrs.evolve(facts, why=why), AttemptOutcome(MediaFailure.UNFIT, cause=why))
    facts = attrs.evolve(
        facts,
        profile=told(lines[0].protocol) if lines else "",
        suites=tuple(suite for line in lines for suite in line.suites),
        is_encrypted=encrypted,
    )
    if not is_fit:
        why = "its session description is no answer to the offer"
        return Called(attrs.evolve(facts, why=why), AttemptOutcome(MediaFailure.UNFIT, cause=why))
    return Called(facts, AttemptOutcome(None, encrypted))


def _unanswered(facts: CallFacts, heard: AskedEnd) -> Called:
    failure = heard.failure
    if failure is not None:
        why = told(failure.reason)
        return Called(attrs.evolve(facts, why=why), AttemptOutcome(failure.kind, cause=why))
    why = "no answer to the INVITE" + (", but for 100" if heard.is_alive else "")
    why = "it rang, and nobody answered" if heard.has_rung else why
    silent = None if heard.is_alive else AttemptOutcome(PeerFailure.NO_ANSWER, cause=why)
    return Called(attrs.evolve(facts, why=why), silent)


def _refused(facts: CallFacts, response: Response) -> Called:
    status = response.status
    said = told(f"the provider answered {status} {response.reason}")
    if status in (401, 407):
        said = f"{said}: it wants a password. --user AOR of a domain with credentials makes the call under its name"
    elif 300 <= status < 400:
        said = f"{said}: a redirection, which is not followed"
    elif status in _CALLEES or (400 <= status < 500 and status not in MEDIA_REFUSALS and status != 403):
        said = f"{said}: this is about the number, and says nothing about SRTP"
    else:
        return Called(attrs.evolve(facts, why=said), AttemptOutcome(status, cause=said))
    return Called(attrs.evolve(facts, why=said), None)


def _forgotten(failure: object) -> None:
    """The relay ends by itself all that falls silent."""


def _deaf(failure: object) -> None:
    log.debug("a probe cannot send media: {failure}", failure=failure)
