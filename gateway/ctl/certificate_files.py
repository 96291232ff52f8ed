"""The contents of a PEM file of certificates, for people and monitoring.

Here: subject, names, issuer and days left of each certificate in a file, and OpenSSL's verdict on a file before
anything is started. Not here: the certificates being served, and their warnings (transport/tls/certificates).
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

Row = dict[str, str | int | list[str]]


def described(file: Path) -> list[Row]:
    """One row for each certificate in `file`, in its order; a single row with `problem` when it holds none."""
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        return [{"file": str(file), "problem": str(error).splitlines()[0]}]
    return [{"file": str(file), **_row(certificate)} for certificate in certificates]


def unusable(certificate: Path, key: Path) -> str | None:
    """Why no TLS could be spoken with a certificate and its key, in a line; None when it could."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # a passphrase is not asked for
    except ssl.SSLError as error:
        is_other = error.reason == "KEY_VALUES_MISMATCH"
        why = "the key is another certificate's" if is_other else "not PEM, or the key has a passphrase"
        return f"{certificate} and {key} cannot be used together: {why}"
    except (OSError, ValueError) as error:
        return f"{certificate} and {key} cannot be used: {error}"
    return None


def days_left(row: Row) -> int:
    """Days that a certificate is good for, negative once it has expired; 0 for a file that holds none."""
    left = row.get("days_left", 0)
    return left if isinstance(left, int) else 0


def names_of(row: Row) -> list[str]:
    """The names that a certificate is for."""
    names = row.get("names", [])
    return names if isinstance(names, list) else []


def _row(certificate: x509.Certificate) -> Row:
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "names": _names(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "valid_until": certificate.not_valid_after_utc.strftime("%Y-%m-%d"),
        "days_left": left.days,
    }


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]
