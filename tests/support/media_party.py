"""A party of a call on loopback: sockets, SDP and SRTP of its own.

It uses pylibsrtp's public classes, not gateway/rtp, so that a mistake there cannot hide itself. Everything waits at
most WAIT_SECONDS and fails with the name of the missing thing.
"""

from __future__ import annotations

import re
import secrets
import socket
from base64 import b64decode, b64encode

from pylibsrtp import Error, Policy, Session  # noqa: TID251  (independent of gateway/rtp on purpose)

WAIT_SECONDS = 2.0
QUIET_SECONDS = 0.15
KEY_BYTES = {
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
PROFILES = {
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
SUITES = tuple(PROFILES)

Crypto = tuple[int, str, bytes]


def cryptos(sdp: bytes) -> list[Crypto]:
    """(tag, suite, key) of every a=crypto line."""
    found = re.findall(rb"a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/]+)", sdp)
    return [(int(tag), suite.decode(), b64decode(key + b"=" * (-len(key) % 4))) for tag, suite, key in found]


def media_lines(sdp: bytes) -> list[tuple[str, int, str]]:
    """(kind, port, profile) of every m-line."""
    return [(k.decode(), int(p), f.decode()) for k, p, f in re.findall(rb"m=(\S+) (\d+) (\S+)", sdp)]


def rtp(sequence: int, payload: bytes = b"\xd5" * 160, ssrc: int = 0x1234, kind: int = 0) -> bytes:
    """An RTP packet of 20 ms."""
    stamp = sequence * 160 & 0xFFFFFFFF
    return (
        bytes([0x80, kind]) + sequence.to_bytes(2, "big") + stamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big") + payload
    )


def rtcp(ssrc: int = 0x1234, kind: int = 200) -> bytes:
    """A sender report without report blocks."""
    return bytes([0x80, kind, 0, 6]) + ssrc.to_bytes(4, "big") + bytes(20)


def queued(own: socket.socket) -> list[bytes]:
    """All that has come to a socket and was not read; it does not wait for more from then on."""
    own.setblocking(False)
    found = []
    while True:
        try:
            found.append(own.recv(4_096))
        except BlockingIOError:
            return found


class Party:
    """Speaks RTP, or SRTP once `hear` was given the relay's SDP with a key."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.rtp, self.rtcp = _pair(address)
        self.port: int = self.rtp.getsockname()[1]
        self.keys: dict[str, bytes] = {}
        self.agreed: Crypto | None = None
        """The line of ours that was taken, by tag and suite."""
        self.target = self.control_target = ("", 0)
        self.sender: Session | None = None
        self.receiver: Session | None = None

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()

    def sdp(
        self,
        profile: str = "RTP/AVP",
        crypto: list[Crypto] | None = None,
        *,
        address: str | None = None,
        more: tuple[str, ...] = (),
        port: int | None = None,
    ) -> bytes:
        """One audio m-line."""
        lines = [
            "v=0",
            f"o=- 7 1 IN {_version(self.address)} {self.address}",
            "s=-",
            f"c=IN {_version(self.address)} {address or self.address}",
            "t=0 0",
            f"m=audio {self.port if port is None else port} {profile} 0 101",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            *more,
        ]
        lines += [f"a=crypto:{tag} {suite} inline:{b64encode(key).decode()}" for tag, suite, key in crypto or []]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def key(self, suite: str) -> bytes:
        """Ours for that suite, the same as long as we live."""
        return self.keys.setdefault(suite, secrets.token_bytes(KEY_BYTES[suite]))

    def answer(self, offer: bytes, suite: str | None = None, **how: object) -> bytes:
        """Answer with the same profile, taking `suite` (else plain RTP), and begin to use it."""
        profile = media_lines(offer)[0][2]
        self.aim(offer)
        if suite is None:
            return self.sdp(profile, **how)  # type: ignore[arg-type]
        tag, _, theirs = next(line for line in cryptos(offer) if line[1] == suite)
        self.agree(suite, theirs)
        return self.sdp(profile, [(tag, suite, self.key(suite))], **how)  # type: ignore[arg-type]

    def hear_answer(self, answer: bytes) -> None:
        """Take the relay's answer to an offer of ours."""
        self.aim(answer)
        for _, suite, theirs in cryptos(answer):
            self.agree(suite, theirs)

    def aim(self, sdp: bytes) -> None:
        """Send where the relay says."""
        address = re.search(rb"c=IN IP[46] (\S+)", sdp)
        assert address is not None
        port = media_lines(sdp)[0][1]
        control = re.search(rb"a=rtcp:(\d+)", sdp)
        self.target = (address[1].decode(), port)
        self.control_target = (address[1].decode(), int(control[1]) if control else port + 1)

    def agree(self, suite: str, theirs: bytes) -> None:
        """Use SRTP from now on."""
        self.sender = Session(Policy(self.key(suite), Policy.SSRC_ANY_OUTBOUND, 0, PROFILES[suite]))
        self.receiver = Session(Policy(theirs, Policy.SSRC_ANY_INBOUND, 0, PROFILES[suite]))

    def send(self, packet: bytes) -> bytes:
        """Send RTP, protected when agreed; returns what went over the wire."""
        wire = self.sender.protect(packet) if self.sender is not None else packet
        self.rtp.sendto(wire, self.target)
        return wire

    def send_control(self, packet: bytes) -> bytes:
        wire = self.sender.protect_rtcp(packet) if self.sender is not None else packet
        own = self.rtp if self.control_target == self.target else self.rtcp
        own.sendto(wire, self.control_target)
        return wire

    def receive(self) -> bytes:
        """The next RTP packet, in clear."""
        wire = self.receive_wire()
        return self.receiver.unprotect(wire) if self.receiver is not None else wire

    def receive_wire(self, own: socket.socket | None = None, seconds: float = WAIT_SECONDS) -> bytes:
        own = own or self.rtp
        own.settimeout(seconds)
        try:
            return own.recv(4_096)
        except TimeoutError:
            raise AssertionError(f"nothing came to {own.getsockname()}") from None

    def receive_control(self) -> bytes:
        wire = self.receive_wire(self.rtp if self.control_target == self.target else self.rtcp)
        return self.receiver.unprotect_rtcp(wire) if self.receiver is not None else wire

    def hears_nothing(self) -> bool:
        """Whether nothing comes for a moment."""
        for own in (self.rtp, self.rtcp):
            own.settimeout(QUIET_SECONDS)
            try:
                own.recv(4_096)
            except TimeoutError:
                continue
            return False
        return True

    def drain(self, own: socket.socket) -> list[bytes]:
        """What is queued now, as it came."""
        return queued(own)

    def opens(self, wire: bytes) -> bytes | None:
        """The packet in clear, or None when it is no SRTP of ours."""
        assert self.receiver is not None
        try:
            return self.receiver.unprotect(wire)
        except Error:
            return None


def _version(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


def _pair(address: str) -> tuple[socket.socket, socket.socket]:
    """An even port and the odd one above it."""
    while True:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        first, second = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        for one in (first, second):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        first.bind((address, 0))
        port = first.getsockname()[1]
        try:
            if port % 2 == 0:
                second.bind((address, port + 1))
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
