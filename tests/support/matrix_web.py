"""Calls of a web phone, over WSS with DTLS-SRTP, each judged by the messages that it and the provider had and gave.

The relay is a fake one: it writes and answers DTLS as the real one does, and tells of another certificate in the
handshake where a course has one. The provider does TLS, and has a fallback over UDP.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.config.model import Security
from gateway.sip.message import Request
from tests.support.ladder import AVP, DTLS_ANSWER, DTLS_OFFER, FINGERPRINT, SAVP, Party
from tests.support.matrix_pbx import ROUNDS, Agreed
from tests.support.matrix_world import FALLBACK
from tests.support.web_ladder import WebLadder

SHA_1: Final = DTLS_OFFER.replace(b"sha-256 " + FINGERPRINT.encode(), b"sha-1 " + b":".join([b"AB"] * 20))


@attrs.frozen
class WebCourse:
    """One call: the caller's offer, and the answer of the called one to an offer that is encrypted."""

    offer: bytes = DTLS_OFFER
    is_called: bool = False
    refusal: int = 0
    answers_rtp: bool = False
    is_forged: bool = False
    """Whether the handshake shows another certificate than the SDP has."""


WEB_COURSES: Final = {
    "calls": WebCourse(),
    "calls, the provider answers SRTP with 488": WebCourse(refusal=488),
    "calls, the provider answers SRTP with RTP": WebCourse(answers_rtp=True),
    "calls with a fingerprint of SHA-1": WebCourse(SHA_1),
    "calls without a fingerprint": WebCourse(DTLS_OFFER.replace(b"a=fingerprint:", b"a=x:")),
    "calls with RTP": WebCourse(AVP),
    "calls, and shows another certificate than its SDP": WebCourse(is_forged=True),
    "is called with SRTP": WebCourse(SAVP, is_called=True),
    "is called with RTP": WebCourse(AVP, is_called=True),
    "is called, and shows another certificate than its SDP": WebCourse(SAVP, is_called=True, is_forged=True),
}


class WebCall:
    """One call from a browser to the provider, or from there to it."""

    def __init__(self, security: Security, course: WebCourse) -> None:
        self.ladder = WebLadder(security, FALLBACK)
        self._course = course
        self._accepted: Agreed | None = None
        self._caller: Agreed | None = None
        self._is_cut = False
        self._invite = self._begin()
        self._rounds()
        if course.is_forged:
            self._forge()

    def claim(self) -> tuple[str, str, int]:
        """Verdict, reason and status of the gateway's record; a call that a forged certificate has ended was refused
        with 488, whatever its caller was told before."""
        record = next(self.ladder.calls.records())
        return record.verdict, record.reason, 488 if self._is_cut else record.status or 0

    def seen(self) -> str:
        """The verdict by all that the two were sent and gave; empty where they do not talk."""
        if self._caller is None or self._accepted is None or self._is_cut:
            return ""
        both = self._caller, self._accepted
        provider, browser = both if self._course.is_called else (both[1], both[0])
        if provider.party is not self.ladder.provider:
            return "MEDIA_ONLY_WEAK" if provider.is_srtp else "CLEAR"
        if not provider.is_srtp:
            return "SIGNALLING_ONLY"
        has_dtls = all(b"UDP/TLS/RTP/SAVPF" in body and b"a=fingerprint:sha-256" in body for body in browser.bodies)
        return "ENCRYPTED" if has_dtls else "ENCRYPTED_TO_PROVIDER"

    def in_clear(self) -> bytes:
        """All that left in clear to the provider."""
        return b"".join(self.ladder.clear.flow.bytes)

    def end(self) -> None:
        """The call is over."""
        self.ladder.calls.end_all("the end")

    def _begin(self) -> Request:
        if self._course.is_called:
            invite = self.ladder.provider.invite("sip:alice-1@gw.example.com", self._course.offer)
            self.ladder.provider.sends(invite)
        else:
            invite = self.ladder.phone.invite(sdp=self._course.offer)
            self.ladder.phone.sends(invite)
        return invite

    def _rounds(self) -> None:
        for _ in range(ROUNDS):
            for party in (self.ladder.phone, self.ladder.provider, self.ladder.clear):
                while party.flow.sent:
                    message = party.flow.sent.pop(0)
                    if isinstance(message, Request):
                        self._answer(party, message)
                    elif message.status == 200 and message.cseq.method == "INVITE":
                        self._caller = Agreed(party, (self._course.offer, message.body))
                        party.acknowledges(self._invite, message)

    def _forge(self) -> None:
        """The relay tells that the certificate is another, where a call is up."""
        listener, calls = self.ladder.relay.listener, [*self.ladder.calls.active]
        is_dtls = self._accepted is not None and self._caller is not None
        if listener is None or not calls or not is_dtls:
            return
        listener.media_mismatched(tuple(call.id for call in calls))
        self._rounds()
        self._is_cut = not [*self.ladder.calls.active]

    def _answer(self, party: Party, request: Request) -> None:
        if request.method == "ACK":
            return
        if request.method != "INVITE":
            party.answers(request, 200)
            return
        is_srtp = b"/SAVP" in request.body
        if self._course.refusal and is_srtp:
            party.answers(request, self._course.refusal)
            return
        answer = SAVP if is_srtp and not self._course.answers_rtp else AVP
        answer = DTLS_ANSWER if b"UDP/TLS/" in request.body else answer
        self._accepted = Agreed(party, (request.body, answer))
        party.answers(request, 200, sdp=answer)
