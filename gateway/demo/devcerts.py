"""Certificates to try the gateway with: `python -m gateway.demo.devcerts DIRECTORY`.

Makes a development authority and, signed by it, one certificate for the gateway and one for a provider, all on loopback
names and addresses. Certificates that are there already are kept, unless they have expired. Keys are readable by their
owner only. Not for anything that others can reach: a reader of the authority's key can be anybody.
"""

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
CLOCK_SKEW = timedelta(hours=1)


@frozen
class Subject:
    """The holder of a certificate."""

    file: str
    name: str
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()

    def certificate(self, directory: Path) -> Path:
        """Where its certificate is (the full chain)."""
        return directory / f"{self.file}.pem"

    def key(self, directory: Path) -> Path:
        """Where its private key is."""
        return directory / f"{self.file}.key"


AUTHORITY = Subject("ca", "Development authority of the SIP security gateway")
GATEWAY = Subject(
    "gateway",
    "gateway.example.com",
    dns=("gateway.example.com", "localhost"),
    addresses=("127.0.0.1", "127.0.0.20"),
    uris=("sip:gateway.example.com",),
)
PROVIDER = Subject(
    "provider",
    "provider.example.com",
    dns=("provider.example.com",),
    addresses=("127.0.0.21", "127.0.0.1"),
    uris=("sip:provider.example.com",),
)


@frozen
class Issuer:
    """A certificate that may sign others, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(directory: Path, now: datetime) -> tuple[Path, ...]:
    """Make all that is missing or has expired, with everything that hangs on it; returns the files written."""
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    issuer = _kept_issuer(directory, now)
    is_new = issuer is None
    if issuer is None:
        issuer = _new_authority(now)
        written += _write(directory, AUTHORITY, [issuer.certificate], issuer.key)
    for subject in (GATEWAY, PROVIDER):
        if is_new or not _is_good(directory, subject, now):
            key = ec.generate_private_key(ec.SECP256R1())
            written += _write(directory, subject, [_signed(subject, key, issuer, now), issuer.certificate], key)
    return tuple(written)


def make_for(directory: Path, host: str, address: str, now: datetime) -> tuple[Path, ...]:
    """Make the same, and a certificate for a host at which phones reach the gateway; returns the files written."""
    written = make(directory, now)
    names = () if host == address else (host,)
    subject = Subject(f"phones-{host}", host, dns=names, addresses=(address,), uris=(f"sip:{_in_uri(host)}",))
    issuer = _kept_issuer(directory, now)
    assert issuer is not None
    if AUTHORITY.certificate(directory) not in written and _is_good(directory, subject, now):
        return written
    key = ec.generate_private_key(ec.SECP256R1())
    return *written, *_write(directory, subject, [_signed(subject, key, issuer, now), issuer.certificate], key)


def _in_uri(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_good(directory: Path, subject: Subject, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(subject.certificate(directory).read_bytes())
    except (OSError, ValueError):
        return False
    return subject.key(directory).exists() and now < certificate.not_valid_after_utc


def _kept_issuer(directory: Path, now: datetime) -> Issuer | None:
    if not _is_good(directory, AUTHORITY, now):
        return None
    key = load_pem_private_key(AUTHORITY.key(directory).read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return Issuer(x509.load_pem_x509_certificate(AUTHORITY.certificate(directory).read_bytes()), key)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_authority(now: datetime) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named(AUTHORITY.name)
    builder = _begun(name, name, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(is_authority=True), critical=True)
    return Issuer(builder.sign(key, SHA256()), key)


def _signed(subject: Subject, key: ec.EllipticCurvePrivateKey, issuer: Issuer, now: datetime) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in subject.uris]
    names += [x509.DNSName(name) for name in subject.dns]
    names += [x509.IPAddress(ip_address(address)) for address in subject.addresses]
    return (
        _begun(_named(subject.name), issuer.certificate.subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
        .sign(issuer.key, SHA256())
    )


def _write(
    directory: Path, subject: Subject, chain: Iterable[x509.Certificate], key: ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    certificate_file, key_file = subject.certificate(directory), subject.key(directory)
    key_file.unlink(missing_ok=True)
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate_file.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain))
    return certificate_file, key_file


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m gateway.demo.devcerts DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    try:
        written = make(directory, datetime.now(tz=UTC))
    except OSError as error:
        print(f"{error.filename or directory}: {error.strerror}", file=sys.stderr)
        return 1
    for path in written:
        print(f"made {path}")
    if not written:
        print(f"the certificates in {directory} are still good")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
