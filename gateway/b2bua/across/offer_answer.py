"""One INVITE's offer and answer (RFC 3264, RFC 6337), between the leg that asks and the leg that is asked.

    early offer:  INVITE offers, 18x and 2xx answer, ACK is empty and is sent at once
    late offer:   INVITE is empty, the 2xx offers, the ACK answers: the asked leg's ACK waits for the asking leg's

A session description in an unreliable 18x of a late offer is neither (RFC 3261 section 13.2.1) and is left out.
Which SDP was the answer on a leg also tells whether that leg's media are encrypted: the leg is told each time.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.legs.media import SDP, has_sdp
from gateway.sdp.description import MalformedDescription
from gateway.sdp.negotiation import fits, media_encrypted
from gateway.sip.message import Request, Response

Carried = Callable[[bytes], None]


def is_readable(message: Request | Response) -> bool:
    """False for a body that can hold a session description out of the relay's sight: SRTP keys would cross with it.

    One without Content-Type (RFC 3261 section 20.15 wants it) may be anything, and be taken for SDP.
    """
    if not message.body:
        return True
    content_type = message.content_type or "multipart/"
    return not (content_type.startswith("multipart/") or message.headers.get("Content-Encoding"))


def passed_body(response: Response) -> bytes:
    """The body of a response, as it crosses where no media are set up: nothing of one that holds or may hold SDP."""
    return b"" if has_sdp(response) or not is_readable(response) else response.body


def is_understood(invite: Request) -> bool:
    """False for a body of another type than a session description that must be understood (RFC 3261 section 8.2.3)."""
    if not invite.body or has_sdp(invite):
        return True
    disposition = (invite.headers.get("Content-Disposition") or "").lower().replace(" ", "")
    return "handling=optional" in disposition.split(";")


def fits_offer(offer: bytes, response: Response) -> bool:
    """Whether the SDP of a response is an answer to `offer`; without the one or the other it is none. Raises
    MalformedDescription."""
    return not offer or not has_sdp(response) or fits(offer, response.body)


def without_unfit(offer: bytes, response: Response) -> Response:
    """An early response, less an answer that does not fit: it says that the callee rings, and the 2xx is to come."""
    try:
        if fits_offer(offer, response):
            return response
    except MalformedDescription:
        pass
    headers = response.headers.copy()
    headers.remove("Content-Type")
    return attrs.evolve(response, headers=headers, body=b"")


def encrypts(leg: Leg, response: Response, *, is_answer: bool) -> bool | None:
    """Whether the SDP of a 2xx on this leg encrypts the media: an answer, or an offer of its own (a late one); None
    where no media flow. Raises MalformedDescription."""
    if not has_sdp(response):
        return None
    return leg.media.is_encrypted_by(response.body) if is_answer else media_encrypted(response.body)


@attrs.define(eq=False)
class OfferAnswer:
    """Carries the bodies of one INVITE's responses and ACK."""

    path: MediaPath
    asking: Leg
    asked: Leg
    offered: bool
    """True when the request made the offer."""
    only_sdp: bool = True
    """True for the methods that set up media: any other body of theirs stays behind, since it could hide keys."""

    def carry_response(self, response: Response, carried: Carried) -> None:
        """Give `carried` the body as the asking leg is to see it."""
        if not self.only_sdp:
            self.path.follow(lambda: carried(passed_body(response)))
        elif not has_sdp(response):
            self.path.follow(lambda: carried(b""))
        elif self.offered:
            self._carry_answer(response.body, carried)
        elif response.status >= 200:
            self._carry_offer(response.body, carried)
        else:
            self.path.follow(lambda: carried(b""))

    def acknowledge(self, response: Response) -> None:
        """A 2xx came: acknowledge it at once unless its ACK must answer an offer."""
        if self.offered or not has_sdp(response):
            self.asked.acknowledge(response.cseq.number)

    def acknowledged(self, response: Response, ack: Request) -> None:
        """The asking leg's ACK came: its answer goes into the asked leg's ACK."""
        if self.offered or not has_sdp(response):
            return
        number = response.cseq.number
        if not has_sdp(ack):
            self.asked.acknowledge(number)
            return
        self.asking.note_their_answer(ack.body)

        def passed(sdp: bytes) -> None:
            self.asked.note_answer(sdp)
            if not self.path.is_closed:
                self.asked.acknowledge(number, (("Content-Type", SDP),), sdp)

        self.path.answer((self.asked.media_tag, self.asking.media_tag), ack.body, passed)

    def _carry_answer(self, sdp: bytes, carried: Carried) -> None:
        self.asked.note_their_answer(sdp)

        def passed(rewritten: bytes) -> None:
            self.asking.note_answer(rewritten)
            if not self.path.is_closed:  # the answer may end the call
                carried(rewritten)

        self.path.answer((self.asking.media_tag, self.asked.media_tag), sdp, passed)

    def _carry_offer(self, sdp: bytes, carried: Carried) -> None:
        self.path.offer((self.asked.media_tag, self.asking.media_tag), sdp, self.asking.media.wish, carried)
