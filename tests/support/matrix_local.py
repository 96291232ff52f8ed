"""Calls between phones (`local_calls`), each judged by the messages that the two phones were sent and gave."""

from __future__ import annotations

from typing import Final

import attrs

from gateway.config.model import Security
from gateway.sip.message import Message, Request
from tests.support.ladder import AVP, SAVP, Party, drain
from tests.support.two_users import TwoUsers


@attrs.frozen
class Pair:
    """Two phones: the names of those that are on TLS and offer SRTP, and the answer of the called one to SRTP."""

    tls: tuple[str, ...]
    refusal: int = 0
    answers_rtp: bool = False


PAIRS: Final = {
    "both with TLS and SRTP": Pair(("alice", "bob")),
    "TLS and SRTP calls UDP and RTP": Pair(("alice",)),
    "UDP and RTP calls TLS and SRTP": Pair(("bob",)),
    "both with UDP and RTP": Pair(()),
    "both with TLS, the called one answers SRTP with 488": Pair(("alice", "bob"), refusal=488),
    "both with TLS, the called one answers SRTP with RTP": Pair(("alice", "bob"), answers_rtp=True),
}


class LocalCall:
    """One call from alice to bob."""

    def __init__(self, security: Security, pair: Pair) -> None:
        self.ladder = TwoUsers(tls=pair.tls, security=security)
        self._pair = pair
        self._heard: dict[str, list[Message]] = {"alice": [], "bob": []}
        offer = SAVP if "alice" in pair.tls else AVP
        invite = self.ladder.alice.invite(sdp=offer)
        self._offer, self._answer = offer, b""
        self.ladder.alice.sends(invite)
        self._let_bob_answer()
        for message in drain(self.ladder.alice):
            self._heard["alice"].append(message)
            if not isinstance(message, Request) and message.status == 200:
                self.ladder.alice.acknowledges(invite, message)
        list(drain(self.ladder.bob))

    def claim(self) -> tuple[str, str, int]:
        """Verdict, reason and status of the gateway's record."""
        record = next(self.ladder.calls.records())
        return record.verdict, record.reason, record.status or 0

    def seen(self) -> str:
        """The verdict by all that the two phones were sent and gave; empty where they do not talk."""
        answers = [one for one in self._heard["alice"] if not isinstance(one, Request) and one.status == 200]
        if not answers:
            return ""
        is_tls = len(self._pair.tls) == 2
        bodies = (self._offer, answers[0].body, self._heard["bob"][-1].body, self._answer)
        is_srtp = all(b"RTP/SAVP" in body for body in bodies)
        if is_tls:
            return "ENCRYPTED" if is_srtp else "SIGNALLING_ONLY"
        return "MEDIA_ONLY_WEAK" if is_srtp else "CLEAR"

    def in_clear(self) -> bytes:
        """All that left in clear to a phone."""
        clear = [party for name, party in self._parties() if name not in self._pair.tls]
        return b"".join(data for party in clear for data in party.flow.bytes)

    def end(self) -> None:
        """The call is over."""
        self.ladder.calls.end_all("the end")

    def _parties(self) -> tuple[tuple[str, Party], ...]:
        return ("alice", self.ladder.alice), ("bob", self.ladder.bob)

    def _let_bob_answer(self) -> None:
        bob = self.ladder.bob
        while bob.flow.sent:
            message = bob.flow.sent.pop(0)
            if not isinstance(message, Request) or message.method != "INVITE":
                continue
            is_srtp = b"RTP/SAVP" in message.body
            if self._pair.refusal and is_srtp:
                bob.answers(message, self._pair.refusal)
                continue
            self._heard["bob"].append(message)
            self._answer = SAVP if is_srtp and not self._pair.answers_rtp else AVP
            bob.answers(message, 200, sdp=self._answer)
