"""The NG dictionaries by which a relay keeps the gateway's promises, for rtpengine 10.5 and for our workers alike.

They ask for our four suites and no others, no DTLS and no ICE but toward a browser, RTCP on a port of its own toward
the answerer (and on the RTP port for an offerer that wants it), nothing of the peer's addresses left. Keys that only
our workers know (WORKERS) are `suites` (in order of preference; rtpengine keeps an order of its own), `dual`,
`takes-clear` and their like. An rtpengine would warn of each, in each offer, so that it gets none of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.config.model import Side
from gateway.media.relay import JSON, UNKNOWN_SOURCE, Encryption, SdpSource, SdpWish
from gateway.sdp.crypto import SUITE_NAMES

OTHER_SUITES: Final = (
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
)
"""Suites that rtpengine offers beyond ours, two of them without any encryption."""

WORKERS: Final = frozenset({"suites", "takes-clear", "dual", "urgent", "repeated", "fork", "early"})
"""Keys of `offer` and `answer` that no rtpengine knows."""

PADDED: Final = "pad"
"""Keys end in = where base64 does (RFC 4648 section 4): an rtpengine leaves it out, and baresip 1.0 then reads a key of
AEAD_AES_256_GCM as too short."""

_CONNECTIONS: Final = re.compile(r"^c=IN IP[46] (\S+)", re.MULTILINE)

_PROFILES: Final = {
    Encryption.NONE: "RTP/AVP",
    Encryption.SAVP: "RTP/SAVP",
    Encryption.OSRTP: "RTP/AVP",
    Encryption.DUAL: "RTP/SAVP",
    Encryption.DTLS: "UDP/TLS/RTP/SAVPF",
}


def offer(
    call: str,
    from_tag: str,
    to_tag: str | None,
    sdp: bytes,
    wish: SdpWish,
    source: SdpSource = UNKNOWN_SOURCE,
) -> dict[str, JSON]:
    """The `offer` command."""
    suites = [suite for suite in wish.suites if suite in SUITE_NAMES]
    fields = _common("offer", call, from_tag, to_tag, sdp, source)
    fields["transport-protocol"] = _PROFILES[wish.encryption]
    fields["SDES"] = [PADDED, *(f"no-{suite}" for suite in _refused(wish, suites))]
    fields["direction"] = [str(wish.side if wish.is_between_phones else _opposite(wish.side)), str(wish.side)]
    if wish.encryption is Encryption.DTLS:
        fields |= {"ICE": "force", "ICE-lite": "forward", "DTLS": "passive", "rtcp-mux": ["require"]}
        fields["SDES"] = ["off", *(f"no-{suite}" for suite in OTHER_SUITES)]
    elif wish.encryption is not Encryption.NONE:
        fields["suites"] = list(suites)
        fields["takes-clear"] = wish.takes_clear
    if wish.encryption is Encryption.OSRTP:
        fields["OSRTP"] = ["offer"]
    if wish.encryption is Encryption.DUAL:
        fields["dual"] = True
    if wish.is_urgent:
        fields["urgent"] = True
    if wish.is_repeated:
        fields["repeated"] = True
    if wish.fork:
        fields["fork"] = wish.fork
    return fields


def answer(call: str, from_tag: str, to_tag: str, sdp: bytes, source: SdpSource = UNKNOWN_SOURCE) -> dict[str, JSON]:
    """The `answer` command: from the answerer (`to_tag`) to the offerer (`from_tag`)."""
    fields = _common("answer", call, from_tag, to_tag, sdp, source)
    if source.is_early:
        fields["early"] = True
    return fields


def held_to_sdp(asked: dict[str, JSON]) -> dict[str, JSON]:
    """An `offer` or `answer` with an rtpengine's flags for a party that is not to be heard from anywhere: the nearest
    to a worker's latch.

    Without NAT, as the host in the SDP is where the signalling comes from, media go where the SDP says and nowhere
    else; without keys, they come from there alone. Else it learns the address, and keeps to it once learned.
    """
    sdp, source = str(asked["sdp"]), asked.get("received-from")
    host = source[1] if isinstance(source, list) else None
    if set(_CONNECTIONS.findall(sdp)) != {host}:
        return {**asked, "flags": ["strict-source", "endpoint-learning-heuristic"]}
    if "a=crypto:" in sdp:
        return {**asked, "flags": ["endpoint-learning-off"]}
    return {**asked, "flags": ["endpoint-learning-off", "strict-source"]}


def for_rtpengine(asked: dict[str, JSON]) -> dict[str, JSON]:
    """An `offer` or `answer` without the keys that an rtpengine does not know."""
    return {key: value for key, value in asked.items() if key not in WORKERS}


def confirm(call: str) -> dict[str, JSON]:
    """The `confirm` command of our workers: the call was answered, as an `early` answer said."""
    return {"command": "confirm", "call-id": call}


def interfaces(written: Sequence[str]) -> dict[str, JSON]:
    """The `interfaces` command of our workers: NAME/ADDRESS[!ADVERTISED] of the media of new calls."""
    return {"command": "interfaces", "interfaces": [*written]}


def delete(call: str) -> dict[str, JSON]:
    """The `delete` command: the whole call, at once."""
    return {"command": "delete", "call-id": call, "delete-delay": 0}


def _common(
    command: str, call: str, from_tag: str, to_tag: str | None, sdp: bytes, source: SdpSource
) -> dict[str, JSON]:
    fields: dict[str, JSON] = {
        "command": command,
        "call-id": call,
        "from-tag": from_tag,
        "sdp": sdp.decode("utf-8", "surrogateescape"),
        "replace": ["origin", "session-connection"],
        "ICE": "remove",
        "DTLS": "off",
        "rtcp-mux": ["demux", "accept"],
        "SDES": [PADDED],
    }
    if to_tag is not None:
        fields["to-tag"] = to_tag
    if source.host:
        fields["received-from"] = ["IP6" if ":" in source.host else "IP4", source.host]
    return fields


def _refused(wish: SdpWish, suites: list[str]) -> tuple[str, ...]:
    if wish.encryption is Encryption.NONE:
        return OTHER_SUITES
    return OTHER_SUITES + tuple(suite for suite in SUITE_NAMES if suite not in suites)


def _opposite(side: Side) -> Side:
    return Side.PHONES if side is Side.PROVIDER else Side.PROVIDER
