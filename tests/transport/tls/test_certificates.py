"""The checks of our own certificate files, and the certificates made for development."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.demo import devcerts
from gateway.transport.tls.certificates import CertificateError, examine
from gateway.transport.tls.identity import identity_of
from tests.support.tls_authority import DAY, Authority

NOW = datetime.now(tz=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "Root CA")


def test_a_good_certificate(authority: Authority, tmp_path: Path) -> None:
    middle = Authority(tmp_path, "Middle CA", parent=authority)
    certificate, key = middle.issue("good", "sip.example.com", days=90)
    chained = tmp_path / "chained.pem"
    chained.write_bytes(certificate.read_bytes() + authority.file.read_bytes())
    report = examine(chained, key, "sip.example.com", NOW)
    assert report.warnings == ()
    assert report.days_left in (88, 89)
    assert report.identity.names == ("sip.example.com",)


@pytest.mark.parametrize(
    ("days", "names", "advertised", "warning"),
    [
        (90, ("sip.example.com",), "sip.example.com", "the chain ends at CN=Middle CA"),
        (12, ("sip.example.com",), "sip.example.com", "days left"),
        (30, ("sip.example.com",), "sip.example.com", "days left"),
        (0, ("sip.example.com",), "sip.example.com", "expired on "),
        (90, ("other.example.com",), "sip.example.com", "not for sip.example.com"),
        (90, ("sip.example.com",), "192.0.2.1", "not for 192.0.2.1"),
    ],
)
def test_what_an_operator_should_know(
    authority: Authority, tmp_path: Path, days: int, names: tuple[str, ...], advertised: str, warning: str
) -> None:
    middle = Authority(tmp_path, "Middle CA", parent=authority)
    certificate, key = middle.issue("doubtful", *names, days=days, with_chain=False)
    warnings = examine(certificate, key, advertised, NOW).warnings
    assert any(warning in one for one in warnings), warnings


def test_a_key_that_others_can_read_is_warned_about(authority: Authority) -> None:
    certificate, key = authority.issue("open", "sip.example.com")
    key.chmod(0o644)
    assert any("read by others" in one for one in examine(certificate, key, None, NOW).warnings)


def test_a_certificate_of_the_future_and_a_broken_chain_are_warned_about(authority: Authority) -> None:
    certificate, key = authority.issue("young", "sip.example.com", begins=NOW + DAY)
    certificate.write_bytes(2 * certificate.read_bytes())
    found = examine(certificate, key, "sip.example.com", NOW).warnings
    assert [warning.split(" 2")[0] for warning in found] == ["not valid before", "the chain is broken: certificate"]


def test_what_cannot_be_served(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("good", "sip.example.com")
    foreign = tmp_path / "foreign.key"
    devcerts.make(tmp_path / "dev", NOW)
    foreign.write_bytes((tmp_path / "dev" / "gateway.key").read_bytes())
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for files, reason in {
        (certificate, foreign): "not the key of",
        (text, key): "no PEM certificate",
        (certificate, text): "no PEM private key",
        (tmp_path / "missing.pem", key): "No such file",
        (certificate, tmp_path / "missing.key"): "No such file",
    }.items():
        with pytest.raises(CertificateError, match=reason) as caught:
            examine(*files, "sip.example.com", NOW)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


# -- certificates for development


def test_development_certificates_are_good(tmp_path: Path) -> None:
    written = devcerts.make(tmp_path / "certs", NOW)
    assert len(written) == 6
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in written if path.suffix == ".key")
    for subject, host in ((devcerts.GATEWAY, "gateway.example.com"), (devcerts.PROVIDER, "127.0.0.21")):
        report = examine(subject.certificate(tmp_path / "certs"), subject.key(tmp_path / "certs"), host, NOW)
        assert report.warnings == ()
    identity = identity_of(x509.load_pem_x509_certificates((tmp_path / "certs/gateway.pem").read_bytes())[0])
    assert identity.uris == ("sip:gateway.example.com",)
    assert identity.names == ("gateway.example.com", "localhost")
    assert identity.addresses == ("127.0.0.1", "127.0.0.20")


def test_good_certificates_are_kept_and_expired_ones_replaced(tmp_path: Path) -> None:
    devcerts.make(tmp_path, NOW)
    assert devcerts.make(tmp_path, NOW + timedelta(days=300)) == ()
    assert len(devcerts.make(tmp_path, NOW + timedelta(days=366))) == 6


def test_a_missing_certificate_is_made_by_the_same_authority(tmp_path: Path) -> None:
    devcerts.make(tmp_path, NOW)
    (tmp_path / "provider.key").unlink()
    assert {path.name for path in devcerts.make(tmp_path, NOW)} == {"provider.pem", "provider.key"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert devcerts.main([str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.count("made ") == 6
    assert devcerts.main([str(tmp_path / "new")]) == 0
    assert "still good" in capsys.readouterr().out
    (tmp_path / "file").touch()
    assert devcerts.main([str(tmp_path / "file")]) == 1
    assert devcerts.main([]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("bits", "is_broken", "told"), [(1024, False, "1024 bits"), (2048, True, "SHA1")])
def test_weak_keys_and_broken_digests_are_told(tmp_path: Path, bits: int, is_broken: bool, told: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("gw", "ca"))
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), 5, NOW - DAY, NOW + 90 * DAY)
    certificate = builder.sign(rsa.generate_private_key(public_exponent=65537, key_size=2048), hashes.SHA256())
    if is_broken:
        # No library signs by way of SHA-1 any more: the one byte that names the digest is changed.
        name, weak = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
        certificate = x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER).replace(name, weak))
    (tmp_path / "gw.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "gw.key").touch(0o600)
    (tmp_path / "gw.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    warnings = examine(tmp_path / "gw.pem", tmp_path / "gw.key", None, NOW).warnings
    assert any(told in one for one in warnings), warnings
