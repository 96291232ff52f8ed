"""One INVITE's offer and answer (RFC 3264, RFC 6337), between the leg that asks and the leg that is asked.

    early offer:  INVITE offers, 18x and 2xx answer, ACK is empty and is sent at once
    late offer:   INVITE is empty, the 2xx offers, the ACK answers: the asked leg's ACK waits for the asking leg's

A session description in an unreliable 18x of a late offer is neither (RFC 3261 section 13.2.1) and is left out.
Which message carries which is said here; each offer and answer itself goes through the one door, exchange.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.b2bua.across.exchange import MediaExchange, agree, crossing_answer, refusal_of_answer
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.legs.media import Agreed, has_sdp
from gateway.dialog.prack import is_required
from gateway.sdp.description import MalformedDescription
from gateway.sdp.negotiation import fits, offer_encrypted
from gateway.sdp.settlement import settles
from gateway.security.policy.terms import Refusal
from gateway.sip.bodies.session_part import SDP
from gateway.sip.message import Request, Response

Carried = Callable[[bytes], None]


@attrs.frozen
class FinalAnswer:
    """A 2xx by its SDP."""

    encrypted: bool | None
    """Whether it encrypts the media: the answer to our offer, or without one an offer of its own; None where no media
    flow. An answer that an early response gave counts where the 2xx has none."""
    is_fit: bool
    """Whether it is an answer to our offer."""
    fault: str = ""
    """Why it cannot be read."""

    @classmethod
    def read(cls, leg: Leg, offer: bytes, response: Response) -> FinalAnswer:
        """The 2xx to an INVITE with this offer, if it had one."""
        try:
            return cls(_encrypts(leg, offer, response), fits_offer(offer, response))
        except MalformedDescription as error:
            return cls(False, False, error.reason)


def fits_offer(offer: bytes, response: Response) -> bool:
    """Whether the SDP of a response is an answer to `offer`; without the one or the other it is none. Raises
    MalformedDescription."""
    return not offer or not has_sdp(response) or fits(offer, response.body)


def presentable(leg: Leg, offer: bytes, response: Response) -> Response:
    """An early response, less an answer that does not fit our offer or that the policy would refuse: it says that the
    callee rings, and the 2xx is to come, and decides."""
    try:
        is_fit = fits_offer(offer, response)
    except MalformedDescription:
        is_fit = False
    is_answer = bool(offer) and has_sdp(response)
    if is_fit and not (is_answer and _refusal_of(leg, offer, response.body)):
        return response
    headers = response.headers.copy()
    headers.remove("Content-Type")
    return attrs.evolve(response, headers=headers, body=b"")


def _refusal_of(leg: Leg, offer: bytes, answer: bytes) -> Refusal | None:
    kept, refusal = crossing_answer(leg, offer, answer)
    return refusal or refusal_of_answer(leg, offer, kept)


def _encrypts(leg: Leg, offer: bytes, response: Response) -> bool | None:
    if response.body and has_sdp(response):
        return settles(offer, response.body) if offer else offer_encrypted(response.body)
    given = leg.media.forks.get(response.to.tag or "")
    return None if given is None else given.here.encrypted


class OfferAnswer:
    """Carries the bodies of one request's responses, and of their acknowledgements."""

    __slots__ = ("_asking", "_late", "_offer", "_path", "asked")

    def __init__(self, path: MediaPath, legs: tuple[Leg, Leg], offer: MediaExchange | None) -> None:
        """`legs` are the asking one and the asked one; `offer` is the exchange that the request began, if any.

        Any body but SDP stays behind where media are set up, since it could hide keys.
        """
        self._path = path
        self._asking, self.asked = legs
        """The one that sent the request, and the one that it went to."""
        self._offer = offer
        self._late: MediaExchange | None = None

    def carry_response(self, response: Response, carried: Carried) -> None:
        """Give `carried` the body as the asking leg is to see it."""
        if response.status >= 300:
            self._path.follow(lambda: carried(b""))
        elif self._offer is not None:
            self._carry_answer(self._offer, response, carried)
        elif response.status >= 200 and has_sdp(response):
            self.carry_offer(response.body, carried, response.cseq.number)
        else:
            self._path.follow(lambda: carried(b""))

    def carry_offer(self, sdp: bytes, carried: Carried, number: int | None = None) -> None:
        """Take the asked leg's offer to the asking leg: the 2xx to the INVITE of that number makes it, or a reliable
        provisional response."""
        self._late = late = MediaExchange(self._path, self.asked, self._asking)

        def barred(refusal: Refusal) -> None:
            if number is not None:
                self.asked.acknowledge(number)
            self.asked.owner.media_barred(refusal)

        late.offer(sdp, carried, barred, self._path.failed)

    def acknowledge(self, response: Response) -> None:
        """A 2xx came: acknowledge it at once unless its ACK must answer an offer."""
        if self._is_complete(response):
            self.asked.acknowledge(response.cseq.number)

    def acknowledged(self, response: Response, ack: Request) -> None:
        """The asking leg's ACK came: its answer goes into the asked leg's ACK."""
        if self._is_complete(response):
            return
        number = response.cseq.number

        def passed(sdp: bytes) -> None:
            self.asked.acknowledge(number, (("Content-Type", SDP),) if sdp else (), sdp)

        self.carry_late_answer(ack, passed)

    def carry_late_answer(self, message: Request, passed: Carried) -> None:
        """Take the answer in an ACK or PRACK to the asked leg; `passed` is given no SDP when it may not have any."""
        late = self._late
        if late is None or not has_sdp(message):
            self.fail()
            passed(b"")
            return

        def barred(refusal: Refusal) -> None:
            passed(b"")
            self._asking.owner.media_barred(refusal)

        late.is_lasting = True
        late.answer(message.body, passed, barred)

    def fail(self) -> None:
        """No answer will stand."""
        exchange = self._offer or self._late
        if exchange is not None:
            exchange.fail()

    def _is_complete(self, response: Response) -> bool:
        return self._offer is not None or not response.body or not has_sdp(response)

    def _carry_answer(self, offer: MediaExchange, response: Response, carried: Carried) -> None:
        """The first answer of a fork counts, and those that repeat it. Where another exchange has followed it within
        the fork (an UPDATE), a 2xx that leaves it out or repeats it changes nothing (RFC 6337 section 3.1)."""
        tag = response.to.tag or ""
        given = self.asked.media.forks.get(tag)
        if given is not None and tag in offer.forks and (given.relayed.offer != offer.offered or not has_sdp(response)):
            self._carry_given(given, response, carried)
        elif has_sdp(response):
            offer.is_lasting = offer.is_lasting or response.status >= 200 or is_required(response)
            refused = (lambda _refusal: carried(b"")) if response.status < 200 else None  # it rings all the same
            offer.answer(response.body, carried, self.asked.owner.media_barred, refused, tag)
        elif response.status < 200 or not offer.is_answered:
            if response.status >= 200:
                offer.fail()
            self._path.follow(lambda: carried(b""))
        else:
            in_force = self._asking.media.in_force
            self._path.follow(lambda: carried(b"" if in_force is None else in_force.ours))

    def _carry_given(self, given: Agreed, response: Response, carried: Carried) -> None:
        """The answer was given before; a 2xx puts its fork's agreement in force."""
        if response.status < 200:
            self._path.follow(lambda: carried(b""))
            return
        if self._path.agreed != given.relayed:
            self._path.restore(given.relayed)

        def resumed() -> None:
            agree(self.asked, given.here, self.asked.owner)
            agree(self._asking, given.there, self._asking.owner)
            if not self._path.is_closed:
                carried(self._path.stamped(self._asking.media_tag, given.there.ours))

        self._path.follow(resumed)
