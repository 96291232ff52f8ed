"""A phone's own certificate, as its maker put it into the device: the hardware address that it proves.

    handshake -> ShownCertificate.look, for each certificate of the chain -> address: proved, or None

Makers' authorities are those of `client_trust`. A certificate that does not verify ends no handshake, since phones show
theirs to each server that asks, and a token may prove them all the same; it counts as none. A resumed session shows no
certificate, so the server gives out no tickets (`serve_tls` without ``resumes``): a certificate counts in the handshake
that verified it, or not at all.

A certificate that all phones of a make share (Yealink's generic one) has no hardware address and proves no device.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

_PART: Final = r"[0-9A-Fa-f]{2}"
_NAME: Final = re.compile(
    rf"(?:[A-Za-z0-9]{{1,20}}[-_ ]){{0,3}}(?:SEP)?(?P<mac>{_PART}([:-]?){_PART}(?:\2{_PART}){{4}})"
)
_NOBODY: Final = ("000000000000", "ffffffffffff")


def certified_address(common_name: str) -> str | None:
    """The hardware address that is the common name of a certificate, alone or after a model's name: 12 digits in lower
    case. None for any other name, such as one of a host that happens to hold 12 such digits."""
    found = _NAME.fullmatch(common_name)
    if found is None:
        return None
    address = re.sub(r"[:-]", "", found["mac"]).lower()
    return None if address in _NOBODY or int(address[:2], 16) & 1 else address


class ShownCertificate:
    """The certificate that the phone on one connection showed, judged while the handshake goes on."""

    def __init__(self) -> None:
        self._leaf: crypto.X509 | None = None
        self._is_doubtful = False

    def look(self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
        """Take note of one certificate of the chain; the handshake goes on in any case."""
        if not ok or error:
            self._is_doubtful = True
        if depth == 0:
            self._leaf = certificate
        return True

    @property
    def address(self) -> str | None:
        """The hardware address that is proved; None without a certificate that verifies and names one."""
        if self._leaf is None or self._is_doubtful:
            return None
        names = self._leaf.to_cryptography().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return certified_address(str(names[0].value)) if len(names) == 1 else None


def ask_for_certificate(connection: SSL.Connection, shown: ShownCertificate) -> None:
    """Have a connection that is about to begin show its certificate."""
    connection.set_verify(SSL.VERIFY_PEER, shown.look)
