"""A browser's media on loopback: STUN, DTLS by pyOpenSSL, SRTP by pylibsrtp, and its SDP; nothing of gateway/.

It behaves as Chromium toward an ICE-lite end: it is controlling, nominates with each check, and starts DTLS when a
check was answered. A thread is not needed: `connect` does one step after the other. Waits are bounded and name the
missing thing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import socket
import time
import zlib
from collections import deque
from datetime import UTC, datetime, timedelta
from struct import pack, unpack_from

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session  # noqa: TID251  (independent of gateway/rtp on purpose)

from tests.support.media_party import PROFILES as SRTP_PROFILES

WAIT_SECONDS = 5.0
QUIET_SECONDS = 0.2
MAGIC = b"\x21\x12\xa4\x42"
PROFILES = {
    b"SRTP_AEAD_AES_256_GCM": ("AEAD_AES_256_GCM", 32, 12),
    b"SRTP_AEAD_AES_128_GCM": ("AEAD_AES_128_GCM", 16, 12),
    b"SRTP_AES128_CM_SHA1_80": ("AES_CM_128_HMAC_SHA1_80", 16, 14),
}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def elliptic() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate_of(key: PrivateKey) -> x509.Certificate:
    name, now = x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    return builder.sign(key, hashes.SHA256())


def value(sdp: bytes, name: str) -> str:
    """The first a= line of that name; AssertionError where there is none."""
    found = re.search(rb"^a=%s(?::([^\r\n]*))?\r?$" % name.encode(), sdp, re.MULTILINE)
    assert found is not None, f"no a={name} in {sdp!r}"
    return (found[1] or b"").decode()


class Browser:
    """One page's only connection, at a numeric loopback address."""

    def __init__(
        self, address: str, key: PrivateKey | None = None, profiles: tuple[bytes, ...] = tuple(PROFILES)
    ) -> None:
        self.address = address
        self.own = self._bound()
        self.key = key or elliptic()
        self.certificate = certificate_of(self.key)
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.use_certificate(self.certificate)
        self.context.use_privatekey(self.key)
        self.context.set_options(SSL.OP_NO_QUERY_MTU)
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.set_tlsext_use_srtp(b":".join(profiles))
        self.ufrag, self.password = "", ""
        self.restart()
        self.target = ("", 0)
        self.far: dict[str, str] = {}
        self.dtls: SSL.Connection | None = None
        self.suite = ""
        self.sender: Session | None = None
        self.receiver: Session | None = None
        self.media: deque[bytes] = deque()
        self.answers_checks = True
        self.checks_answered = 0
        self.records_in = 0
        self.records_out = 0

    def _bound(self) -> socket.socket:
        own = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM)
        own.bind((self.address, 0))
        return own

    def close(self) -> None:
        self.own.close()

    def restart(self) -> None:
        """New ICE credentials."""
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(12)

    def move(self) -> None:
        """Be at another port from now on."""
        self.own.close()
        self.own = self._bound()

    def fingerprint(self, algorithm: str = "sha-256") -> str:
        digest = hashlib.new(algorithm.replace("-", ""), self.certificate.public_bytes(Encoding.DER))
        return f"{algorithm} {digest.digest().hex(':').upper()}"

    def sdp(
        self,
        setup: str = "actpass",
        *,
        fingerprint: str | None = None,
        direction: str = "sendrecv",
        video: bool = False,
        formats: str = "111 0 8 110",
    ) -> bytes:
        """As Chromium writes it, shortened."""
        common = [
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.password}",
            "a=ice-options:trickle",
            f"a=fingerprint:{fingerprint or self.fingerprint()}",
            f"a=setup:{setup}",
        ]
        lines = [
            "v=0",
            "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE 0{' 1' if video else ''}",
            "a=extmap-allow-mixed",
            "a=msid-semantic: WMS *",
            f"m=audio 9 UDP/TLS/RTP/SAVPF {formats}",
            "c=IN IP4 0.0.0.0",
            "a=rtcp:9 IN IP4 0.0.0.0",
            *common,
            "a=mid:0",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
            f"a={direction}",
            "a=msid:- 5b0c",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            "a=rtpmap:111 opus/48000/2",
            "a=rtcp-fb:111 transport-cc",
            "a=fmtp:111 minptime=10;useinbandfec=1",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:110 telephone-event/8000",
            "a=ssrc:4660 cname:k3",
        ]
        if video:
            lines += ["m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", *common, "a=mid:1", "a=rtcp-mux"]
            lines += ["a=rtpmap:96 VP8/90000", f"a={direction}"]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def hear(self, sdp: bytes) -> None:
        """Take the gateway's SDP: its only candidate and its credentials."""
        self.far = {name: value(sdp, name) for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup")}
        fields = value(sdp, "candidate").split()
        self.target = (fields[4], int(fields[5]))

    # -- ICE

    def request(self, *, password: str | None = None, user: str | None = None, nominate: bool = True) -> bytes:
        """A binding request."""
        body = _attribute(0x0006, (user or f"{self.far['ice-ufrag']}:{self.ufrag}").encode())
        body += _attribute(0xC057, bytes(4)) + _attribute(0x802A, secrets.token_bytes(8))
        if nominate:
            body += _attribute(0x0025, b"")
        body += _attribute(0x0024, pack("!I", 1_853_824_767))
        return sealed(0x0001, secrets.token_bytes(12), body, self.far["ice-pwd"] if password is None else password)

    def check(self, *, nominate: bool = True) -> tuple[str, int]:
        """One check, as often as needed; the address in its answer, whose integrity is looked at."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            request = self.request(nominate=nominate)
            self.own.sendto(request, self.target)
            answer = self._stun(request[8:20], 0.5)
            if answer is not None:
                self.checks_answered += 1
                return self.mapped(answer)
        raise AssertionError(f"no check was answered by {self.target}")

    def mapped(self, answer: bytes) -> tuple[str, int]:
        """XOR-MAPPED-ADDRESS of a success response; its integrity and fingerprint are right."""
        kind, length = unpack_from("!HH", answer)
        assert (kind, length) == (0x0101, len(answer) - 20)
        body = answer[20:-32]
        assert sealed(kind, answer[8:20], body, self.far["ice-pwd"]) == answer
        while body[:2] != b"\x00\x20":  # others' SOFTWARE is before it
            body = body[4 + (unpack_from("!H", body, 2)[0] + 3 & ~3) :]
        assert unpack_from("!HH", body) == (0x0020, 8 if "." in self.address else 20)
        port = unpack_from("!H", body, 6)[0] ^ 0x2112
        raw = bytes(one ^ other for one, other in zip(body[8:], MAGIC + answer[8:20], strict=False))
        return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), port

    def reply(self, packet: bytes) -> bytes:
        """The answer to a check of the gateway's, which has to know our password."""
        body = packet[20:-32]
        assert sealed(0x0001, packet[8:20], body, self.password) == packet
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        raw = socket.inet_pton(family, self.target[0])
        mixed = bytes(one ^ other for one, other in zip(raw, MAGIC + packet[8:20], strict=False))
        mapped = _attribute(0x0020, pack("!BBH", 0, 2 if ":" in self.target[0] else 1, self.target[1] ^ 0x2112) + mixed)
        return sealed(0x0101, packet[8:20], mapped, self.password)

    def _stun(self, transaction: bytes, seconds: float) -> bytes | None:
        deadline = time.monotonic() + seconds
        while (packet := self._packet(deadline)) is not None:
            if packet[0] < 4 and packet[8:20] == transaction:
                return packet
            self._sort(packet)
        return None

    def _packet(self, deadline: float) -> bytes | None:
        self.own.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            return self.own.recv(4_096)
        except TimeoutError:
            return None

    def _sort(self, packet: bytes) -> None:
        """Keep media, give DTLS its records, and answer checks: of an end that is not lite, or wants a proof."""
        if packet[:2] == b"\x00\x01" and self.answers_checks:
            self.own.sendto(self.reply(packet), self.target)
        if packet[0] >= 128:
            self.media.append(packet)
        elif 20 <= packet[0] < 64 and self.dtls is not None:
            self.records_in += 1
            assert len(packet) <= 1_200
            self.dtls.bio_write(packet)

    # -- DTLS

    def shake(self, *, is_client: bool | None = None, seconds: float = WAIT_SECONDS) -> None:
        """A handshake to its end, as client unless we said `passive`; SRTP from then on."""
        client = self.far["setup"] != "active" if is_client is None else is_client
        self.dtls = SSL.Connection(self.context, None)
        self.dtls.set_ciphertext_mtu(1_200)
        if client:
            self.dtls.set_connect_state()
        else:
            self.dtls.set_accept_state()
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.dtls.do_handshake()
                break
            except SSL.WantReadError:
                self._flush()
            packet = self._packet(min(deadline, time.monotonic() + 0.3))
            if packet is not None:
                self._sort(packet)
            elif time.monotonic() > deadline:
                raise AssertionError(f"the handshake with {self.target} did not end")
            else:
                self.dtls.DTLSv1_handle_timeout()
        self._flush()
        self._agree(self.dtls, is_client=client)

    def _agree(self, dtls: SSL.Connection, *, is_client: bool) -> None:
        certificate = dtls.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest().hex(":").upper()
        assert self.far["fingerprint"] == f"sha-256 {digest}", "the gateway's certificate is not the one of its SDP"
        self.suite, key, salt = PROFILES[dtls.get_selected_srtp_profile()]
        data = dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        keys = [data[:key] + data[2 * key :][:salt], data[key : 2 * key] + data[2 * key + salt :]]
        ours, theirs = keys if is_client else keys[::-1]
        profile = SRTP_PROFILES[self.suite]
        self.sender = Session(Policy(ours, Policy.SSRC_ANY_OUTBOUND, 0, profile))
        self.receiver = Session(Policy(theirs, Policy.SSRC_ANY_INBOUND, 0, profile))

    def _flush(self) -> None:
        assert self.dtls is not None
        flight = b""
        for record in [*self.written(), b""]:  # a flight in as few datagrams as can be, as a browser sends it
            if flight and (not record or len(flight) + len(record) > 1_200):
                self.records_out += 1
                self.own.sendto(flight, self.target)
                flight = b""
            flight += record

    def written(self) -> list[bytes]:
        """Records that DTLS has written, each to be a datagram."""
        assert self.dtls is not None
        data = b""
        while True:
            try:
                data += self.dtls.bio_read(65_536)
            except SSL.WantReadError:
                break
        found = []
        while data:
            end = 13 + int.from_bytes(data[11:13], "big")
            found.append(data[:end])
            data = data[end:]
        return found

    def goodbye(self) -> None:
        """close_notify."""
        assert self.dtls is not None
        self.dtls.shutdown()
        self._flush()

    # -- media

    def connect(self, sdp: bytes) -> None:
        """Take the gateway's SDP, check, and shake hands."""
        self.hear(sdp)
        assert self.check() == self.own.getsockname()[:2]
        self.shake()

    def send(self, packet: bytes) -> bytes:
        assert self.sender is not None
        wire = self.sender.protect(packet)
        self.own.sendto(wire, self.target)
        return wire

    def send_control(self, packet: bytes) -> None:
        assert self.sender is not None
        self.own.sendto(self.sender.protect_rtcp(packet), self.target)

    def receive_wire(self, seconds: float = WAIT_SECONDS) -> bytes:
        deadline = time.monotonic() + seconds
        while not self.media:
            packet = self._packet(deadline)
            if packet is None:
                raise AssertionError(f"nothing came to the browser at {self.own.getsockname()}")
            self._sort(packet)
        return self.media.popleft()

    def receive(self) -> bytes:
        """The next RTP packet, in clear."""
        assert self.receiver is not None
        return self.receiver.unprotect(self.receive_wire())

    def receive_control(self) -> bytes:
        assert self.receiver is not None
        return self.receiver.unprotect_rtcp(self.receive_wire())

    def opens(self, wire: bytes) -> bytes | None:
        assert self.receiver is not None
        try:
            return self.receiver.unprotect(wire)
        except Error:
            return None

    def hears_nothing(self, seconds: float = QUIET_SECONDS) -> bool:
        """Whether no media comes for a moment."""
        try:
            self.media.append(self.receive_wire(seconds))
        except AssertionError:
            return True
        return False


def _attribute(kind: int, data: bytes) -> bytes:
    return pack("!HH", kind, len(data)) + data + bytes(-len(data) % 4)


def sealed(kind: int, transaction: bytes, body: bytes, password: str) -> bytes:
    """A STUN message with MESSAGE-INTEGRITY and FINGERPRINT (RFC 8489)."""
    head = pack("!HH", kind, len(body) + 24) + MAGIC + transaction + body
    whole = head + _attribute(0x0008, hmac.digest(password.encode(), head, "sha1"))
    whole = whole[:2] + pack("!H", len(whole) - 12) + whole[4:]
    return whole + _attribute(0x8028, pack("!I", zlib.crc32(whole) ^ 0x5354554E))
