"""The lines that the relay reads in an SDP, those that it writes, and those that it removes.

Read: where a party wants its packets, and the kind of each m-line. Written: our address and ports, the profile, our
keys; everything that would lead media or keys past the relay is removed (ICE, DTLS, MIKEY, k=, bundles). The rest of a
description passes as it is. Not here: which line belongs to which stream (media_call).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

import attrs

from gateway.media.worker.streams.latch import SocketAddress
from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.description import Description, Media, Origin, Part, address_type
from gateway.sdp.dtls import is_dtls_profile
from gateway.sdp.negotiation import crypto_lines, plain_profile, secured_profile

_REMOVED: Final = frozenset(
    "candidate remote-candidates end-of-candidates ice-ufrag ice-pwd ice-options ice-lite ice-mismatch ice-pacing "
    "fingerprint setup tls-id connection dtls-id rtcp-mux rtcp-mux-only bundle-only group mid msid-semantic "
    "crypto key-mgmt zrtp-hash encryption rtcp acap pcfg acfg tcap csup creq".split()
)
_NAMELESS: Final = ("s", "-")
_UNTOLD: Final = frozenset("kiuep")
"""Keys in clear, and the offerer's description of the session and its contacts, which tell its make (RFC 8866 sections
5.3 to 5.6)."""
_STATIC_NAMES: Final = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "18": "G729"}
"""Payload types that need no a=rtpmap (RFC 3551 section 6)."""


class Profile(Enum):
    """The kind of an m-line, by its protocol and keys."""

    PLAIN = "RTP/AVP"
    SAVP = "RTP/SAVP"
    OSRTP = "RTP/AVP with keys"
    DTLS = "UDP/TLS/RTP/SAVPF"
    """A browser's (web_lines)."""
    OTHER = "not RTP"
    """udptl and the like: relayed as they are."""
    UNUSABLE = "unusable"
    """TCP, SAVP without a usable key, DTLS that is not usable: refused."""


@attrs.frozen
class Secured:
    """How an m-line is written: its profile, and the keys in it."""

    profile: Profile
    keys: tuple[CryptoAttribute, ...] = ()


@attrs.frozen
class Codec:
    """An encoding's name in capitals and the rate of its clock, in Hz."""

    name: str
    clock_rate: int


DEFAULT_CODEC: Final = Codec("", 8_000)


def profile_of(media: Media, keys: Sequence[CryptoAttribute]) -> Profile:
    """`keys` are the usable ones of the m-line."""
    protocol = media.protocol.upper()
    if media.is_secure:
        return Profile.SAVP if keys else Profile.UNUSABLE
    if protocol in ("RTP/AVP", "RTP/AVPF"):
        return Profile.OSRTP if keys else Profile.PLAIN
    is_datagram = protocol == "UDPTL" or (protocol.startswith("UDP/") and not media.is_rtp)
    return Profile.OTHER if is_datagram and "TLS" not in protocol else Profile.UNUSABLE


def addresses(description: Description, media: Media, family: int) -> tuple[SocketAddress | None, SocketAddress | None]:
    """Where RTP and RTCP are to go; None when not known: c=0.0.0.0, a name, or another IP version than `family`."""
    return addresses_at(description.connection_of(media) or "", media.port, media.attribute("rtcp") or "", family)


def addresses_at(
    host: str, media_port: int, control: str, family: int
) -> tuple[SocketAddress | None, SocketAddress | None]:
    """The same of a host and port, and of the value of a=rtcp (RFC 3605), empty without one."""
    reachable = _reachable(host, family)
    if reachable is None or media_port == 0:
        return None, None
    port, control_host, fields = media_port + 1, reachable, control.split()
    if fields and fields[0].isascii() and fields[0].isdigit() and 0 < int(fields[0][:6]) < 65_536:
        port = int(fields[0][:6])
        control_host = (_reachable(fields[3], family) if len(fields) == 4 else None) or reachable
    return (reachable, media_port), (control_host, min(port, 65_535))


def codec_of(media: Media) -> Codec:
    """Of the first format."""
    first = media.formats[:1]
    for value in media.attributes_named("rtpmap"):
        number, _, encoding = value.partition(" ")
        name, _, rate = encoding.partition("/")
        rate = rate.partition("/")[0]
        if first == [number] and rate.isascii() and rate.isdigit():
            return Codec(name.strip().upper(), int(rate[:7]) or DEFAULT_CODEC.clock_rate)
    return Codec(_STATIC_NAMES.get(first[0], ""), DEFAULT_CODEC.clock_rate) if first else DEFAULT_CODEC


def session_for(source: Description, address: str) -> Description:
    """The session part of `source`, as if it came from us; its origin is yet to be set."""
    lines = [_NAMELESS if line[0] == "s" else line for line in source.lines if line[0] not in _UNTOLD]
    result = Description(attributes=_kept(source), lines=lines)
    result.connection = address
    return result


def media_for(
    source: Media, port: int, secured: Secured, protocol: str | None = None, former: str | None = None
) -> Media:
    """The m-line of `source` at our port.

    `protocol` overrides the profile, for an answer that mirrors its offer; `former` is the profile that an offer's line
    had so far.
    """
    written = protocol or protocol_for(source, secured.profile, former or "")
    result = Media(
        source.kind,
        port,
        written,
        source.formats.copy(),
        inherited_direction=source.inherited_direction,
        attributes=_kept(source) if has_feedback(written) else _without_feedback(_kept(source)),
        lines=[line for line in source.lines if line[0] not in "ck"],
    )
    if is_unspecified(source.connection):
        result.connection = source.connection
    if source.is_rtp:
        result.add_attribute("rtcp", str(port + 1))
    for key in secured.keys:
        result.add_attribute("crypto", str(key))
    return result


def hold_addresses(source: Description, result: Description, family: int) -> None:
    """Keep a hold of the old kind (RFC 3264 section 8.4): c=0.0.0.0, in the IP version of the reader. That of the
    session holds nothing where each m-line has its own."""
    nowhere = "::" if family == 6 else "0.0.0.0"  # noqa: S104  (written, not bound)
    if is_unspecified(source.connection) and any(media.port and not media.connection for media in source.media):
        result.connection = nowhere
    for media in result.media:
        if is_unspecified(media.connection):
            media.connection = nowhere


def refused(kind: str, protocol: str, formats: Sequence[str]) -> Media:
    """An m-line with port 0 (RFC 3264 section 6)."""
    return Media(kind, 0, protocol, list(formats) or ["0"])


def accepts_multiplexing(media: Media) -> bool:
    return media.has_attribute("rtcp-mux")


def multiplex(media: Media) -> None:
    """Say that RTCP may come on the RTP port (RFC 5761 section 5.1.1)."""
    media.remove_attribute("rtcp")
    media.add_attribute("rtcp", str(media.port))
    media.add_attribute("rtcp-mux")


def origin_for(session: int, version: int, address: str) -> Origin:
    return Origin("-", str(session), str(version), address_type(address), address)


def _kept(part: Part) -> list[tuple[str, str | None]]:
    """Its attributes that may pass."""
    return [item for item in part.attributes if item[0].lower() not in _REMOVED]


def protocol_for(source: Media, profile: Profile, former: str) -> str:
    """The profile that the m-line of `source` is written with, to a party whose line had `former` so far."""
    protocol = _without_dtls(source.protocol)
    if source.kind == "audio" and source.is_rtp:
        protocol = _audio_protocol(protocol, former)
    match profile:
        case Profile.SAVP:
            return secured_profile(protocol)
        case Profile.PLAIN | Profile.OSRTP:
            return plain_profile(protocol)
        case Profile.DTLS:
            return Profile.DTLS.value
        case _:
            return protocol


def _audio_protocol(protocol: str, former: str) -> str:
    """Audio is offered with RTCP feedback (RFC 4585) to a party that wrote that first: most providers and phones refuse
    RTP/AVPF and RTP/SAVPF, and of audio there is little to feed back. Video cannot do without."""
    plain = protocol[:-1] if has_feedback(protocol) else protocol
    return f"{plain}F" if has_feedback(former) else plain


def _without_dtls(protocol: str) -> str:
    """UDP/TLS/RTP/SAVPF -> RTP/SAVPF; anything else stays."""
    return protocol[8:] if is_dtls_profile(protocol) else protocol


def has_feedback(protocol: str) -> bool:
    """Whether a profile has RTCP feedback (RFC 4585), but DTLS's."""
    return protocol.upper() in ("RTP/AVPF", "RTP/SAVPF")


def _without_feedback(attributes: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    return [item for item in attributes if item[0].lower() != "rtcp-fb"]


def is_unspecified(host: str | None) -> bool:
    """Whether a c= address means hold (RFC 3264 section 8.4)."""
    return host in ("0.0.0.0", "::")  # noqa: S104  (read, not bound)


@lru_cache(maxsize=1_024)
def numeric_host(written: str) -> str:
    """An address as sources of packets are written; empty for anything else."""
    try:
        address = ipaddress.ip_address(written.strip("[]"))
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


@lru_cache(maxsize=1_024)
def _reachable(host: str, family: int) -> str | None:
    """As sources of packets are written, or None when nothing can be sent there from an address of that family. A zone
    means something on its writer's host alone (RFC 4007 section 6)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    is_usable = (
        not address.is_unspecified and not address.is_multicast and address.version == family and "%" not in host
    )
    return str(address) if is_usable else None


def alternates(medias: Sequence[Media]) -> set[int]:
    """Indexes of RTP/AVP lines that stand beside an RTP/SAVP line for the same media: the secure one is taken."""
    found: set[int] = set()
    for index in range(len(medias) - 1):
        one, other = medias[index], medias[index + 1]
        if index in found or one.kind != other.kind or not (one.port and other.port):
            continue
        for here, there, place in ((one, other, index + 1), (other, one, index)):
            if profile_of(here, crypto_lines(here)) is Profile.SAVP and not there.is_secure and there.is_rtp:
                found.add(place)
    return found
