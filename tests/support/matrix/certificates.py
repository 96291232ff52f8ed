"""The identities of the matrix: the gateway's, the providers' good and bad ones, and the phones' trust."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from tests.support.calls.certificates import Certificate
from tests.support.matrix.cells import Kind
from tests.support.tls_authority import Authority


@attrs.frozen
class Identities:
    """Certificates by name, and the authority that the gateway trusts."""

    trust: Path
    stranger: Path
    """An authority that nobody trusts."""
    certificates: dict[str, Certificate]

    @classmethod
    def issue(cls, directory: Path, gateway: str, provider: str, nobody: str) -> Identities:
        """All of them; the three are addresses, ``nobody``'s is another's."""
        directory.mkdir(parents=True, exist_ok=True)
        authority, stranger = Authority(directory), Authority(directory, "Unknown CA")
        long_ago = datetime.now(tz=UTC) - timedelta(days=10)
        return cls(
            authority.file,
            stranger.file,
            {
                "gateway": Certificate(*authority.issue("gateway", gateway)),
                "good": Certificate(*authority.issue("good", provider)),
                "expired": Certificate(*authority.issue("expired", provider, begins=long_ago, days=9)),
                "self-signed": Certificate(*authority.issue("self-signed", provider, is_self_signed=True)),
                "another": Certificate(*authority.issue("another", nobody)),
                "unknown": Certificate(*stranger.issue("unknown", provider)),
            },
        )

    def server(self, kind: Kind) -> ssl.SSLContext:
        """How a provider of that kind serves."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load(context, self.certificates[kind.certificate])
        if kind.wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.trust)
        if kind.ciphers is not None:
            context.set_ciphers(kind.ciphers)
        with warnings.catch_warnings():  # of versions that nobody should serve any more: one kind does
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = kind.least, kind.most
        return context

    def client(self, certificate: str | None, kind: Kind | None = None) -> ssl.SSLContext:
        """How a party connects to the gateway, whose certificate it verifies."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the gateway's address is all there is; the chain is verified
        context.load_verify_locations(self.trust)
        if certificate is not None:
            _load(context, self.certificates[certificate])
        if kind is not None:
            context.minimum_version, context.maximum_version = kind.least, kind.most
        return context


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    context.load_cert_chain(certificate.chain, certificate.key)
