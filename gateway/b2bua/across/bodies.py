"""The one declared list of bodies that cross, by method, and their journey.

    INVITE, UPDATE, PRACK, ACK    the session description through the relay (``exchange``), never from here;
                                  parts beside it: the caller's place (RFC 6442), emergency data (RFC 7852, RFC 8147)
    all others                    types of the list, looked into; a type that is not on it is refused, 415 with Accept
    responses                     the same, but what may not cross stays behind: nobody could be told

A session description that crossed under another name would show one side's keys and addresses to the other. So no
body crosses for its name alone: descriptions in it are taken out where it can do without (``sip.bodies.disguise``), and
else it does not cross. Encoded bodies do not cross: nobody here could look. A domain's ``more_bodies`` adds types to
every method; these are looked into as well.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.b2bua.legs.border import Border, codecs_of
from gateway.config.model import Side
from gateway.routing.router import Route
from gateway.sdp.codecs import CodecList
from gateway.sdp.crypto import only_suites
from gateway.sdp.description import MalformedDescription
from gateway.security.policy.terms import Refusal
from gateway.sip.bodies.disguise import holds_description, status_line, without_descriptions
from gateway.sip.bodies.multipart import BodyPart, boundary_of, fresh_boundary, is_encoded, is_optional, join, split
from gateway.sip.bodies.session_part import METHODS as MEDIA_METHODS
from gateway.sip.bodies.session_part import SDP, fields_of_body
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Message, Request, Response
from gateway.state.reasons import Reason

DEEPEST: Final = 3
"""Multiparts within each other."""

NO_CODEC: Final = Refusal(
    488,
    Reason.NO_COMMON_CODEC,
    "No Common Codec",
    cause="none of the codecs that the provider's and the domain's codecs name is offered, or taken",
)

_MULTIPARTS: Final = frozenset({"multipart/mixed", "multipart/related"})

_FRAGMENT: Final = "message/sipfrag"

_WRAPPED: Final = "message/cpim"

QUALITY_REPORT: Final = "application/vq-rtcpxr"
"""A phone's report of a call's quality (RFC 6035) tells where the phone is, and is of its own leg: it stays."""

_EMERGENCY_DATA: Final = "application/emergencycalldata."

_BESIDE: Final = frozenset({"application/pidf+xml", "application/resource-lists+xml"})
"""Beside a session description; and emergency data."""

_OF_EVENTS: Final = frozenset(
    {
        "application/conference-info+xml",
        "application/cpim-pidf+xml",
        "application/dialog-info+xml",
        "application/kpml-request+xml",
        "application/kpml-response+xml",
        "application/pidf+xml",
        "application/pidf-diff+xml",
        "application/reginfo+xml",
        "application/resource-lists+xml",
        "application/rlmi+xml",
        "application/simple-filter+xml",
        "application/simple-message-summary",
        "application/url",
        "application/vnd.etsi.aoc+xml",
        "application/vq-rtcpxr",
        "application/watcherinfo+xml",
        "application/x-as-feature-event+xml",
        "application/x-broadworks-call-center+xml",
        "application/x-broadworks-callcenter+xml",
        "application/x-broadworks-hoteling+xml",
        "application/xcap-diff+xml",
        "application/xpidf+xml",
        "text/xml+msrtc.pidf",
    }
)

_TYPES: Final = {
    **dict.fromkeys(MEDIA_METHODS, _BESIDE),
    "INFO": frozenset(
        {
            "application/broadsoft",
            "application/dtmf",
            "application/dtmf-relay",
            "application/hook-flash",
            "application/media_control+xml",
            "application/vnd.nortelnetworks.digits",
            "application/vq-rtcpxr",
            "audio/telephone-event",
        }
    ),
    "MESSAGE": frozenset(
        {
            "application/im-iscomposing+xml",
            "application/pidf+xml",
            "application/vnd.3gpp.sms",
            "message/imdn+xml",
            "text/html",
            "text/plain",
            _WRAPPED,
        }
    ),
    "NOTIFY": _OF_EVENTS | {_FRAGMENT},
    "PUBLISH": _OF_EVENTS,
    "REFER": frozenset({"application/resource-lists+xml"}),
    "SUBSCRIBE": _OF_EVENTS,
}


class NoCommonCodec(Refused):
    """A first offer that has none of the codecs that may cross."""

    code, cause = NO_CODEC.reason, NO_CODEC.cause

    def __init__(self) -> None:
        fields = (("Reason", f'SIP;cause=488;text="{NO_CODEC.text} ({NO_CODEC.reason})"'),)
        super().__init__(NO_CODEC.status, NO_CODEC.text, fields)


@attrs.frozen
class Customs:
    """Looks at bodies on their way to one side."""

    toward: Side
    more: tuple[str, ...] = ()
    """Types that the domain lets cross besides."""

    @classmethod
    def at(cls, border: Border, toward: Side) -> Customs:
        """Those of a border."""
        return cls(toward, border.domain.more_bodies)

    def check(self, request: Request) -> None:
        """Refused 415 for a request that sets up media with a body that may not cross, and may not be left out."""
        self._check_session(request)
        for part in request.beside:
            if not part.is_optional and self._judged(part, request.method, 0) is None:
                raise self._refusal(request.method)

    def beside(self, message: Message) -> tuple[BodyPart, ...]:
        """The parts beside a session description that go with it."""
        if not message.beside:
            return ()
        judged = (self._judged(part, message.cseq.method, 0) for part in message.beside)
        return tuple(part for part in judged if part is not None)

    def body_of(self, request: Request) -> bytes:
        """The body of a request that sets up no media, as it crosses; empty where it may be left out. Refused 415."""
        if not request.body:
            return b""
        crossing = self._crossing(request)
        if crossing is None and not is_optional(request.headers):
            raise self._refusal(request.method)
        return crossing or b""

    def body_back(self, response: Response) -> bytes:
        """The body of its response, as it crosses: nothing of one that may not."""
        return (self._crossing(response) or b"") if response.body else b""

    def accepted(self, method: str) -> tuple[str, ...]:
        """The types that cross in a request of this method, in order."""
        types = {*_TYPES.get(method, ()), *self.more}
        if method in MEDIA_METHODS:
            return tuple(sorted(types | {SDP, "multipart/mixed"}))
        return tuple(sorted(types | _MULTIPARTS if types else types))

    def _check_session(self, request: Request) -> None:
        """A body that is no session description was set apart; one that could not be read was not."""
        if request.body and request.content_type != SDP:
            raise self._refusal(request.method)
        if is_encoded(request.headers):
            raise self._refusal(request.method)

    def _crossing(self, message: Message) -> bytes | None:
        if message.headers.get("Content-Type") is None:
            return None  # it may be anything, and be taken for SDP (RFC 3261 section 20.15 wants it)
        judged = self._judged(BodyPart(fields_of_body(message), message.body), message.cseq.method, 0)
        return None if judged is None else judged.body

    def _judged(self, part: BodyPart, method: str, depth: int) -> BodyPart | None:
        """The part as it crosses; None: it does not."""
        try:
            body = None if part.is_encoded else self._looked_into(part, method, depth)
        except MalformedMessage:
            return None
        return None if body is None else part if body is part.body else attrs.evolve(part, body=body)

    def _looked_into(self, part: BodyPart, method: str, depth: int) -> bytes | None:
        kind = part.content_type
        if kind in _MULTIPARTS:
            return self._parts(part, method, depth) if depth < DEEPEST else None
        if not self._is_on_list(kind, method):
            return None
        if kind == _FRAGMENT:
            return status_line(part.body)
        if kind == _WRAPPED:
            return self._wrapped(part, method, depth)
        return without_descriptions(part.type_line, part.body)

    def _is_on_list(self, kind: str, method: str) -> bool:
        if kind in self.more:
            return True
        if kind == QUALITY_REPORT and self.toward is Side.PROVIDER:
            return False
        if kind.startswith(_EMERGENCY_DATA):
            return method in MEDIA_METHODS or method == "INFO"
        return kind in _TYPES.get(method, ())

    def _parts(self, part: BodyPart, method: str, depth: int) -> bytes | None:
        """A multipart of parts that may all cross: the same bytes when nothing was taken out."""
        if holds_description(part.body) and b"session-description" not in part.body:
            return None
        parts = split(part.type_line, part.body)
        judged = [(one, self._judged(one, method, depth + 1)) for one in parts]
        if any(crossing is None and not one.is_optional for one, crossing in judged):
            return None
        if all(crossing is one for one, crossing in judged):
            return part.body
        left = [crossing for _, crossing in judged if crossing is not None]
        return join(left, boundary_of(part.type_line)) if left else None

    def _wrapped(self, part: BodyPart, method: str, depth: int) -> bytes | None:
        """A message in CPIM's envelope (RFC 3862): its content stands behind a head of its own. A head with other line
        breaks than section 2.1 allows could end elsewhere for another reader."""
        head, gap, wrapped = part.body.partition(b"\r\n\r\n")
        if holds_description(part.body) or set(b"\r\n") & set(head.replace(b"\r\n", b"")):
            return None
        boundary = fresh_boundary((wrapped,))
        alone = b"--%s\r\n%s\r\n--%s--" % (boundary.encode(), wrapped, boundary.encode())
        inner = split(f"multipart/mixed;boundary={boundary}", alone) if gap else ()
        if len(inner) != 1 or inner[0].content_type == _WRAPPED:
            return None
        return part.body if self._judged(inner[0], method, depth + 1) is inner[0] else None

    def _refusal(self, method: str) -> Refused:
        return Refused(415, "", (("Accept", ", ".join(self.accepted(method))),))


def admit(invite: Request, route: Route) -> None:
    """Refused 415 for an INVITE with a body that may not cross. A call to an emergency number completes without it.

    Of a provider's offer the keys of suites that its configuration does not have are taken out, before it is judged,
    and so are codecs of each offer that do not cross. Refused 488 where none is left.
    """
    is_out = route.binding is None
    try:
        Customs(Side.PROVIDER if is_out else Side.PHONES, route.domain.more_bodies).check(invite)
    except Refused:
        if not route.is_emergency:
            raise
        if invite.content_type != SDP or is_encoded(invite.headers):
            invite.body = b""
    if not is_out and invite.body:
        invite.body = only_suites(invite.body, route.provider.suites)
    if (route.provider.codecs or route.domain.codecs) and invite.body and invite.content_type == SDP:
        invite.body = _crossing_codecs(invite.body, codecs_of(route, Side.PROVIDER if is_out else Side.PHONES))


def _crossing_codecs(offer: bytes, codecs: CodecList | None) -> bytes:
    """An offer with the codecs that may cross. One that cannot be read is refused by its next reader. Refused 488."""
    try:
        kept = offer if codecs is None else codecs.offer(offer)
    except MalformedDescription:
        return offer
    if kept is None:
        raise NoCommonCodec
    return kept
