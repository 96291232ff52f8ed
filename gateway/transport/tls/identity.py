"""The identities of a certificate (RFC 5922 section 7).

Lives here: reading a certificate's subject alternative names and comparing them with the domain or address that we
meant to reach. The comparison of single names is service-identity's (RFC 6125). Not here: whether the chain can be
trusted (contexts.py). The common name is looked at only where the peer's terms say so.
"""

import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from service_identity.exceptions import CertificateError as BadPattern
from service_identity.hazmat import DNS_ID, DNSPattern

from gateway.transport.flow import PeerIdentity, is_ip_address

_SIP = "sip:"

MAX_AUTHORITIES = 4096
"""Certificates of clients, with their roots remembered, for a listener."""


def identity_of(certificate: x509.Certificate, common_name: bool = False) -> PeerIdentity:
    """The subject alternative names, in lower case; an extension that cannot be read holds none, which fails closed.

    With common_name, a certificate that has no such extension is for the host that its common name is ("if and only if
    the subjectAltName does not appear in the certificate", RFC 5922 section 7.1).
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return PeerIdentity(
            uris=tuple(uri.lower() for uri in names.get_values_for_type(x509.UniformResourceIdentifier)),
            names=tuple(name.lower() for name in names.get_values_for_type(x509.DNSName)),
            addresses=tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        )
    except x509.ExtensionNotFound:
        return PeerIdentity(names=_common_names(certificate)) if common_name else PeerIdentity()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return PeerIdentity()


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The one common name, if it may be a DNS name."""
    found = [str(name.value).lower() for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(found) if len(found) == 1 and not is_ip_address(found[0]) else ()


def fingerprint(certificate: x509.Certificate) -> str:
    """A certificate's own name among all, for authorities to be told apart."""
    return certificate.fingerprint(SHA256()).hex()


class Authorities:
    """By certificate of a client the root that its chain was verified up to, as fingerprints.

    A resumed session has the certificate and not its chain; of a client that was forgotten meanwhile the authority is
    unknown until its next full handshake.
    """

    def __init__(self) -> None:
        self._by_certificate: dict[str, str] = {}

    def of(self, certificate: str, root: str | None) -> str:
        """The root, as the handshake has shown it, or as the one before has."""
        if root is None:
            return self._by_certificate.get(certificate, "")
        self._by_certificate.pop(certificate, None)
        while len(self._by_certificate) >= MAX_AUTHORITIES:
            del self._by_certificate[next(iter(self._by_certificate))]
        self._by_certificate[certificate] = root
        return root

    def forget(self) -> None:
        """Know none any more."""
        self._by_certificate.clear()


def sip_domain(uri: str) -> str | None:
    """The domain that a `sip:` URI without user names (RFC 5922 section 7.1); None for any other URI."""
    if not uri.lower().startswith(_SIP) or "@" in uri:
        return None
    return uri[len(_SIP) :].split(";", 1)[0].split("?", 1)[0].split(":", 1)[0].lower() or None


def sip_domains(identity: PeerIdentity) -> tuple[str, ...]:
    """The SIP domains a verified certificate speaks for: those of its sip URIs; its DNS names only if it has none
    (RFC 5922 section 7.1: "if and only if no other identity is found that matches the 'sip' URI type")."""
    domains = tuple(domain for uri in identity.uris if (domain := sip_domain(uri)))
    return domains or identity.names


def mismatch(identity: PeerIdentity, name: str, allow_wildcards: bool = False) -> str | None:
    """Why the certificate is not for the domain or numeric address; None when it is (RFC 5922 section 7.2).

    Wildcards never match unless the peer's terms allow them. An IP address matches an iPAddress entry only.
    """
    if is_ip_address(name):
        wanted = ipaddress.ip_address(name)
        found = identity.addresses
        matches = any(wanted == ipaddress.ip_address(address) for address in found if is_ip_address(address))
    else:
        found = sip_domains(identity)
        matches = any(_is_for(pattern, name, allow_wildcards) for pattern in found)
    if matches:
        return None
    return f"certificate is not for {name}"


def _is_for(pattern: str, domain: str, allow_wildcards: bool) -> bool:
    if "*" in pattern and not allow_wildcards:
        return False
    try:
        return DNS_ID(domain.rstrip(".")).verify(DNSPattern.from_bytes(pattern.rstrip(".").encode()))
    except (ValueError, BadPattern):  # a name that is no DNS name matches nothing
        return False


def listed(identity: PeerIdentity) -> str:
    """The names of a certificate, for people; not those of a long list."""
    found = (*identity.uris, *identity.names, *identity.addresses)
    shown = ", ".join(name[:80] for name in found[:4])
    return f"{shown}, ..." if len(found) > 4 else shown or "no name"
