"""The cause of a failed TLS handshake, told from the peer's bytes: whether it speaks TLS at all, and its complaint.

    the peer's first bytes, OpenSSL's words -> failure() -> TransportFailure(TLS | HANDSHAKE, cause)

A peer that answers with a TLS record, be it an alert, speaks TLS (RFC 8446 section 5.1): it may want a certificate of
ours, a version or a cipher, which an operator can mend. A peer that answers otherwise lacks TLS. An attacker in between
can forge either while the handshake is in clear, so nothing safe may follow from the difference; it is there to tell
the operator the truth. Not here: the consequences (gateway/security/policy/decisions.py), the handshake (channel.py).
"""

from cryptography import x509
from OpenSSL import crypto

from gateway.transport.flow import FailureKind, TransportFailure
from gateway.transport.tls.identity import identity_of, listed

KEPT = 65_536
"""Bytes kept of a peer's side of a handshake: a server's first flight with a long chain."""

LONGEST_NAME = 160
"""Characters of an issuer's name."""

_NOT_YET, _EXPIRED = 9, 10
_OF_ISSUER = frozenset({2, 18, 19, 20, 21})
"""Of OpenSSL's numbers below: those for which the question is whose word the certificate is."""

_ALERT, _HANDSHAKE = 21, 22
"""Content types of the records that may come before keys (RFC 5246 section 6.2.1)."""

_CERTIFICATE_REQUEST = 13
"""The handshake message that asks for a certificate (RFC 5246 section 7.4.4), in clear up to TLS 1.2."""

_ALERTS = (
    ("certificate required", "it asks for a certificate of ours"),
    ("unknown ca", "it does not know the authority of our certificate"),
    ("access denied", "it lets nobody in with our certificate"),
    ("expired", "it says that our certificate has expired"),
    ("certificate", "it does not take our certificate"),
    ("handshake failure", "it takes none of the ciphers and parameters that we offer"),
    ("unrecognized name", "it does not serve that name"),
)
"""OpenSSL's words for the peer's alerts, and their meaning here."""

_ABOUT_OURS = tuple(meaning for words, meaning in _ALERTS if words in ("unknown ca", "expired", "certificate"))

_NO_VERSION = "it speaks no version of TLS that we do"
_WORDS = (
    ("version", _NO_VERSION),
    ("unsupported protocol", _NO_VERSION),
    ("cipher", "it has no cipher that we take"),
    ("bad record mac", "what was sent was changed on the way"),
    ("did not return a certificate", "it shows no certificate"),
    ("unexpected eof", "it closed the connection in the middle of the handshake"),
    ("internal error", "it failed by itself"),
    ("decode error", "it cannot read the handshake"),
    ("illegal parameter", "it does not take a part of the handshake"),
)
"""The same of an alert or of an error that OpenSSL found itself."""

VERIFY_REASONS = {
    2: "unknown authority (an issuer is missing)",
    9: "not yet valid",
    10: "expired",
    18: "self-signed",
    19: "unknown authority (its root is not trusted)",
    20: "unknown authority",
    21: "unknown authority (the chain is incomplete)",
    22: "the chain is too long",
    23: "revoked",
    24: "an issuer is no authority",
    26: "not made for this use (extended key usage)",
}
"""OpenSSL's numbers for a certificate that does not verify, in words."""


def untrusted(error: int, shown: crypto.X509) -> tuple[str, str]:
    """Why a certificate does not verify, in our words; and its own: the names that it has, or its issuer's."""
    words = VERIFY_REASONS.get(error, f"not valid (X.509 error {error})")
    try:
        certificate = shown.to_cryptography()
        if error in _OF_ISSUER:
            return words, f"it was issued by {certificate.issuer.rfc4514_string()[:LONGEST_NAME]}"
        if error == _NOT_YET:
            words = f"{words}, before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        elif error == _EXPIRED:
            words = f"{words} on {certificate.not_valid_after_utc:%Y-%m-%d}"
        return words, f"it is for {listed(identity_of(certificate))}"
    except (ValueError, TypeError, x509.InvalidVersion):  # nonsense in it is no reason to say nothing
        return words, ""


def speaks_tls(heard: bytes) -> bool:
    """Whether a peer's first bytes are a TLS record."""
    return len(heard) >= 3 and heard[0] in (_ALERT, _HANDSHAKE) and heard[1] == 3


def asks_for_certificate(heard: bytes) -> bool:
    """Whether a server asked for our certificate in clear, as one of TLS 1.2 does."""
    messages, start = b"", 0
    while len(heard) - start >= 5 and heard[start] == _HANDSHAKE:
        end = start + 5 + int.from_bytes(heard[start + 3 : start + 5])
        messages += heard[start + 5 : end]
        start = end
    while len(messages) >= 4:
        if messages[0] == _CERTIFICATE_REQUEST:
            return True
        messages = messages[4 + int.from_bytes(messages[1:4]) :]
    return False


def distrusts_us(found: TransportFailure) -> bool:
    """Whether a handshake failed because the peer does not take our certificate: a mistake in its settings or ours."""
    return found.kind is FailureKind.HANDSHAKE and found.reason.startswith(_ABOUT_OURS)


def lacks_our_versions(found: TransportFailure) -> bool:
    """Whether a handshake failed because the peer speaks old versions of TLS alone."""
    return found.kind is FailureKind.HANDSHAKE and found.reason.startswith(_NO_VERSION)


def failure(heard: bytes, words: str, has_certificate: bool) -> TransportFailure:
    """The failure of a handshake that ended with these words; ``has_certificate``: we have one to show."""
    if not speaks_tls(heard):
        return TransportFailure(FailureKind.TLS, f"it answers, but not in TLS ({words})" if heard else words)
    if not has_certificate and asks_for_certificate(heard):
        return TransportFailure(FailureKind.HANDSHAKE, f"it asks for a certificate of ours ({words})")
    return TransportFailure(FailureKind.HANDSHAKE, _cause(words))


def late_failure(words: str) -> TransportFailure:
    """The same once the handshake was complete for us: under TLS 1.3 the peer may not have taken its end yet."""
    return TransportFailure(FailureKind.HANDSHAKE, _cause(words))


def _cause(words: str) -> str:
    known = (*_WORDS, *_ALERTS) if "alert" in words else _WORDS
    meaning = next((meaning for said, meaning in known if said in words), None)
    return words if meaning is None else f"{meaning} ({words})"
