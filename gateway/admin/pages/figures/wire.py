"""The wire drawn: phone, gateway and provider, and between them the protection of each lane while the call lasted.

    chain (outcome of each leg) + media (suites) + tls -> WireFigure: two hops, each with the lanes signalling and media

Here: pure functions from a call's record. A lane claims no more than the record says: where the chain has no outcome
for a leg, its lanes say that nothing is known, and SRTP names its suite only where the relay reported it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs
from markupsafe import Markup

from gateway.admin.pages.figures.charts import Segment, lane
from gateway.base.json_codec import Json

CallRow: TypeAlias = Mapping[str, Json]
_Named: TypeAlias = Callable[[str], str]

_PHASE: Final = re.compile(r"(?P<state>[A-Za-z][A-Za-z ]*?) from (?P<at>\d+(?:\.\d+)?(?:e[+-]?\d+)?) s")
_SUMMARY: Final = re.compile(r"(?P<signalling>TLS|[A-Z]+ in clear), (?P<media>SRTP|RTP in clear|no media yet)")
UNKNOWN: Final = "not known"


@attrs.frozen
class Lane:
    """Signalling or media of one hop."""

    kind: str
    label: str
    tone: str
    segments: tuple[Segment, ...]

    @property
    def told(self) -> str:
        """The lane in words, with its changes."""
        return f"{self.kind}: " + ", then ".join(segment.words for segment in self.segments)

    @property
    def has_changed(self) -> bool:
        """Whether its protection changed while the call lasted."""
        return len(self.segments) > 1

    @property
    def figure(self) -> Markup:
        """The lane as a bar."""
        return lane(self.segments, self.told)


@attrs.frozen
class Hop:
    """From one column to the next."""

    left: str
    right: str
    lanes: tuple[Lane, Lane]


@attrs.frozen
class WireFigure:
    """The whole figure."""

    names: tuple[str, str, str]
    hops: tuple[Hop, Hop]


def wire(call: CallRow, now: float) -> WireFigure:
    """The figure of a call; ``now`` (seconds since the epoch) ends one that is up."""
    is_inbound = call.get("direction") == "inbound"
    legs = ("callee", "caller") if is_inbound else ("caller", "callee")
    right = "Phone" if call.get("direction") == "internal" else "Provider"
    length = _length(call, now)
    hops = tuple(_lanes(call, leg, length) for leg in legs)
    names = ("Phone", "Gateway", right)
    return WireFigure(names, (Hop(names[0], names[1], hops[0]), Hop(names[1], names[2], hops[1])))


def _lanes(call: CallRow, leg: str, length: float) -> tuple[Lane, Lane]:
    outcomes = [*_outcomes(call, leg)]
    found = [match for text in outcomes if (match := _SUMMARY.fullmatch(text))]
    signalling, media = (found[-1]["signalling"], found[-1]["media"]) if found else (UNKNOWN, UNKNOWN)
    phases = [states for text in outcomes if (states := [*_phases(text)])]
    told_signalling = next((states for states in phases if not _is_media(states[0][1])), [(0.0, signalling)])
    told_media = next((states for states in phases if _is_media(states[0][1])), [(0.0, media)])
    tls, suite = _tls(call, leg), _suite(call, leg)
    return (
        _lane("Signalling", told_signalling, length, lambda state: tls if state == "TLS" and tls else state),
        _lane("Media", told_media, length, lambda state: f"SRTP {suite}" if state == "SRTP" and suite else state),
    )


def _lane(kind: str, states: Sequence[tuple[float, str]], length: float, named: _Named) -> Lane:
    whole = max(length, states[-1][0] * 1.1, 0.001)
    ends = [at for at, _ in states[1:]] + [whole]
    starts = [0.0] + [at for at, _ in states[1:]]
    segments = tuple(
        Segment((end - start) / whole, tone(state), named(state) + (f" from {start:.0f} s" if start else ""))
        for start, end, (_, state) in zip(starts, ends, states, strict=True)
    )
    worst = max((segment.tone for segment in segments), key=_ORDER.index)
    return Lane(kind, named(states[-1][1]), worst, segments)


_ORDER: Final = ("encrypted", "none", "clear")


def tone(state: str) -> str:
    """The colour of a state of a wire."""
    if state in ("TLS", "SRTP"):
        return "encrypted"
    return "none" if state in (UNKNOWN, "no media yet") else "clear"


def _is_media(state: str) -> bool:
    return state in ("SRTP", "RTP", "RTP in clear")


def _phases(text: str) -> Iterator[tuple[float, str]]:
    for found in _PHASE.finditer(text):
        yield float(found["at"]), found["state"]


def _outcomes(call: CallRow, leg: str) -> Iterator[str]:
    chain = call.get("chain")
    for link in chain if isinstance(chain, list) else []:
        if isinstance(link, dict) and link.get("leg") == leg and link.get("step") == "outcome":
            yield str(link.get("what", ""))


def _length(call: CallRow, now: float) -> float:
    started, ended = call.get("started_at"), call.get("ended_at")
    if not isinstance(started, int | float):
        return 0.0
    return max(0.0, (ended if isinstance(ended, int | float) else now) - started)


def _suite(call: CallRow, leg: str) -> str:
    """The suite that the relay reported for the media of a leg."""
    for _, stream in sent_streams(call, leg):
        if isinstance(suite := stream.get("crypto suite"), str):
            return suite
    return ""


def _tls(call: CallRow, leg: str) -> str:
    """Version and cipher of a leg's connection, where the record has them."""
    held = call.get("tls")
    told = held.get(leg) if isinstance(held, dict) else None
    return str(told) if told else ""


def sent_streams(call: CallRow, leg: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """The relay's counters of each stream that came from a leg's peer, with the profile of its media."""
    media = call.get("media")
    tags = media.get("tags") if isinstance(media, dict) else None
    tag = tags.get(leg) if isinstance(tags, dict) else None
    medias = tag.get("medias") if isinstance(tag, dict) else None
    for one in medias if isinstance(medias, list) else []:
        found = one.get("streams") if isinstance(one, dict) else None
        for stream in found if isinstance(found, list) else []:
            if isinstance(one, dict) and isinstance(stream, dict):
                yield str(one.get("protocol") or ""), stream
