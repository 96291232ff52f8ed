"""The cause of a failed TLS handshake, told from the peer's bytes: whether it speaks TLS at all, and its complaint.

    the peer's first bytes, OpenSSL's words -> failure() -> TransportFailure(TLS | HANDSHAKE, cause)

A peer that answers with a TLS record, be it an alert, speaks TLS (RFC 8446 section 5.1): it may want a certificate of
ours, a version or a cipher, which an operator can mend. A peer that answers otherwise lacks TLS. An attacker in between
can forge either while the handshake is in clear, so nothing safe may follow from the difference; it is there to tell
the operator the truth. Not here: the consequences (gateway/security/policy/decisions.py), the handshake (channel.py).
"""

from gateway.transport.flow import FailureKind, TransportFailure

KEPT = 65_536
"""Bytes kept of a peer's side of a handshake: a server's first flight with a long chain."""

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

_WORDS = (
    ("version", "it speaks no version of TLS that we do"),
    ("unsupported protocol", "it speaks no version of TLS that we do"),
    ("cipher", "it has no cipher that we take"),
    ("bad record mac", "what was sent was changed on the way"),
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


def failure(heard: bytes, words: str, has_certificate: bool) -> TransportFailure:
    """The failure of a handshake that ended with these words; ``has_certificate``: we have one to show."""
    if not speaks_tls(heard):
        return TransportFailure(FailureKind.TLS, words)
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
