"""The contents of PEM files of certificates, for people and monitoring: `gatewayctl certs`.

Here: subject, names, issuer and days left of each certificate in a file, OpenSSL's verdict on a file before
anything is started, and the command. Not here: the certificates being served, and their warnings
(transport/tls/certificates).
"""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
import click
from cryptography import x509

from gateway.config.model import Configuration
from gateway.ctl import text
from gateway.ctl.asking import ask, loaded, show
from gateway.ctl.common_options import asking

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


@click.command()
@click.option("--running", is_flag=True, help="Those that the running gateway serves, with their warnings.")
@asking
def certs(running: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """The certificates that the configuration names: user, names, days left."""
    if running or (config is None and url is not None):
        show(ask(config, url, "/api/certificates"), as_json, text.table)
        return
    if config is None:
        raise click.UsageError("--config FILE is needed")
    rows = [{"used_by": user, **row} for user, file in _certificate_files(loaded(config)) for row in described(file)]
    show(rows, as_json, text.table)


def _certificate_files(configuration: Configuration) -> list[tuple[str, Path]]:
    users: Sequence[attrs.AttrsInstance] = (*configuration.listeners, *configuration.providers)
    named = [
        (f"{type(user).__name__.lower()} {user.name} {key}", file)  # type: ignore[attr-defined]
        for user in users
        for key in ("certificate", "trust", "client_trust")
        if isinstance(file := getattr(user, key, None), Path)
    ]
    more = ((one.name, beside.certificate) for one in configuration.listeners for beside in one.certificates)
    return [*named, *((f"listener {name} certificates", file) for name, file in more)]
