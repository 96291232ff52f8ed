"""Calls of a PBX that does not register, each judged by the messages that it and the provider were sent and gave.

Over UDP it is known by its address, over TLS by its certificate. The provider does TLS, and has a fallback over UDP.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.config.model import FixedPhone, Security
from gateway.config.tables.phones.number_block import NumberBlock
from gateway.config.tables.phones.phone_table import PbxProof
from gateway.sip.message import Request
from gateway.transport.flow import PeerIdentity
from tests.support.ladder import AVP, PHONES_TLS, SAVP, Ladder, Party

NUMBER: Final = "+49301234510"
HOST: Final = "192.0.2.60"
ROUNDS: Final = 20
"""Of messages to and fro, at most."""


@attrs.frozen
class PbxCourse:
    """One call: the way of the PBX, the caller, the offer, and the answer of the called one to SRTP."""

    is_tls: bool
    offer: bytes
    is_called: bool = False
    refusal: int = 0
    answers_rtp: bool = False


PBX_COURSES: Final = {
    "over UDP, RTP, calls": PbxCourse(False, AVP),
    "over UDP, RTP, calls, the provider answers SRTP with 488": PbxCourse(False, AVP, refusal=488),
    "over UDP, RTP, calls, the provider answers SRTP with RTP": PbxCourse(False, AVP, answers_rtp=True),
    "over TLS, SRTP, calls": PbxCourse(True, SAVP),
    "over TLS, RTP, calls": PbxCourse(True, AVP),
    "over TLS, SRTP, calls, the provider answers SRTP with 488": PbxCourse(True, SAVP, refusal=488),
    "over TLS, SRTP, calls, the provider answers SRTP with RTP": PbxCourse(True, SAVP, answers_rtp=True),
    "over UDP, is called with SRTP": PbxCourse(False, SAVP, is_called=True),
    "over UDP, is called with RTP": PbxCourse(False, AVP, is_called=True),
    "over TLS, is called with SRTP": PbxCourse(True, SAVP, is_called=True),
    "over TLS, is called with RTP": PbxCourse(True, AVP, is_called=True),
    "over TLS, is called with SRTP, and answers SRTP with 488": PbxCourse(True, SAVP, is_called=True, refusal=488),
    "over TLS, is called with SRTP, and answers SRTP with RTP": PbxCourse(True, SAVP, is_called=True, answers_rtp=True),
}


@attrs.frozen
class Agreed:
    """An INVITE and its 200, as one party had them."""

    party: Party
    bodies: tuple[bytes, bytes]

    @property
    def is_srtp(self) -> bool:
        """Whether both descriptions say so."""
        return all(b"RTP/SAVP" in body for body in self.bodies)


class PbxCall:
    """One call from the PBX to the provider, or from there to it."""

    def __init__(self, security: Security, course: PbxCourse) -> None:
        uri, proof = ("sip:{};transport=tls", "certificate") if course.is_tls else ("sip:{};transport=udp", "address")
        terms = FixedPhone(
            "office",
            "example.com",
            (uri.format(HOST),),
            (NumberBlock.parse(NUMBER),),
            PbxProof(proof),
            ping_seconds=0,
        )
        fallback = "sip:provider.example.com;transport=udp"
        self.ladder = Ladder(security, fallback, phones=(terms,), region="DE")
        self._course = course
        if course.is_tls:
            self._pbx = self.ladder.place(HOST, PHONES_TLS, 0 if course.is_called else 7)
            self._pbx.flow.identity = PeerIdentity(addresses=(HOST,), trust="system")
        else:
            self._pbx = self.ladder.place(HOST)
        self._accepted: Agreed | None = None
        self._caller: Agreed | None = None
        self._invite = self._begin()
        for _ in range(ROUNDS):
            self._let_everybody_answer()

    def claim(self) -> tuple[str, str, int]:
        """Verdict, reason and status of the gateway's record."""
        record = next(self.ladder.calls.records())
        return record.verdict, record.reason, record.status or 0

    def seen(self) -> str:
        """The verdict by all that the two were sent and gave; empty where they do not talk."""
        if self._caller is None or self._accepted is None:
            return ""
        both = self._caller, self._accepted
        provider, pbx = both if self._course.is_called else (both[1], both[0])
        if provider.party is not self.ladder.provider:
            return "MEDIA_ONLY_WEAK" if provider.is_srtp else "CLEAR"
        if not provider.is_srtp:
            return "SIGNALLING_ONLY"
        return "ENCRYPTED" if self._course.is_tls and pbx.is_srtp else "ENCRYPTED_TO_PROVIDER"

    def in_clear(self) -> bytes:
        """All that left in clear to the provider, and each message in clear to the PBX with a key."""
        keys = [] if self._course.is_tls else [data for data in self._pbx.flow.bytes if b"inline:" in data]
        return b"".join((*self.ladder.clear.flow.bytes, *keys))

    def end(self) -> None:
        """The call is over."""
        self.ladder.calls.end_all("the end")

    def _begin(self) -> Request:
        if self._course.is_called:
            invite = self.ladder.provider.invite(f"sip:{NUMBER}@example.com", self._course.offer, call_id="p1")
            self.ladder.provider.sends(invite)
            return invite
        invite = self._pbx.invite("sip:bob@example.com", self._course.offer, call_id="x1")
        invite.headers.set("From", f"<sip:{NUMBER}@example.com>;tag=f1")
        self._pbx.sends(invite)
        return invite

    def _let_everybody_answer(self) -> None:
        for party in (self._pbx, self.ladder.provider, self.ladder.clear):
            while party.flow.sent:
                message = party.flow.sent.pop(0)
                if isinstance(message, Request):
                    self._answer(party, message)
                elif message.status == 200 and message.cseq.method == "INVITE":
                    self._caller = Agreed(party, (self._course.offer, message.body))
                    party.acknowledges(self._invite, message)

    def _answer(self, party: Party, request: Request) -> None:
        if request.method == "ACK":
            return
        if request.method != "INVITE":
            party.answers(request, 200)
            return
        is_srtp = b"RTP/SAVP" in request.body
        if self._course.refusal and is_srtp:
            party.answers(request, self._course.refusal)
            return
        answer = SAVP if is_srtp and not self._course.answers_rtp else AVP
        self._accepted = Agreed(party, (request.body, answer))
        party.answers(request, 200, sdp=answer)
