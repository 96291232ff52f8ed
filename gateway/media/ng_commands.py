"""The NG dictionaries by which a relay keeps the gateway's promises, for rtpengine 10.5 and for our workers alike.

They ask for our four suites and no others, no DTLS, no ICE, RTCP on a port of its own toward the answerer (and on the
RTP port for an offerer that wants it), nothing of the peer's addresses left. Keys that only one of them knows are
ignored by the other: `suites` (in order of preference; rtpengine keeps an order of its own), `dual`, `takes-clear` and
`urgent` are our workers'.
"""

from __future__ import annotations

from typing import Final

from gateway.config.model import Side
from gateway.media.relay import JSON, Encryption, SdpWish
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

_PROFILES: Final = {
    Encryption.NONE: "RTP/AVP",
    Encryption.SAVP: "RTP/SAVP",
    Encryption.OSRTP: "RTP/AVP",
    Encryption.DUAL: "RTP/SAVP",
}


def offer(call: str, from_tag: str, to_tag: str | None, sdp: bytes, wish: SdpWish) -> dict[str, JSON]:
    """The `offer` command."""
    suites = [suite for suite in wish.suites if suite in SUITE_NAMES]
    fields = _common("offer", call, from_tag, to_tag, sdp)
    fields["transport-protocol"] = _PROFILES[wish.encryption]
    fields["SDES"] = [f"no-{suite}" for suite in _refused(wish, suites)]
    fields["direction"] = [str(_opposite(wish.side)), str(wish.side)]
    if wish.encryption is not Encryption.NONE:
        fields["suites"] = list(suites)
        fields["takes-clear"] = wish.takes_clear
    if wish.encryption is Encryption.OSRTP:
        fields["OSRTP"] = ["offer"]
    if wish.encryption is Encryption.DUAL:
        fields["dual"] = True
    if wish.is_urgent:
        fields["urgent"] = True
    return fields


def answer(call: str, from_tag: str, to_tag: str, sdp: bytes) -> dict[str, JSON]:
    """The `answer` command: from the answerer (`to_tag`) to the offerer (`from_tag`)."""
    return _common("answer", call, from_tag, to_tag, sdp)


def delete(call: str) -> dict[str, JSON]:
    """The `delete` command: the whole call, at once."""
    return {"command": "delete", "call-id": call, "delete-delay": 0}


def _common(command: str, call: str, from_tag: str, to_tag: str | None, sdp: bytes) -> dict[str, JSON]:
    fields: dict[str, JSON] = {
        "command": command,
        "call-id": call,
        "from-tag": from_tag,
        "sdp": sdp.decode("utf-8", "surrogateescape"),
        "replace": ["origin", "session-connection"],
        "ICE": "remove",
        "DTLS": "off",
        "rtcp-mux": ["demux", "accept"],
    }
    if to_tag is not None:
        fields["to-tag"] = to_tag
    return fields


def _refused(wish: SdpWish, suites: list[str]) -> tuple[str, ...]:
    if wish.encryption is Encryption.NONE:
        return OTHER_SUITES
    return OTHER_SUITES + tuple(suite for suite in SUITE_NAMES if suite not in suites)


def _opposite(side: Side) -> Side:
    return Side.PHONES if side is Side.PROVIDER else Side.PROVIDER
