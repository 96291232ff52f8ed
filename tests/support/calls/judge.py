"""Judges a capture: is the provider's side TLS and SRTP only, and is the phone's side free of the provider's secrets?

Never asks a program about itself. The provider's side is everything that touches an address over there, and
everything at a port of the gateway that stands in an SDP the provider saw. Everything else the gateway sent or got is
the phone's side. Datagrams over there must open with the keys both SDPs agreed on (RFC 3711, by libsrtp), and
streams must be TLS records from the first byte to the last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import attrs
from pylibsrtp import Error as SrtpError  # noqa: TID251  (not through the code that is judged)
from pylibsrtp import Policy, Session  # noqa: TID251

from tests.support.calls.audio import decode_g711
from tests.support.calls.pcap import ICMP, TCP, UDP, Endpoint, Packet, tcp_streams
from tests.support.calls.wire import Agreed

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
TLS_RECORD_TYPES = range(20, 25)  # change cipher spec, alert, handshake, application data, heartbeat


@attrs.frozen
class Sides:
    """Which addresses and ports belong to whom."""

    gateway: str
    provider: tuple[str, ...]  # addresses: the proxy, and the far ends' own
    provider_media: frozenset[int]  # the gateway's ports named in an SDP toward the provider, RTP and RTCP
    inside: frozenset[int] = frozenset()  # ports of the gateway's own servants (rtpengine's control)
    clear_rtcp: frozenset[str] = frozenset()  # addresses of far ends known to send RTCP in clear beside SRTP
    secure_phones: frozenset[str] = frozenset()  # addresses of phones that speak TLS and SRTP themselves
    stun: frozenset[str] = frozenset()  # addresses of far ends known to send STUN requests that say nothing beside SRTP
    admin: int = 0  # the gateway's port that tests, which come from any address, ask over HTTP

    def is_provider_side(self, packet: Packet) -> bool:
        ends = (packet.source, packet.destination)
        return any(
            end.address in self.provider or (end.address == self.gateway and end.port in self.provider_media)
            for end in ends
        )

    def is_phone_side(self, packet: Packet) -> bool:
        ends = (packet.source, packet.destination)
        touches = any(end.address == self.gateway for end in ends)
        inside = any(end.address == self.gateway and end.port in self.inside for end in ends)
        return touches and not inside and not self.is_provider_side(packet) and not self.is_secure_phone_side(packet)

    def is_secure_phone_side(self, packet: Packet) -> bool:
        ends = (packet.source, packet.destination)
        if self.is_provider_side(packet) or not any(end.address in self.secure_phones for end in ends):
            return False
        return any(end.address == self.gateway and end.port != self.admin for end in ends)


@attrs.frozen
class Verdict:
    """What a judge found: the objections, and the audio in clear by who sent it."""

    objections: tuple[str, ...]
    audio: dict[Endpoint, list[int]] = attrs.field(repr=False)  # sender -> samples
    packets: int  # media packets that were right

    def assert_clean(self) -> None:
        shown = "\n".join(self.objections[:20])
        assert not self.objections, f"{len(self.objections)} objections:\n{shown}"


def judge_provider_side(packets: Iterable[Packet], sides: Sides, agreed: Collection[Agreed]) -> Verdict:
    """Nothing but TLS, and SRTP that opens with the agreed keys."""
    return _judge_encrypted([packet for packet in packets if sides.is_provider_side(packet)], sides, agreed)


def judge_secure_phones(packets: Iterable[Packet], sides: Sides, agreed: Collection[Agreed]) -> Verdict:
    """The same between the gateway and phones that speak TLS and SRTP themselves."""
    return _judge_encrypted([packet for packet in packets if sides.is_secure_phone_side(packet)], sides, agreed)


def _judge_encrypted(there: list[Packet], sides: Sides, agreed: Collection[Agreed]) -> Verdict:
    opener = _Opener(agreed, sides)
    objections = [f"neither TCP nor UDP: {packet}" for packet in there if packet.protocol not in (TCP, UDP, ICMP)]
    objections += not_tls(there)
    for packet in there:
        if packet.protocol == UDP:
            objections += opener.open(packet)
    if not any(packet.protocol == TCP and packet.payload for packet in there):
        objections.append("no TLS at all")
    return Verdict(tuple(objections), opener.audio, opener.opened)


def judge_phone_side(packets: Iterable[Packet], sides: Sides, secrets: Collection[bytes]) -> Verdict:
    """RTP in clear, and no sign of a key, a password or an SRTP offer in any packet."""
    here = [packet for packet in packets if sides.is_phone_side(packet)]
    objections = [f"{what} in {packet}" for packet in here for what in _betrayals(packet.payload, secrets)]
    objections += [
        f"{what} in the stream {source} > {destination}"
        for (source, destination, _), stream in tcp_streams(here).items()
        for what in _betrayals(stream, secrets)
    ]
    audio: dict[Endpoint, list[int]] = {}
    clear = [packet for packet in here if packet.protocol == UDP and is_rtp(packet.payload)]
    for packet in clear:
        audio.setdefault(packet.source, []).extend(rtp_samples(packet.payload))
    return Verdict(tuple(objections), audio, len(clear))


def not_tls(packets: Iterable[Packet]) -> Iterator[str]:
    """An objection for every TCP stream that is not TLS records all along (RFC 8446 section 5.1)."""
    for (source, destination, _), stream in tcp_streams(packets).items():
        at = 0
        while at < len(stream):
            if stream[at] not in TLS_RECORD_TYPES or stream[at + 1 : at + 2] not in (b"\x03", b""):
                yield f"not TLS: {source} > {destination} at byte {at}: {stream[at : at + 24]!r}"
                break
            at += 5 + int.from_bytes(stream[at + 3 : at + 5], "big")


def is_rtp(payload: bytes) -> bool:
    return len(payload) >= 12 and payload[0] >> 6 == 2 and not is_rtcp(payload)


def is_rtcp(payload: bytes) -> bool:
    """RFC 5761 section 4: payload types 64-95 with the marker are RTCP."""
    return len(payload) >= 8 and payload[0] >> 6 == 2 and 192 <= payload[1] <= 223


def is_empty_stun(payload: bytes) -> bool:
    """A binding request without attributes: sent only to open a way for the answers (RFC 8489 section 5)."""
    return len(payload) == 20 and payload[:8] == b"\x00\x01\x00\x00\x21\x12\xa4\x42"


def rtp_samples(packet: bytes) -> list[int]:
    """The G.711 audio of one RTP packet in clear."""
    header = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        header += 4 + 4 * int.from_bytes(packet[header + 2 : header + 4], "big")
    return decode_g711(packet[header:], packet[1] & 0x7F)


def _betrayals(payload: bytes, secrets: Collection[bytes]) -> Iterator[str]:
    for sign in (b"a=crypto", b"inline:", b"RTP/SAVP"):
        if sign in payload:
            yield sign.decode()
    if any(secret in payload for secret in secrets):
        yield "a secret of the provider's side"


class _Opener:
    """Opens SRTP and SRTCP with the agreed keys; each sending socket keeps the session that opened its first packet."""

    def __init__(self, agreed: Collection[Agreed], sides: Sides) -> None:
        self._agreed = agreed
        self._gateway = sides.gateway
        self._clear_rtcp = sides.clear_rtcp - {sides.gateway}
        self._stun = sides.stun - {sides.gateway}
        self._sessions: dict[tuple[Endpoint, Agreed], Session] = {}
        self.audio: dict[Endpoint, list[int]] = {}
        self.opened = 0

    def open(self, packet: Packet) -> list[str]:
        """The objections to one datagram."""
        if is_empty_stun(packet.payload) and packet.source.address in self._stun:
            return []
        control = is_rtcp(packet.payload)
        if not control and not is_rtp(packet.payload):
            return [f"neither SRTP nor SRTCP: {packet}"]
        for agreed in self._keys_of(packet.source):
            clear = self._unprotect(packet, agreed, control)
            if clear is not None:
                self.opened += not control
                if not control:
                    self.audio.setdefault(packet.source, []).extend(rtp_samples(clear))
                return []
        if control and packet.source.address in self._clear_rtcp:
            return []
        return [f"opens with no agreed key: {packet}"]

    def _keys_of(self, source: Endpoint) -> list[Agreed]:
        """The keys this sender may use: the gateway's own, or the other side's (whose packets may leave from an
        address which is not the one in its SDP)."""
        from_gateway = source.address == self._gateway
        return [agreed for agreed in self._agreed if (agreed.address == self._gateway) == from_gateway]

    def _unprotect(self, packet: Packet, agreed: Agreed, control: bool) -> bytes | None:
        session = self._sessions.get((packet.source, agreed))
        if session is None:
            profile = PROFILES[agreed.suite]
            policy = Policy(key=agreed.key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
            session = self._sessions[packet.source, agreed] = Session(policy)
        try:
            return session.unprotect_rtcp(packet.payload) if control else session.unprotect(packet.payload)
        except SrtpError:
            return None
