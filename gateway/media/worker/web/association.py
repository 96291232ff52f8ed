"""One DTLS association: datagrams in, datagrams out, and SRTP keys when it is up (RFC 5764, RFC 6347).

    take(datagram) --> datagrams to send; outcome: WAITING -> UP (agreed: keys and the peer's certificate)
                                                          `--> FAILED         UP -> CLOSED

The peer has to show a certificate, which anybody can make: nothing is verified here, and no key may be used before the
certificate matches the SDP's fingerprint (RFC 5763 section 5), which is its user's part (web_end). OpenSSL does the
protocol; a call of it takes up to a millisecond, so that a thread of its own has all associations (handshakes).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from gateway.media.worker.web.dtls_keys import DtlsKeys, DtlsOutcome
from gateway.sdp.dtls import Fingerprint

MOST_DATAGRAM_BYTES: Final = 1_200
"""Of one that we send: it passes tunnels, and is never cut by IP."""
CERTIFICATE_DAYS: Final = 3_650
"""A worker lives as long as its calls, and peers look at the fingerprint alone."""

_DTLS_1_2: Final = 0xFEFD
_EXTRACTOR: Final = b"EXTRACTOR-dtls_srtp"
_RECORD_BYTES: Final = 13
_PIECE_BYTES: Final = 16_384
"""More than a flight of ours has."""
_PROFILES: Final = {
    b"SRTP_AEAD_AES_256_GCM": ("AEAD_AES_256_GCM", 32, 12),
    b"SRTP_AEAD_AES_128_GCM": ("AEAD_AES_128_GCM", 16, 12),
    b"SRTP_AES128_CM_SHA1_80": ("AES_CM_128_HMAC_SHA1_80", 16, 14),
}
"""Of SRTP (RFC 5764 section 4.1.2, RFC 7714 section 14.2), best first: the suite, bytes of key and salt. Tags of 32
bits are not among them: nobody has to have them."""
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_WEAK: Final = frozenset({66, 67, 68})
"""X509_V_ERR_EE_KEY_TOO_SMALL, _CA_KEY_TOO_SMALL, _CA_MD_TOO_WEAK (openssl/x509_vfy.h)."""


class DtlsIdentity:
    """A certificate and its key (ECDSA P-256), made anew, and the terms of all handshakes under it."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key)
        self.fingerprint = str(Fingerprint.of(certificate.public_bytes(Encoding.DER)))
        """The value of a=fingerprint."""
        self.context = context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _is_strong)
        context.set_tlsext_use_srtp(b":".join(_PROFILES))
        context.set_cipher_list(_CIPHERS)


class Association:
    """A handshake and the little that follows it. An active one begins with `start`."""

    def __init__(self, identity: DtlsIdentity, *, is_active: bool) -> None:
        self.outcome = DtlsOutcome.WAITING
        self.agreed: DtlsKeys | None = None
        self._is_active = is_active
        self._connection = SSL.Connection(identity.context, None)
        self._connection.set_ciphertext_mtu(MOST_DATAGRAM_BYTES)
        if is_active:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def start(self) -> list[bytes]:
        """The datagrams of the first flight of an active one."""
        self._proceed()
        return self._written()

    def take(self, datagram: bytes) -> list[bytes]:
        """Datagrams to send, after one that came."""
        if self.outcome in (DtlsOutcome.WAITING, DtlsOutcome.UP):
            self._connection.bio_write(datagram)
            self._proceed()
        return self._written()

    def timeout(self) -> float | None:
        """Seconds until `time_passed` is due; None while nothing is waited for."""
        return self._connection.DTLSv1_get_timeout() if self.outcome is DtlsOutcome.WAITING else None

    def time_passed(self) -> list[bytes]:
        """Datagrams to send again."""
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self.outcome = DtlsOutcome.FAILED
        return self._written()

    def _proceed(self) -> None:
        try:
            if self.outcome is DtlsOutcome.WAITING:
                self._connection.do_handshake()
                self.agreed = self._result()
                self.outcome = DtlsOutcome.UP if self.agreed is not None else DtlsOutcome.FAILED
            while self.outcome is DtlsOutcome.UP:
                self._connection.recv(MOST_DATAGRAM_BYTES)  # data in DTLS are for nobody here
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.outcome = DtlsOutcome.CLOSED
        except SSL.Error:
            # After the handshake a fatal alert ends it, too. A forged record never gets so far: it is dropped silently
            # (RFC 6347 section 4.1.2.7).
            self.outcome = DtlsOutcome.FAILED if self.outcome is DtlsOutcome.WAITING else DtlsOutcome.CLOSED

    def _result(self) -> DtlsKeys | None:
        """None where the peer takes none of our SRTP profiles."""
        connection = self._connection
        profile = _PROFILES.get(connection.get_selected_srtp_profile())
        certificate = connection.get_peer_certificate()
        if profile is None or certificate is None:
            return None
        suite, key, salt = profile
        material = connection.export_keying_material(_EXTRACTOR, 2 * (key + salt))
        # RFC 5764 section 4.2: client's key, server's key, client's salt, server's salt.
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        theirs, ours = (server, client) if self._is_active else (client, server)
        return DtlsKeys(suite, theirs, ours, crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))

    def _written(self) -> list[bytes]:
        """All that OpenSSL has written: a memory BIO gives several records of several datagrams in one piece, and the
        rest of a full piece in the next."""
        found, is_full = b"", True
        while is_full:
            try:
                piece = self._connection.bio_read(_PIECE_BYTES)
            except SSL.WantReadError:
                break
            found, is_full = found + piece, len(piece) == _PIECE_BYTES
        return list(_datagrams(found))


def _datagrams(records: bytes) -> Iterator[bytes]:
    """Whole records together in datagrams of MOST_DATAGRAM_BYTES at most, but for a record that is longer itself."""
    start = at = 0
    while at + _RECORD_BYTES <= len(records):
        end = at + _RECORD_BYTES + int.from_bytes(records[at + 11 : at + 13], "big")
        if end - start > MOST_DATAGRAM_BYTES and at > start:
            yield records[start:at]
            start = at
        at = end
    if at > start:
        yield records[start:at]


def _is_strong(_connection: SSL.Connection, _certificate: crypto.X509, error: int, _depth: int, _ok: int) -> bool:
    """Any certificate may be shown: the fingerprint binds it. One with a key that can be broken binds nothing."""
    return error not in _WEAK


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """It names nobody, as RFC 8827 section 6.5 wants for privacy."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), int.from_bytes(secrets.token_bytes(15), "big") + 1)
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
    return builder.sign(key, hashes.SHA256())
