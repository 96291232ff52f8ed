"""One end of one TLS connection, without I/O: ciphertext in, plaintext out, and the other way round.

    network -> receive(ciphertext) -> plaintext        send(plaintext) -> outgoing() -> network

pyOpenSSL does the work over memory BIOs. Lives here: the order of a connection (handshake, verified, open, closed) and
the meaning of its errors. Not here: contexts and trust (contexts.py), names (identity.py), sockets (stream/).
"""

from datetime import datetime
from pathlib import Path

from attrs import define, evolve
from OpenSSL import SSL, crypto
from OpenSSL._util import ffi, lib

from gateway.transport.flow import FailureKind, PeerIdentity, TransportFailure
from gateway.transport.tls import failures as causes
from gateway.transport.tls.handshake_log import TlsAgreed, agreed
from gateway.transport.tls.identity import Authorities, fingerprint, identity_of, listed, mismatch
from gateway.transport.tls.memory_bytes import (
    CHUNK,
    RECORD,
    get_ciphertext,
    get_plaintext,
    put_ciphertext,
    put_plaintext,
)

_HEADER = 5
"""Bytes before each record's body: type, version, length."""


class TlsFailed(Exception):
    """The connection cannot go on; failure says why."""

    def __init__(self, failure: TransportFailure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@define
class Verification:
    """The demands on the peer's certificate, and the first one that it does not meet.

    It hangs on the OpenSSL connection, where the verify callback finds it. name is None where any name will do: the
    identity of a client is for others to judge.
    """

    name: str | None = None
    allow_wildcards: bool = False
    common_name: bool = False  # it counts where there are no subject alternative names
    needs_certificate: bool = False
    trust: str | Path | None = None  # the authorities that the peer's certificate is verified against
    authorities: Authorities | None = None  # a client's may be asked for again when its session is resumed
    is_rehearsal: bool = False  # our own certificate is tried out: nobody is judged
    problem: str | None = None
    found: str = ""  # the words of the certificate that has it

    def accepts(self, certificate: crypto.X509, error: int, depth: int, is_trusted: bool) -> bool:
        """Whether the handshake may go on; remembers the first problem."""
        if not is_trusted:
            problem, found = causes.untrusted(error, certificate)
            self._note(problem, found)
        elif depth == 0:
            self.accepts_name(certificate)
        return self.problem is None

    def accepts_name(self, certificate: crypto.X509) -> bool:
        """Whether the certificate is for the right peer; remembers the problem."""
        if self.name is not None:
            identity = self.identity(certificate)
            problem = mismatch(identity, self.name, self.allow_wildcards)
            self._note(problem, f"it is for {listed(identity)}")
        return self.problem is None

    def identity(self, certificate: crypto.X509) -> PeerIdentity:
        """The names that the certificate is for."""
        return evolve(identity_of(certificate.to_cryptography(), self.common_name), trust=self.trust)

    def _note(self, problem: str | None, found: str) -> None:
        if self.problem is None and problem is not None:
            self.problem, self.found = problem, found


class _Records:
    """Follows the bounds of arriving TLS records, to know when nothing is left to ask OpenSSL for."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""  # of a record whose length is not known yet
        self._left = 0  # bytes that a begun record still lacks

    def is_exactly_one(self, data: bytes) -> bool:
        """Whether data is one whole record and nothing unfinished came before it."""
        return not self._left and not self._head and len(data) > _HEADER and len(data) == _size(data, 0)

    @property
    def is_unfinished(self) -> bool:
        """Whether a record has begun and not ended."""
        return bool(self._left or self._head)

    def follow(self, data: bytes) -> None:
        """data arrived."""
        if len(data) < self._left:
            self._left -= len(data)
            return
        data = self._head + data[self._left :]
        start = 0
        while len(data) - start >= _HEADER:
            start += _size(data, start)
        self._left = max(0, start - len(data))
        self._head = data[start:]


def _size(data: bytes, start: int) -> int:
    return _HEADER + (data[start + 3] << 8 | data[start + 4])


class TlsChannel:
    """One end of a TLS connection. After TlsFailed, outgoing() holds the alert for the peer."""

    __slots__ = (
        "_connection",
        "_has_output",
        "_heard",
        "_is_bulky",
        "_records",
        "_verification",
        "has_peer_closed",
        "is_open",
    )

    def __init__(self, connection: SSL.Connection, verification: Verification) -> None:
        self._connection = connection
        self._verification = verification
        self.is_open = False  # the handshake is complete and the peer verified
        self.has_peer_closed = False
        self._records = _Records()
        self._has_output = False
        self._is_bulky = True  # the handshake's flights have been through the buffers
        self._heard = b""  # of the peer, until the handshake is complete

    def start(self) -> None:
        """Prepare the first flight: a client's hello. Not for a server: OpenSSL would take 40 KiB to wait for one."""
        self._advance_handshake()

    def receive(self, ciphertext: bytes) -> list[bytes]:
        """The plaintext that became readable, in order. Raises TlsFailed."""
        if not ciphertext:
            return []
        put_ciphertext(self._connection, ciphertext)
        if self._records.is_exactly_one(ciphertext) and self.is_open:
            return self._read(most=1)
        self._records.follow(ciphertext)
        self._has_output = True
        if not self.is_open:
            if len(self._heard) < causes.KEPT:
                self._heard += ciphertext
            if not self._advance_handshake():
                return []
        return self._read()

    def send(self, plaintext: bytes) -> None:
        """Encrypt; the result is in outgoing(). Only when is_open. Raises TlsFailed."""
        self._has_output = True
        try:
            if len(plaintext) <= RECORD:
                put_plaintext(self._connection, plaintext)
                return
            for start in range(0, len(plaintext), RECORD):
                put_plaintext(self._connection, plaintext[start : start + RECORD])
        except SSL.Error as error:
            raise self._failed(error) from error

    def outgoing(self) -> bytes:
        """The bytes for the network; empty when there are none."""
        if not self._has_output:
            return b""
        self._has_output = False
        data = piece = get_ciphertext(self._connection)
        while len(piece) == CHUNK:
            piece = get_ciphertext(self._connection)
            data += piece
        if self._is_bulky and self.is_open:
            self._is_bulky = False
            renew_output(self._connection)
        return data

    def close(self) -> None:
        """Prepare the close_notify alert (RFC 8446 section 6.1)."""
        self._has_output = True
        try:
            self._connection.shutdown()
        except SSL.Error:  # in mid-handshake there is nothing to close
            pass

    def timed_out(self, words: str) -> TransportFailure:
        """The failure of a handshake that took too long: somebody is there and speaks TLS, or says nothing at all."""
        silent = TransportFailure(FailureKind.SILENT, f"it is connected, and does not answer in TLS ({words})")
        return self.ended(words) if causes.speaks_tls(self._heard) else silent

    def ended(self, words: str) -> TransportFailure:
        """The failure of a handshake that ended so."""
        return causes.failure(self._heard, words, self._connection.get_certificate() is not None)

    @property
    def is_mid_record(self) -> bool:
        """Whether the peer has begun a record and not ended it."""
        return self._records.is_unfinished

    @property
    def session(self) -> SSL.Session | None:
        """The session that resumes this connection later; under TLS 1.3 only once the peer has sent a ticket."""
        return self._connection.get_session()

    @property
    def context(self) -> SSL.Context:
        """The context that the connection was made from."""
        return self._connection.get_context()

    @property
    def agreed(self) -> TlsAgreed:
        """The version and cipher suite of the connection, once it is open."""
        return agreed(self._connection.get_protocol_version_name(), self._connection.get_cipher_name() or "")

    @property
    def outcome(self) -> tuple[PeerIdentity | None, TlsAgreed, datetime | None]:
        """The peer's identity, the terms, and when the peer's certificate expires."""
        shown = self._connection.get_peer_certificate()
        return self.identity, self.agreed, None if shown is None else shown.to_cryptography().not_valid_after_utc

    @property
    def identity(self) -> PeerIdentity | None:
        """The peer's names, all verified; None when it showed no certificate."""
        certificate = self._connection.get_peer_certificate() if self.is_open else None
        if certificate is None:
            return None
        identity = self._verification.identity(certificate)
        authorities = self._verification.authorities
        return identity if authorities is None else evolve(identity, authority=self._root(certificate, authorities))

    def _root(self, certificate: crypto.X509, authorities: Authorities) -> str:
        """The fingerprint of the root of a client's verified chain; empty where it is not known any more."""
        chain = self._connection.get_verified_chain()
        shown = fingerprint(chain[-1].to_cryptography()) if chain else None
        return authorities.of(fingerprint(certificate.to_cryptography()), shown)

    def _advance_handshake(self) -> bool:
        self._has_output = True
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise self._failed(error) from error
        self._verify_again()
        self.is_open = True
        self._heard = b""
        return True

    def _verify_again(self) -> None:
        """A resumed session shows no certificate, so OpenSSL asked nobody: the one it was begun with must still do."""
        verification = self._verification
        if verification.is_rehearsal:
            return
        certificate = self._connection.get_peer_certificate()
        if certificate is None:
            verification.problem = "no certificate" if verification.needs_certificate else None
        elif certificate.has_expired():
            verification.problem = "expired"
        else:
            verification.accepts_name(certificate)
        if verification.problem is not None:
            self.close()
            raise TlsFailed(TransportFailure(FailureKind.CERTIFICATE, verification.problem, verification.found))

    def _read(self, most: int | None = None) -> list[bytes]:
        """The readable plaintext; most is the number of records there can be. A message usually has one of its own, and
        then one question to OpenSSL is enough and it has nothing to say itself."""
        pieces: list[bytes] = []
        try:
            while len(pieces) != most:
                pieces.append(get_plaintext(self._connection))
        except SSL.WantReadError:
            self._has_output = True
        except SSL.ZeroReturnError:
            self.has_peer_closed = self._has_output = True
        except SSL.Error as error:
            self._has_output = True
            raise self._failed(error) from error
        return pieces

    def _failed(self, error: SSL.Error) -> TlsFailed:
        problem = self._verification.problem
        if problem is not None:
            return TlsFailed(TransportFailure(FailureKind.CERTIFICATE, problem, self._verification.found))
        return TlsFailed(causes.late_failure(_reason(error)) if self.is_open else self.ended(_reason(error)))


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for the last error in its queue."""
    if isinstance(error, SSL.SysCallError):
        return "the peer closed the connection without a word"
    queue = error.args[0] if error.args else ()
    return str(queue[-1][2]) if queue else "TLS error"


def renew_output(connection: SSL.Connection) -> None:
    """Begin a new buffer for output. The old one must be empty: its bytes are lost.

    SSL_set_bio takes over the new BIO and frees the old, and leaves the one for input as it is because it is given the
    same (SSL_set_bio(3)).
    """
    fresh = lib.BIO_new(lib.BIO_s_mem())
    if fresh == ffi.NULL:  # out of memory: then the old one does
        return
    connection._from_ssl = fresh
    lib.SSL_set_bio(connection._ssl, connection._into_ssl, fresh)
