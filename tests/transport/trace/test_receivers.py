"""The trust in a HEP receiver: read as every other file of authorities is."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from gateway.config.tables.hep_table import Hep, receiver
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.trace.exporter import HepExporter
from tests.support.tls_authority import Authority


def exporter(trust: Path) -> HepExporter:
    return HepExporter(Hep(receiver("tls:127.0.0.1:9061"), trust=trust), MemoryReactorClock())


def test_a_bundle_with_remarks_in_any_language_is_read(tmp_path: Path) -> None:
    chain, _ = Authority(tmp_path).issue("homer", "127.0.0.1")
    trust = tmp_path / "bundle.pem"
    trust.write_bytes("# F\u0151tan\u00fas\u00edtv\u00e1ny\n".encode() + chain.read_bytes())
    exporter(trust)


@pytest.mark.parametrize(
    "content", [b"", b"nothing\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_authorities_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    trust = tmp_path / "trust.pem"
    trust.write_bytes(content)
    with pytest.raises(CertificateError, match=r"trust\.pem: no PEM certificate in it"):
        exporter(trust)
