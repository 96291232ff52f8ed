"""The audio of one call: its session description joined to its RTP endpoint.

What lives here: `AudioStream`, which makes and takes offers and answers, and moves the endpoint accordingly. What
does not: the text of descriptions (`voice`), packets (`media`).
"""

from __future__ import annotations

from attrs import evolve
from twisted.logger import Logger

from gateway.demo.audio.listen import Heard
from gateway.demo.audio.offers import Agreement, Party, agreed, answer, offer
from gateway.demo.audio.rtp_port import RtpEndpoint
from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.negotiation import offer_lines
from gateway.sip.errors import Refused

log = Logger()


class AudioStream:
    """One end's audio; open from the start, silent until both ends agree."""

    def __init__(self, endpoint: RtpEndpoint, party: Party) -> None:
        self._endpoint = endpoint
        self._party = evolve(party, port=endpoint.open(party.address))
        self._agreement: Agreement | None = None
        self._offered: list[CryptoAttribute] = []

    def offer(self) -> bytes:
        """Our description as an offer; the keys in use are offered again."""
        sending = self._agreement.sending if self._agreement else None
        self._offered = [sending] if sending else offer_lines(self._party.suites, self._party.random)
        return offer(self._party, self._offered)

    def answer(self, offered: bytes) -> bytes:
        """Our answer to an offer, which is in force at once. Raises Refused(488)."""
        body, agreement = answer(offered, self._party, self._agreement)
        self._enter(agreement)
        return body

    def take_answer(self, answered: bytes) -> None:
        """The other end's answer to our last offer. One that does not fit changes nothing and is logged."""
        try:
            self._enter(agreed(self._offered, answered))
        except Refused as refused:
            log.warn("unusable answer: {reason}", reason=refused.reason)

    def close(self) -> Heard:
        """Stop; gives what was heard."""
        self._endpoint.close()
        return self._endpoint.ear.heard()

    def _enter(self, agreement: Agreement) -> None:
        before, self._agreement = self._agreement, agreement
        if before is None or (before.sending, before.receiving) != (agreement.sending, agreement.receiving):
            self._endpoint.protect(agreement.sending, agreement.receiving)
        self._endpoint.send_to(agreement.remote)
