"""Checks that come to a port: answered where they are a browser's, and their sources asked for a proof; pure.

    packet, source --receive--> packets to send there, and a ValidCheck once the source is the browser's

Here: the judgement of a check, the bounds of all that strangers can have us do, and their counts. Not here: bytes
(ice), the proof (address_proof), addresses in use and consent (web_peer, web_end).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import attrs

from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.streams.latch import SocketAddress
from gateway.media.worker.web import ice
from gateway.media.worker.web.address_proof import AddressProof
from gateway.media.worker.web.web_peer import PerSecond, WebPeer

MOST_WRONG: Final = 20
"""Checks a second with a wrong integrity at one port; after so many, only valid sources are looked at."""
MOST_QUESTIONS: Final = 50
"""To sources that proved nothing yet, a second at one port: a browser needs one for each address."""
MOST_WRONG_ANSWERS: Final = 200
"""Replies a second at one port from sources that were asked and whose integrity is wrong: the work of somebody who has
captured a check. After so many no answer is looked at."""


@attrs.frozen
class ValidCheck:
    """A check, from an address that is the browser's."""

    peer: WebPeer
    is_nominating: bool


class IceResponder:
    """Those of one port; `tally` counts results."""

    def __init__(self, counters: Counters, tally: Counter[str]) -> None:
        self._counters, self._tally = counters, tally
        self._proof = AddressProof()
        self._wrong, self._questions = PerSecond(MOST_WRONG), PerSecond(MOST_QUESTIONS)
        self._wrong_answers = PerSecond(MOST_WRONG_ANSWERS)

    def receive(
        self, packet: bytes, source: SocketAddress, now: float, peers: Mapping[str, WebPeer]
    ) -> tuple[ValidCheck | None, list[bytes]]:
        """Take a packet of STUN: a check that counts, and packets for `source`; `peers` by our ufrag. All that is no
        browser's costs one HMAC at most; the few that cost more, so many a second."""
        if ice.is_reply(packet):
            return self._take_reply(packet, source, now, peers), []
        request = ice.read(packet)
        if request is None:
            self._counters.malformed += 1
            self._tally["malformed"] += 1
            return None, []
        peer = peers.get(request.ours)
        result = "unknown" if peer is None else self._judge(peer, request, source, now)
        self._tally[result] += 1
        if peer is None or result not in ("ok", "unproved"):
            self._counters.wrong_source += 1
            return None, []
        answer = ice.answer(request, peer.ours.password, source)
        heard = ValidCheck(peer, request.is_nominating and not request.unknown)
        if result == "ok":
            if peer.far is None:
                peer.claim(source, is_nominating=heard.is_nominating)
            return heard, [answer]
        # The question first: then the browser has proved its address before it begins DTLS.
        return None, [*self._questions_to(heard, source, now), answer]

    def questions_after_sdp(self, peer: WebPeer, now: float) -> list[tuple[SocketAddress, bytes]]:
        """Those to the sources that came before the SDP of their browser, which is there now: it does not have to check
        again, seconds later, before its DTLS is taken from there. The first is asked as well: another that proves
        itself shuts it out."""
        claims, peer.claims = peer.claims, {}
        return [
            (source, question)
            for source, is_nominating in claims.items()
            for question in self._questions_to(ValidCheck(peer, is_nominating), source, now)
        ]

    def _judge(self, peer: WebPeer, request: ice.BindingRequest, source: SocketAddress, now: float) -> str:
        if self._wrong.is_reached(now) and not peer.is_valid(source, now):
            return "limited"
        if not request.is_authentic(peer.ours.password):
            self._wrong.note()
            return "wrong"
        if request.theirs != (peer.theirs or request.theirs):
            return "unknown"
        peer.theirs = request.theirs
        if peer.far is None and not peer.addresses:
            peer.first = source
        return "ok" if source == peer.first or peer.is_valid(source, now) else "unproved"

    def _questions_to(self, heard: ValidCheck, source: SocketAddress, now: float) -> list[bytes]:
        """The one that has `source` prove itself. Before the browser's SDP it can only be noted, to be asked then."""
        ours, far = heard.peer.ours, heard.peer.far
        if far is None:
            heard.peer.claim(source, is_nominating=heard.is_nominating)
            return []
        if self._questions.is_reached(now):
            return []
        self._questions.note()
        return [self._proof.question(source, ours, far, now, is_nominating=heard.is_nominating)]

    def _take_reply(
        self, packet: bytes, source: SocketAddress, now: float, peers: Mapping[str, WebPeer]
    ) -> ValidCheck | None:
        """The answer to a question. Replies to none, however many, keep out neither it nor a check: each costs the
        HMAC of its mark, about as much as it cost to receive it."""
        is_nominating = self._proof.asked(packet, source, now)
        if is_nominating is not None and not self._wrong_answers.is_reached(now):
            for peer in peers.values():
                if peer.far is not None and ice.is_answer(packet, peer.far.password):
                    peer.prove(source)
                    return ValidCheck(peer, is_nominating)
            self._wrong_answers.note()
        self._counters.wrong_source += 1
        self._tally["unasked"] += 1
        return None
