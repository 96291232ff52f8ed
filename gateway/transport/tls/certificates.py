"""Whether a certificate file can be served: the checks at start and after every reload.

Lives here: chain in order and complete, key matches, dates, the advertised name in the subject alternative names, days
left. A file that cannot be served at all raises CertificateError, one line; a smaller fault is a warning in the report:
an expired certificate is better than none for the peers that do not care.
Not here: contexts (contexts.py), the judging of peers (channel.py, identity.py).
"""

from datetime import datetime
from itertools import pairwise
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL, crypto

from gateway.transport.flow import PeerIdentity
from gateway.transport.tls.identity import identity_of, listed, mismatch

RENEW_WITHIN_DAYS = 30
"""A certificate with fewer days left is warned about."""
LEAST_BITS = 2048
"""Of an RSA key."""


class CertificateError(Exception):
    """A certificate, key or trust file cannot be used; str() is one line with the file's path."""


@frozen
class CertificateReport:
    """The contents of a certificate file and the doubts about it."""

    path: Path
    identity: PeerIdentity
    not_after: datetime
    days_left: int
    warnings: tuple[str, ...]
    has_short_key: bool = False
    """Whether the key of a certificate of the chain is shorter than LEAST_BITS: one of the warnings says which."""


def read_chain(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, the server's own first. Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{path}: no PEM certificate in it") from error


def read_key(path: Path) -> PrivateKeyTypes:
    """The private key of a PEM file without a passphrase. Raises CertificateError."""
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{path}: no PEM private key without passphrase in it") from error


def examine(certificate: Path, private_key: Path, advertised_host: str | None, now: datetime) -> CertificateReport:
    """The report on a certificate with its key; now has a time zone. Raises CertificateError."""
    chain = read_chain(certificate)
    own = chain[0]
    if own.public_key() != read_key(private_key).public_key():
        raise CertificateError(f"{private_key}: not the key of {certificate}")
    days_left = (own.not_valid_after_utc - now).days
    warnings = (time_warning(own, now), *_warnings(private_key, chain, advertised_host))
    found = tuple(warning for warning in warnings if warning)
    return CertificateReport(
        certificate, identity_of(own), own.not_valid_after_utc, days_left, found, _short_key(chain) is not None
    )


def time_warning(own: x509.Certificate, now: datetime) -> str | None:
    """The warning about a certificate's dates; None when it is good for a while. now has a time zone."""
    if now >= own.not_valid_after_utc:
        return f"expired on {own.not_valid_after_utc:%Y-%m-%d}"
    if now < own.not_valid_before_utc:
        return f"not valid before {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    days_left = (own.not_valid_after_utc - now).days
    return f"{days_left} days left" if days_left < RENEW_WITHIN_DAYS else None


def _is_issued_by(signed: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        signed.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _warnings(key: Path, chain: list[x509.Certificate], advertised_host: str | None) -> tuple[str | None, ...]:
    identity, host = identity_of(chain[0]), advertised_host
    return (
        f"certificate is for {listed(identity)}, not for {host}" if host and mismatch(identity, host) else None,
        _chain_warning(chain),
        _weakness(chain),
        f"{key} can be read by others" if key.stat().st_mode & 0o077 else None,
    )


def _weakness(chain: list[x509.Certificate]) -> str | None:
    """A key that is too short, or a signature by a broken digest; a root's own signature proves nothing anyway."""
    if (short := _short_key(chain)) is not None:
        return short
    for place, one in enumerate(chain, start=1):
        digest = one.signature_hash_algorithm
        if isinstance(digest, hashes.SHA1 | hashes.MD5) and one.issuer != one.subject:
            return f"certificate {place} is signed by way of {digest.name.upper()}, which is broken"
    return None


def _short_key(chain: list[x509.Certificate]) -> str | None:
    for place, one in enumerate(chain, start=1):
        key = one.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_BITS:
            return f"certificate {place} has a key of {key.key_size} bits, and {LEAST_BITS} are needed"
    return None


def _chain_warning(chain: list[x509.Certificate]) -> str | None:
    for place, (signed, signer) in enumerate(pairwise(chain), start=1):
        if not _is_issued_by(signed, signer):
            return f"the chain is broken: certificate {place + 1} did not sign certificate {place}"
    if _is_complete(chain):
        return None
    return f"the chain ends at {chain[-1].issuer.rfc4514_string()}, which peers must know by themselves"


def _is_complete(chain: list[x509.Certificate]) -> bool:
    """Whether the chain ends in a root, or in a certificate signed by a root known to this system."""
    if _is_issued_by(chain[-1], chain[-1]):
        return True
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_default_verify_paths()
    store = context.get_cert_store()
    if store is None:
        return False
    own, *others = (crypto.X509.from_cryptography(certificate) for certificate in chain)
    try:
        crypto.X509StoreContext(store, own, others).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True
