"""Certificates of every kind, good and bad, for the tests of TLS. Keys are made once: only the certificates differ."""

from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


@cache
def key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """One of a few keys."""
    return ec.generate_private_key(ec.SECP256R1())


class Authority:
    """Signs certificates and writes them as PEM files into a directory."""

    def __init__(self, directory: Path, name: str = "Test CA", parent: "Authority | None" = None) -> None:
        self.directory = directory
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.parent = parent
        self.certificate = self._sign_authority(parent)
        self.file = directory / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def _sign_authority(self, parent: "Authority | None") -> x509.Certificate:
        signer = parent or self
        return (
            _begun(self.name, signer.name, self.key.public_key(), datetime.now(tz=UTC) - DAY, 365)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
            .sign(signer.key, SHA256())
        )

    def issue(
        self,
        file: str,
        *names: str,
        begins: datetime | None = None,
        days: int = 90,
        common_name: str = "someone",
        usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
        is_self_signed: bool = False,
        with_chain: bool = True,
    ) -> tuple[Path, Path]:
        """The files of a certificate and its key. names are URIs, IP addresses or DNS names."""
        own = key()
        signer_key = own if is_self_signed else self.key
        issuer = common_name if is_self_signed else self.name
        builder = _begun(common_name, issuer, own.public_key(), begins or datetime.now(tz=UTC) - DAY, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general(name) for name in names]), False)
        chain = [builder.sign(signer_key, SHA256())]
        if with_chain and not is_self_signed and self.parent is not None:
            chain.append(self.certificate)
        return self._write(file, chain)

    def _write(self, file: str, chain: list[x509.Certificate]) -> tuple[Path, Path]:
        certificate, key_file = self.directory / f"{file}.pem", self.directory / f"{file}.key"
        certificate.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
        key_file.touch(0o600)
        key_file.write_bytes(key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key_file


def general(name: str) -> x509.GeneralName:
    """The kind of subject alternative name that the text is."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.UniformResourceIdentifier(name) if ":" in name else x509.DNSName(name)


def _begun(
    name: str, issuer: str, public_key: ec.EllipticCurvePublicKey, begins: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + days * DAY)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
