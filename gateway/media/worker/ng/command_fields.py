"""The fields of NG commands, read: names, descriptions and wishes out of dictionaries that anybody may have written.

Each raises NgRefusal for a field that is no such thing. Not here: the commands that they are for (commands).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from gateway.media.worker.offering import NgRefusal, OfferWish
from gateway.media.worker.rewriting import Profile
from gateway.media.worker.usual import UsualSdp
from gateway.sdp.crypto import SUITE_NAMES, suite_named
from gateway.sdp.description import Description
from gateway.sdp.dtls import is_dtls_profile

Fields: TypeAlias = Mapping[str, object]

MAXIMUM_NAME: Final = 1_024
"""Characters of a call-id or tag."""


def optional(fields: Fields, key: str) -> str | None:
    """The text under a key; None for none and for an empty one."""
    value = fields.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAXIMUM_NAME:
        raise NgRefusal(f"Bad {key} in message")
    return value


def text(fields: Fields, key: str) -> str:
    """The text under a key that has to be there."""
    value = optional(fields, key)
    if value is None:
        raise NgRefusal(f"No {key} in message")
    return value


def read_description(fields: Fields) -> Description | UsualSdp:
    """`sdp`; raises MalformedDescription, too."""
    sdp = fields.get("sdp")
    if not isinstance(sdp, str) or not sdp:
        raise NgRefusal("No SDP body in message")
    told = UsualSdp.read(sdp)
    if told is not None:
        return told
    try:
        body = sdp.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # JSON can name surrogates that stand for no byte
        raise NgRefusal("SDP body is no text") from None
    return Description.parse(body)


def strings(fields: Fields, key: str) -> list[str]:
    """A list of texts, or the words of one text; none where the key is absent."""
    value = fields.get(key)
    if value is None:
        return []
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def read_sides(fields: Fields) -> tuple[str, str]:
    """`direction`: the names of the offerer's interface and of the answerer's; empty when it says nothing."""
    direction = strings(fields, "direction")
    return (direction[0], direction[1]) if len(direction) == 2 else ("", "")


def read_wish(fields: Fields) -> OfferWish:
    """`transport-protocol`, `OSRTP`, `SDES`: rtpengine's; `suites` (best first), `dual`, `takes-clear`, `urgent`,
    `repeated`, `fork`: ours."""
    get, fork = fields.get, fields.get("fork")
    flags = [get(key) is True for key in ("takes-clear", "urgent", "repeated")]
    return _wish(
        str(get("transport-protocol") or "").upper(),
        "offer" in strings(fields, "OSRTP"),
        (bool(get("dual")), *flags, fork if isinstance(fork, int) else 0),
        tuple(strings(fields, "suites")),
        tuple(strings(fields, "SDES")),
    )


@lru_cache(maxsize=64)
def _wish(
    protocol: str,
    is_osrtp: bool,
    others: tuple[bool, bool, bool, bool, int],
    wished: tuple[str, ...],
    sdes: tuple[str, ...],
) -> OfferWish:
    """The same of few values: calls differ little."""
    profile = {"RTP/SAVP": Profile.SAVP, "RTP/SAVPF": Profile.SAVP}.get(protocol)
    if is_dtls_profile(protocol):
        profile = Profile.DTLS
    if protocol in ("RTP/AVP", "RTP/AVPF"):
        profile = Profile.OSRTP if is_osrtp else Profile.PLAIN
    suites = _suites(wished, sdes)
    if not suites and profile in (Profile.SAVP, Profile.OSRTP):
        raise NgRefusal("No SRTP suite is left to offer")
    is_dual, takes_clear, is_urgent, is_repeated, fork = others
    return OfferWish(profile, is_dual, suites, takes_clear, is_urgent, is_repeated, fork)


def _suites(wished: tuple[str, ...], flags: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the `wished` suites, or of all, that no flag `no-SUITE` refuses; best first."""
    refused = {item.removeprefix("no-") for item in flags}
    found = [suite.name for suite in map(suite_named, wished or SUITE_NAMES) if suite is not None]
    return tuple(dict.fromkeys(name for name in found if name not in refused))
