"""The quality of an ended call's streams, from a relay's last word on them into the metrics.

A worker's reply to `delete` is the call's report: one observation a direction is added for each call, none for a
packet. An rtpengine's report is brought into the same form. It knows quality from the parties' RTCP alone, by SSRC; of
a call without RTCP it knows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from gateway.config.model import Side
from gateway.media.relay import JSON
from gateway.observe.metrics import Metrics
from gateway.sdp.crypto import SUITE_NAMES

_NO_SUITE: Final = "none"
CLEAR_CONTROL: Final = "RTCP in clear beside SRTP"
_REMARKS: Final = {
    "in clear": CLEAR_CONTROL,
    "elsewhere": "RTP in clear from a host that neither SDP nor signalling names: media.rtp_from_anywhere",
}
"""By the key of a stream; an rtpengine takes no RTCP in clear."""
_DIRECTIONS: Final[dict[JSON, str]] = {Side.PHONES.value: "to_provider", Side.PROVIDER.value: "to_phone"}
"""By the side that a stream was received from."""


@attrs.frozen
class StreamQuality:
    """One direction of one stream. None where a figure is not known."""

    direction: str
    """``to_phone`` for both of a call between phones."""
    score: float | None
    """Mean opinion score, 1 to 5."""
    loss: float | None
    """A share of the packets sent, 0 to 1."""
    jitter: float | None
    """Seconds."""
    round_trip: float | None
    """Seconds, between the relay and the party that sent the stream."""
    is_one_way: bool
    suite: str = _NO_SUITE
    """Of SRTP, as in SDP (RFC 4568 section 6.2); "other" for one that this gateway does not know, "none" for RTP."""
    side: str = attrs.field(default="", eq=False)
    """That of the sender."""


@attrs.frozen
class PartySides:
    """Which side of the gateway the parties of a call are on: an rtpengine does not know."""

    tag: str
    """Of the first offerer."""
    offerer: JSON
    answerer: JSON

    @classmethod
    def of_offer(cls, asked: dict[str, JSON]) -> PartySides:
        """By the `offer` command's own words."""
        sides = _values(asked, "direction") or [None, None]
        return cls(str(asked["from-tag"]), sides[0], sides[1])

    def sender(self, asked: dict[str, JSON]) -> JSON:
        """The side that the SDP of an `offer` or `answer` comes from."""
        tag = asked["from-tag"] if asked["command"] == "offer" else asked["to-tag"]
        return self.offerer if tag == self.tag else self.answerer


def from_rtpengine(report: dict[str, JSON], sides: PartySides) -> dict[str, JSON]:
    """The report with a worker's words added: `side` of each party, MOS, `loss`, `jitter` and `round trip`.

    An rtpengine keeps the RTCP of a party under the SSRC that the party sends with, but that RTCP reports on the
    stream that the party hears. So a stream's loss is found with its subscribers, and only the round trip with its
    sender.
    """
    known, parties = report.get("SSRC"), report.get("tags")
    for tag, party in parties.items() if isinstance(parties, dict) else ():
        if not isinstance(party, dict):
            continue
        party["side"] = sides.offerer if tag == sides.tag else sides.answerer
        hearers = [_streams(_value(parties, str(_value(one, "tag")))) for one in _values(party, "subscribers")]
        for index, stream in enumerate(_streams(party)):
            if isinstance(stream, dict) and _ssrcs(stream):
                heard = (_words(known, streams[index]) for streams in hearers if index < len(streams))
                stream.update(_reported(_first(heard), _words(known, stream)))
    return report


def _streams(party: JSON) -> list[JSON]:
    """The RTP of each of its media."""
    return [_first(iter(_values(media, "streams"))) for media in _values(party, "medias")]


def _ssrcs(stream: JSON) -> list[JSON]:
    """Of received packets, the latest first: rtpengine 12.4 to 13.3 (Debian 13's is 12.5) tell several, others one."""
    one = _value(stream, "SSRC")
    several = _values(stream, "ingress SSRCs")
    return [_value(entry, "SSRC") for entry in several] if one is None else [one]


def _words(known: JSON, stream: JSON) -> JSON:
    """The mean of the figures in its sender's RTCP; None without RTCP."""
    return _first(_value(_value(known, str(ssrc)), "average MOS") for ssrc in _ssrcs(stream))


def _reported(heard: JSON, own: JSON) -> dict[str, JSON]:
    """In a worker's units: rtpengine counts MOS in tenths, loss in hundredths, round trips in microseconds."""
    return {
        "MOS": _number(heard, "MOS", 10),
        "loss": _number(heard, "packet loss", 100),
        "jitter": _number(heard, "jitter"),
        "round trip": _number(own, "round-trip time leg", 1_000),
    }


def stream_qualities(report: JSON) -> Iterator[StreamQuality]:
    """Of every audio stream on which something came, or should have."""
    heard = [(side, streams[0]) for side, media, streams in _media(report) if streams and _is_heard(media, streams[0])]
    if not heard:
        return
    senders = [_value(party, "side") for party in _values(report, "tags")]
    is_local = len(senders) > 1 and all(sender == Side.PHONES.value for sender in senders)
    for sender, stream in heard:
        direction = _DIRECTIONS[Side.PROVIDER.value] if is_local else _DIRECTIONS.get(sender)
        if direction is not None:
            yield _quality(direction, str(sender), stream)


def _media(report: JSON) -> Iterator[tuple[JSON, dict[str, JSON], list[JSON]]]:
    """Each m-line of each party: the party's side, the m-line, and its streams of RTP and RTCP. Reports are walked
    through several times a call, so here is one walk for all."""
    parties = report.get("tags") if isinstance(report, dict) else None
    for party in parties.values() if isinstance(parties, dict) else _values(report, "tags"):
        if isinstance(party, dict):
            for media in _values(party, "medias"):
                if isinstance(media, dict):
                    yield party.get("side"), media, _values(media, "streams")


def worst_score(report: JSON) -> float | None:
    """The mean opinion score of the direction that was heard worse; None where the report has none."""
    if report is None:
        return None
    return min((one.score for one in stream_qualities(report) if one.score is not None), default=None)


def remarks(report: JSON) -> Iterator[tuple[Side, str]]:
    """Things about a side's media that the reasons of a call are to tell, as far as a worker noticed them: RTCP in
    clear first (`CLEAR_CONTROL`)."""
    found = {
        (key, side)
        for side, _, streams in _media(report)
        for stream in streams
        if isinstance(stream, dict)
        for key in _REMARKS
        if stream.get(key)
    }
    if found:
        yield from ((side, text) for key, text in _REMARKS.items() for side in Side if (key, side.value) in found)


def remarks_by_tag(report: JSON) -> Iterator[tuple[str, str, bool]]:
    """The same by the parties' tags, where both are on one side; and whether it is of RTCP in clear."""
    parties = _value(report, "tags")
    for tag, party in parties.items() if isinstance(parties, dict) else ():
        for _, text in remarks({"tags": {tag: party}}):
            yield tag, text, text == CLEAR_CONTROL


def observe(report: JSON, metrics: Metrics) -> None:
    """Add an ended call's report to the metrics."""
    for quality in stream_qualities(report):
        metrics.srtp_suites.labels(quality.side, quality.suite).inc()
        if quality.is_one_way:
            metrics.one_way_audio.labels(quality.direction).inc()
        for histogram, value in (
            (metrics.media_score, quality.score),
            (metrics.media_loss, quality.loss),
            (metrics.media_jitter, quality.jitter),
            (metrics.media_round_trip, quality.round_trip),
        ):
            if value is not None:
                histogram.labels(quality.direction).observe(value)


def _is_heard(media: dict[str, JSON], stream: JSON) -> bool:
    """Whether it is audio, on which something came, or should have."""
    tells = isinstance(stream, dict) and (stream.get("MOS") is not None or stream.get("one way") is True)
    return tells and media.get("type") == "audio"


def _quality(direction: str, side: str, stream: JSON) -> StreamQuality:
    return StreamQuality(
        direction,
        side=side,
        score=_number(stream, "MOS"),
        loss=_number(stream, "loss"),
        jitter=_number(stream, "jitter", 1_000),
        round_trip=_number(stream, "round trip", 1_000),
        is_one_way=_value(stream, "one way") is True,
        suite=_suite(_value(stream, "crypto suite")),
    )


def _suite(named: JSON) -> str:
    """A label of a metric, so one of few."""
    if named is None:
        return _NO_SUITE
    return named if isinstance(named, str) and named in SUITE_NAMES else "other"


def _value(of: JSON, key: str) -> JSON:
    return of.get(key) if isinstance(of, dict) else None


def _values(of: JSON, key: str) -> list[JSON]:
    """The items of a list or dictionary within a dictionary."""
    found = of.get(key) if isinstance(of, dict) else None
    if isinstance(found, list):
        return found
    return list(found.values()) if isinstance(found, dict) else []


def _first(found: Iterator[JSON]) -> JSON:
    """The first that is something."""
    return next((one for one in found if one is not None), None)


def _number(of: JSON, key: str, units: int = 1) -> float | None:
    found = of.get(key) if isinstance(of, dict) else None
    return found / units if isinstance(found, int | float) and not isinstance(found, bool) else None
