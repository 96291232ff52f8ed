"""An authority of the test's own and certificates for provider, gateway and far ends."""

from __future__ import annotations

from pathlib import Path

import attrs
import trustme


@attrs.frozen
class Certificate:
    """Files of one identity: the full chain and its key, PEM."""

    chain: Path
    key: Path


class Authority:
    """Issues certificates below `directory`; `trust` is its root as a PEM file."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        # RSA: the oldest TLS stack among the clients (pjsua's wheel, OpenSSL 1.0.2) knows it for certain.
        self._authority = trustme.CA(key_type=trustme.KeyType.RSA)
        self.trust = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.trust))

    def issue(self, name: str, *identities: str) -> Certificate:
        """A certificate for these DNS names and IP addresses, in files called after `name`."""
        issued = self._authority.issue_cert(*identities, key_type=trustme.KeyType.RSA)
        files = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        for index, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(str(files.chain), append=index > 0)
        issued.private_key_pem.write_to_path(str(files.key))
        return files
