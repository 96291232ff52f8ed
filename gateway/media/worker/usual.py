"""Offers and answers in the usual form, the short way: one line of audio over RTP, in clear or with keys (RFC 4568).

    text of a command --UsualSdp.read--> host, port, keys, and a form that many calls share --offered, answered--> text

Nearly every call has one offer and one answer in this form, and phones of a kind write the same but for address, port
and keys. So a form is read and rewritten by the full way (rewriting) once, and remembered; a description is one match
and one text. `read`, `offered` and `answered` give None for all else, nothing is changed then, and the full way
is gone: both leave a call in the same state, and write the same bytes. Not here: the full way (media_call).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import attrs

from gateway.media.worker import rewriting
from gateway.media.worker.call_streams import CallStreams
from gateway.media.worker.offering import OfferWish, agreed_keys, digest
from gateway.media.worker.parties import CallParty, Line, MediaStream
from gateway.media.worker.rewriting import Codec, Profile, Secured
from gateway.media.worker.streams.endpoint import Remote
from gateway.media.worker.web import web_lines
from gateway.sdp.crypto import SUITE_NAMES, CryptoAttribute, usable
from gateway.sdp.description import Description, Direction, Media
from gateway.sdp.negotiation import choose
from gateway.sdp.shared_lines import OfOneCall, check_shared

LONGEST: Final = 4_096
"""Characters of a description that is read in the short way."""
_PRINTABLE: Final = "[ -~]*"
_CONNECTION: Final = r"(?:c=IN IP[46] ([0-9A-Za-z.:-]+)\r\n)?"
# Times in t= are those of one call, and a form that no other call shares costs more than the full way.
_USUAL: Final = re.compile(
    r"v=0\r\no=[!-~]+ [!-~]+ [!-~]+ [!-~]+ [!-~]+ [!-~]+\r\n"
    rf"s={_PRINTABLE}\r\n{_CONNECTION}((?:b={_PRINTABLE}\r\n)*t=0 0\r\n(?:a={_PRINTABLE}\r\n)*)"
    r"m=audio ([1-9][0-9]{0,4}) (RTP/S?AVPF?(?: [!-~]+)+)\r\n"
    rf"{_CONNECTION}((?:b={_PRINTABLE}\r\n)*(?:a={_PRINTABLE}\r\n)*)"
)
_CRYPTO: Final = re.compile(r"^a=crypto:([!-~](?:[ -~]*[!-~])?)\r\n", re.MULTILINE)
_CONTROL: Final = re.compile(r"^a=rtcp:([!-~](?:[ -~]*[!-~])?)\r\n", re.MULTILINE)
_PROFILES: Final = (Profile.PLAIN, Profile.SAVP, Profile.OSRTP)
_HEAD_LINES: Final = 4
"""v=, o=, s= and c=, which are written for each call."""


@attrs.frozen
class UsualForm:
    """All of a description but its addresses, its port and its keys."""

    media: Media
    """Its m-line without them."""
    formats: str
    direction: Direction
    is_multiplexed: bool
    is_secure: bool
    codec: Codec
    mid: str
    session: str
    """The lines of the session part, as the other party is to see them."""
    below: str
    """The same of the lines below the m-line, toward a party that takes RTCP feedback."""
    without_feedback: str


@attrs.frozen
class UsualSdp:
    """A description in the usual form."""

    text: str = attrs.field(repr=False)
    form: UsualForm
    host: str
    """In its c= line; empty without one."""
    port: int
    control: str
    """The value of its first a=rtcp; empty without one."""
    keys: tuple[CryptoAttribute, ...] = attrs.field(repr=False)
    """Those that can be used."""
    has_crypto: bool
    """Whether it has any, of use or not."""

    @classmethod
    def read(cls, text: str) -> UsualSdp | None:
        """None for a description in another form."""
        found = _USUAL.fullmatch(text) if len(text) <= LONGEST else None
        if found is None:
            return None
        outer, session, port, line, inner, below = found.groups()
        host, values, controls = inner or outer or "", [], [""]
        if "a=crypto:" in below:
            values, below = _CRYPTO.findall(below), _CRYPTO.sub("", below)
        if "a=rtcp:" in below:
            controls, below = _CONTROL.findall(below) or controls, _CONTROL.sub("", below)
        if int(port) > 65_535 or rewriting.is_unspecified(host):
            return None
        try:
            form = _form(session, line, below)
        except OfOneCall:
            return None
        keys = usable(values) if values else ()
        return cls(text, form, host, int(port), controls[0], keys, bool(values))

    def full(self) -> Description:
        """As the full way has it."""
        return Description.parse(self.text.encode())

    @property
    def profile(self) -> Profile:
        """As rewriting.profile_of has it."""
        if self.form.is_secure:
            return Profile.SAVP if self.keys else Profile.UNUSABLE
        return Profile.OSRTP if self.keys else Profile.PLAIN


def offered(call: CallStreams, side: int, told: UsualSdp, wish: OfferWish) -> bytes | None:
    """The first offer of a call, by party `side`, written for the other one; raises NoPorts. None for other offers."""
    offerer, other, profile = call.parties[side], call.parties[1 - side], told.profile
    written = wish.profile or profile
    is_first = not (call.streams or offerer.lines or other.lines)
    if not is_first or wish.is_dual or profile is Profile.UNUSABLE or written not in _PROFILES:
        return None
    stream, media = MediaStream(call.services, call.parties, is_urgent=wish.is_urgent), told.form.media
    theirs, ours = choose(told.keys, SUITE_NAMES), None
    if theirs is not None:
        key = stream.key(side, theirs.suite, call.random)
        ours = CryptoAttribute(theirs.tag, theirs.suite, key, spelling=theirs.spelling)
    stream.offered = _remote_of(offerer, told, theirs, ours)
    protocol = rewriting.protocol_for(media, written, "")
    line = Line(stream, written, "audio", protocol, media.formats)
    if written is not Profile.PLAIN:
        line.keys = stream.keys_to_offer(other.side, wish.suites, call.random)
    call.streams.append(stream)
    offerer.lines, other.lines = (
        [Line(stream, profile, "audio", media.protocol, media.formats, mid=told.form.mid)],
        [line],
    )
    call.offerer, call.takes_clear, call.is_urgent = side, wish.takes_clear, wish.is_urgent
    call.has_open_offer, call.fork = True, wish.fork or call.fork
    stream.remember(digest(side, told.text.encode(), wish))
    return _written(other, told.form, stream.ends[other.side].pair.port, Secured(written, line.keys), protocol)


def answered(call: CallStreams, side: int, told: UsualSdp, *, is_early: bool) -> bytes | None:
    """The answer of party `side` to an offer of one line, written for the offerer; raises NgRefusal. None for an
    answer to any other."""
    answerer, offerer = call.parties[side], call.parties[1 - side]
    if call.offerer != 1 - side or not len(answerer.lines) == len(offerer.lines) == len(call.streams) == 1:
        return None
    line, back, stream = answerer.lines[0], offerer.lines[0], call.streams[0]
    offer = stream.offered
    is_one = line.stream is back.stream is stream
    if not is_one or offer is None or line.profile not in _PROFILES or back.profile not in _PROFILES:
        return None
    is_clear = call.takes_clear and bool(line.keys) and not told.has_crypto
    pair = None if is_clear else agreed_keys(line, told.form.is_secure, told.keys, told.has_crypto)
    ours, theirs = pair or (None, None)
    stream.apply(1 - side, offer)
    stream.apply(side, _remote_of(answerer, told, theirs, ours))
    stream.open()
    call.is_answered, call.has_open_offer = call.is_answered or not is_early, is_early
    secured = Secured(back.profile, (offer.ours,) if offer.ours is not None else ())
    port = stream.ends[offerer.side].pair.port
    return _written(offerer, told.form, port, secured, back.protocol, is_multiplexed=offer.is_multiplexed)


def _remote_of(
    party: CallParty, told: UsualSdp, theirs: CryptoAttribute | None, ours: CryptoAttribute | None
) -> Remote:
    """As offering.remote_of has it."""
    form = told.form
    address, control = rewriting.addresses_at(told.host, told.port, told.control, party.interface.family)
    return Remote(
        address,
        address if form.is_multiplexed else control,
        direction=form.direction,
        is_multiplexed=form.is_multiplexed,
        codec=form.codec,
        theirs=theirs,
        ours=ours,
        source=party.source,
    )


def _written(
    party: CallParty, form: UsualForm, port: int, secured: Secured, protocol: str, *, is_multiplexed: bool = False
) -> bytes:
    """The description for `party`, with our address, port and keys."""
    address = party.interface.advertised
    where = f"IN IP6 {address}" if ":" in address else f"IN IP4 {address}"
    keys = "".join([f"a=crypto:{key}\r\n" for key in secured.keys])
    control = f"{keys}a=rtcp:{port}\r\na=rtcp-mux\r\n" if is_multiplexed else f"a=rtcp:{port + 1}\r\n{keys}"
    below = form.below if rewriting.has_feedback(protocol) else form.without_feedback
    rest = f"s=-\r\nc={where}\r\n{form.session}m=audio {port} {protocol} {form.formats}\r\n{below}{control}"
    return party.told(lambda version: f"v=0\r\no=- {party.session_id} {version} {where}\r\n{rest}".encode())


@lru_cache(maxsize=256)
def _form(session: str, line: str, below: str) -> UsualForm:
    """Raises OfOneCall for lines of one call alone, with a key among them perhaps: they are not kept here then."""
    check_shared(f"{session}{below}".replace("\r\n", "\n"))
    text = f"v=0\r\no=- 0 0 IN IP4 0\r\ns=-\r\n{session}m=audio 9 {line}\r\n{below}"
    source = Description.parse(text.encode())
    media = source.media[0]
    if source.to_bytes() != text.encode() or media.has_attribute("rtcp"):
        raise OfOneCall
    return UsualForm(
        media,
        " ".join(media.formats),
        media.direction,
        rewriting.accepts_multiplexing(media),
        media.is_secure,
        rewriting.codec_of(media),
        web_lines.mid_of(media),
        _after_head(rewriting.session_for(source, source.origin.address)),
        _below(media, "RTP/AVPF"),
        _below(media, "RTP/AVP"),
    )


def _below(media: Media, protocol: str) -> str:
    """The lines below the m-line that pass, where it is written with that profile."""
    session, written = Description(), rewriting.media_for(media, 9, Secured(Profile.PLAIN), protocol)
    written.remove_attribute("rtcp")
    session.media = [written]
    return session.to_bytes().decode().partition("\r\n")[2]


def _after_head(session: Description) -> str:
    return "".join(session.to_bytes().decode().splitlines(keepends=True)[_HEAD_LINES:])
