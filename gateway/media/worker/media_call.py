"""The media of one call: its offers and answers, rewritten for the other party (RFC 3264, RFC 4568).

    party 0 --its SDP--> offer()  --rewritten--> party 1        the offer's content is kept with each stream
    party 0 <-rewritten- answer() <---its SDP--- party 1        and takes effect, with the answer, now

Every party has its own list of m-lines, because they may differ: an offer of RTP/SAVP and RTP/AVP for the same stream
takes two lines toward its peer, or came in two. A `Line` belongs to a stream or is refused (port 0) for ever.

Descriptions in the usual form go a shorter way (usual). Not here: parties and streams (parties, call_streams), wishes
and the meaning of an m-line (offering), the lines of a description (rewriting).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.media.worker import rewriting, usual
from gateway.media.worker.call_streams import CallStreams
from gateway.media.worker.offering import (
    NgRefusal,
    OfferWish,
    agreed,
    digest,
    is_without_keys,
    remote_of,
    web_agreed,
    web_remote_of,
)
from gateway.media.worker.parties import CallParty, Line, MediaStream
from gateway.media.worker.rewriting import Profile, Secured
from gateway.media.worker.streams.endpoint import Remote
from gateway.media.worker.usual import UsualSdp
from gateway.media.worker.web import web_lines
from gateway.media.worker.web.web_lines import WebForm
from gateway.sdp.crypto import SUITE_NAMES, CryptoAttribute
from gateway.sdp.description import Description, Media
from gateway.sdp.dtls import Setup, is_dtls_profile
from gateway.sdp.negotiation import choose, crypto_lines


class MediaCall(CallStreams):
    """The media of one call.

    `offer` and `answer` raise NgRefusal, NoPorts or MalformedDescription, and then change nothing that carries media.
    """

    def offer(self, side: int, told: Description | UsualSdp, wish: OfferWish) -> bytes:
        """The offer of party `side`, written for the other one."""
        if isinstance(told, Description):
            return self._offer(side, told, wish)
        return usual.offered(self, side, told, wish) or self._offer(side, told.full(), wish)

    def answer(self, side: int, told: Description | UsualSdp, *, is_early: bool = False) -> bytes:
        """The answer of party `side` to the latest offer, written for the offerer. An early one, in a 18x, lets media
        flow while the call still rings."""
        if isinstance(told, Description):
            return self._answer(side, told, is_early)
        return usual.answered(self, side, told, is_early=is_early) or self._answer(side, told.full(), is_early)

    def _offer(self, side: int, description: Description, wish: OfferWish) -> bytes:
        before, other, self.is_urgent = len(self.streams), self.parties[1 - side], wish.is_urgent
        if wish.profile is Profile.DTLS and self.services.handshakes is None:
            raise NgRefusal("DTLS-SRTP is not served")
        web_lines.bare(description)
        kept = [stream.offered for stream in self.streams], list(other.lines)
        name = digest(side, description.to_bytes(), wish)
        for stream in self.streams:
            if wish.is_repeated:
                stream.recall(name)
            elif wish.fork not in (0, self.fork):
                stream.renew_keys(1 - side)
        try:
            lines = self._read_offer(self.parties[side], description)
            result = self._write_offer(other, description, lines, wish)
        except Exception:
            for stream in self.streams[before:]:
                stream.release()
            del self.streams[before:]
            for stream, offered in zip(self.streams, kept[0], strict=True):
                stream.offered = offered
            other.lines = kept[1]
            raise
        self.parties[side].lines, self.offerer, self.takes_clear = lines, side, wish.takes_clear
        self.has_open_offer, self.fork = True, wish.fork or self.fork
        for stream in self.streams:
            stream.remember(name)
        return result

    def _answer(self, side: int, description: Description, is_early: bool) -> bytes:
        if self.offerer != 1 - side:
            raise NgRefusal("There is no offer to answer")
        web_lines.bare(description)
        taken = self._read_answer(self.parties[side], description)
        offerer = self.parties[1 - side]
        for stream in self.streams:
            if stream in taken and stream.offered is not None:
                stream.apply(1 - side, stream.offered)
                stream.apply(side, taken[stream][1])
                stream.open()
            else:
                stream.shut()
        self.is_answered, self.has_open_offer = self.is_answered or not is_early, is_early
        return self._finish(offerer, description, [self._write_answer(offerer, line, taken) for line in offerer.lines])

    def _read_offer(self, offerer: CallParty, description: Description) -> list[Line]:
        alternates = rewriting.alternates(description.media)
        for stream in self.streams:
            stream.offered = None
        lines = [
            self._offered_line(offerer, description, index, index in alternates)
            for index in range(len(description.media))
        ]
        if any(media.port for media in description.media) and not any(stream.offered for stream in self.streams):
            raise NgRefusal("No m-line of the offer can be relayed")
        return lines

    def _offered_line(self, offerer: CallParty, description: Description, index: int, is_alternate: bool) -> Line:
        media = description.media[index]
        keys = crypto_lines(media)
        profile, told = rewriting.profile_of(media, keys), None
        if is_dtls_profile(media.protocol) and self.services.handshakes is not None:
            told = web_lines.usable(description, index)
            profile = Profile.UNUSABLE if told is None else Profile.DTLS
        stream = offerer.lines[index].stream if index < len(offerer.lines) else None
        if media.port and not is_alternate and profile is not Profile.UNUSABLE:
            if stream is None:
                stream = MediaStream(self.services, self.parties, is_urgent=self.is_urgent)
            elif stream.is_released and not stream.revive(self.services, self.parties, is_urgent=self.is_urgent):
                return Line(stream, profile, media.kind, media.protocol, media.formats)  # refused, as it was
            if stream not in self.streams:
                self.streams.append(stream)
            if told is not None:
                ours = stream.credentials(offerer.side, self.random, told)
                stream.offered = web_remote_of(offerer, media, told, ours)
            else:
                theirs = choose(keys, SUITE_NAMES)
                stream.offered = remote_of(offerer, description, media, (theirs, self._reply(stream, offerer, theirs)))
        return Line(stream, profile, media.kind, media.protocol, media.formats, mid=web_lines.mid_of(media))

    def _write_offer(self, other: CallParty, source: Description, lines: Sequence[Line], wish: OfferWish) -> bytes:
        known = {line.stream for line in other.lines}
        is_new = len(self.parties[1 - other.side].lines)
        for index, line in enumerate(lines):
            if line.stream is not None and line.stream not in known:
                other.lines += self._new_lines(line, wish)
            elif index >= is_new and source.media[index].port == 0:
                # Its reader may have seen it before, from another relay: lines stay (RFC 3264 section 8).
                other.lines.append(line)
        medias = {
            line.stream: media for line, media in zip(lines, source.media, strict=True) if line.stream is not None
        }
        written = []
        for line in other.lines:
            if line.stream is None or line.stream.offered is None:
                written.append(rewriting.refused(line.kind, line.protocol, line.formats))
            else:
                written.append(self._offer_line(other, line, line.stream, medias[line.stream], wish))
        return self._finish(other, source, written)

    def _new_lines(self, line: Line, wish: OfferWish) -> list[Line]:
        forms = [Profile.SAVP, Profile.PLAIN] if wish.is_dual and line.profile is not Profile.OTHER else [None]
        return [Line(line.stream, form or line.profile, line.kind, "", []) for form in forms]

    def _offer_line(self, other: CallParty, line: Line, stream: MediaStream, source: Media, wish: OfferWish) -> Media:
        is_dual = sum(one.stream is stream for one in other.lines) > 1
        if not is_dual and not wish.is_dual and line.profile is not Profile.OTHER:
            line.profile = wish.profile or line.profile
        line.keys = ()
        if line.profile in (Profile.SAVP, Profile.OSRTP):
            line.keys = stream.keys_to_offer(other.side, wish.suites, self.random)
        secured, port = Secured(line.profile, line.keys), stream.ends[other.side].pair.port
        if wish.profile is Profile.DTLS and not _is_browsers(other, line, source):
            protocol = Profile.DTLS.value if source.is_rtp else source.protocol
            media = rewriting.refused(source.kind, protocol, source.formats)
        else:
            media = rewriting.media_for(source, port, secured, former=line.protocol)
        if line.profile is Profile.DTLS:
            line.mid = line.mid or str(other.lines.index(line))
        if line.profile is Profile.DTLS and media.port:
            line.ice = stream.credentials(other.side, self.random)
            self._dress(other, line, media, Setup.ACTPASS, stream.offered)
        line.kind, line.protocol, line.formats = media.kind, media.protocol, media.formats
        return media

    def _read_answer(self, answerer: CallParty, description: Description) -> dict[MediaStream, tuple[Media, Remote]]:
        taken: dict[MediaStream, tuple[Media, Remote]] = {}
        for index, (line, media) in enumerate(zip(answerer.lines, description.media, strict=False)):
            if media.port == 0 or line.stream is None or line.stream.offered is None or line.stream in taken:
                continue
            if line.profile is Profile.DTLS:
                told, ice = web_agreed(line, description, index)
                taken[line.stream] = media, web_remote_of(answerer, media, told, ice)
                continue
            is_clear = self.takes_clear and is_without_keys(line, media)
            ours, theirs = (None, None) if is_clear else agreed(line, media) or (None, None)
            taken[line.stream] = media, remote_of(answerer, description, media, (theirs, ours))
        for line, media in zip(answerer.lines, description.media, strict=False):
            # Of two lines for one stream the peer chose; the other stays refused (RFC 3264 section 8.2).
            if line.stream in taken and taken[line.stream][0] is not media:
                line.stream = None
        return taken

    def _write_answer(self, offerer: CallParty, line: Line, taken: dict[MediaStream, tuple[Media, Remote]]) -> Media:
        stream = line.stream
        if stream is None or stream not in taken or stream.offered is None:
            return rewriting.refused(line.kind, line.protocol, line.formats)
        offered = stream.offered
        keys = (offered.ours,) if offered.ours is not None else ()
        port = stream.ends[offerer.side].pair.port
        media = rewriting.media_for(taken[stream][0], port, Secured(line.profile, keys), line.protocol)
        if offered.dtls is not None:
            line.ice, setup = offered.ice, stream.web(offerer.side).role(offered.dtls)
            self._dress(offerer, line, media, setup, taken[stream][1])
        elif offered.is_multiplexed:
            rewriting.multiplex(media)
        return media

    def _dress(self, party: CallParty, line: Line, media: Media, setup: Setup, heard: Remote | None) -> None:
        """Write our end of DTLS and ICE into a browser's m-line; `heard`: the party that it is to hear."""
        assert self.services.handshakes is not None, "a worker without handshakes refuses browsers"
        assert line.ice is not None, "a browser's line has credentials"
        form = WebForm(line.ice, setup, self.services.handshakes.fingerprint, party.interface.advertised, line.mid)
        web_lines.dress(media, form, is_held=heard is not None and heard.is_held)

    def _finish(self, party: CallParty, source: Description, written: list[Media]) -> bytes:
        """The description as bytes."""
        address = party.interface.advertised
        result = rewriting.session_for(source, address)
        result.media = written
        rewriting.hold_addresses(source, result, party.interface.family)
        web_lines.dress_session(result, [line.mid for line in party.lines], address)

        def text(version: int) -> bytes:
            result.origin = rewriting.origin_for(party.session_id, version, address)
            return result.to_bytes()

        return party.told(text)

    def _reply(self, stream: MediaStream, party: CallParty, theirs: CryptoAttribute | None) -> CryptoAttribute | None:
        """Our line in the answer to `theirs`: its tag and suite, as they were spelled, and our key."""
        if theirs is None:
            return None
        key = self._key(stream, party, theirs.suite)
        return CryptoAttribute(theirs.tag, theirs.suite, key, spelling=theirs.spelling)

    def _key(self, stream: MediaStream, party: CallParty, suite: str) -> bytes:
        return stream.key(party.side, suite, self.random)


def _is_browsers(party: CallParty, line: Line, source: Media) -> bool:
    """Whether it is the m-line that a browser is offered: the first of audio."""
    audio = (one for one in party.lines if one is line or (one.profile is Profile.DTLS and one.kind == "audio"))
    return source.kind == "audio" and next(audio) is line
