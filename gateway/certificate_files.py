"""What a PEM file of certificates holds, for people and monitoring.

What lives here: subject, names, issuer and days left of each certificate in a file. What does not: TLS, trust,
whether a key fits (`transport.certificates`).
"""

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
