"""Everything that provisioning reads from files, as one value that is prepared, and then adopted whole.

    configuration -> devices, templates, authority, place -> EstateFiles       ProfileError, DeviceFileError, OSError

Not here: passwords of domains, which their owner hands in, and the certificate of the server.
"""

from __future__ import annotations

from gateway.config.device_file import read_devices
from gateway.config.model import Configuration, Provisioning
from gateway.provisioning.dhcp_lines import DhcpFacts, is_ipv4
from gateway.provisioning.estate import EstateFiles
from gateway.provisioning.profiles import PasswordOf, ProfileError, ServerPlace, Templates

MOST_AUTHORITY: int = 64 * 1024
"""Bytes of the file of the authority."""


def estate_files(configuration: Configuration, terms: Provisioning, password_of: PasswordOf) -> EstateFiles:
    """All that is read. Raises DeviceFileError, ProfileError and OSError."""
    domains = frozenset(domain.name for domain in configuration.domains)
    ca = ""
    if terms.ca is not None:
        ca = terms.ca.read_text(encoding="ascii")[:MOST_AUTHORITY]
        if "-----BEGIN CERTIFICATE-----" not in ca or "PRIVATE KEY" in ca:
            raise ProfileError(f"{terms.ca}: holds no certificate, or a key as well: it is given to everybody")
    place = _place(configuration, terms, ca)
    return EstateFiles(read_devices(terms.devices, domains), Templates(terms.directory), place, password_of)


def dhcp_facts(configuration: Configuration, terms: Provisioning, place: ServerPlace) -> DhcpFacts:
    """The facts for lines of a DHCP server."""
    tls = configuration.phone_listener("tls")
    candidates = (terms.address, tls.address if tls else None, tls.advertised_host if tls else None)
    address = next((one for one in candidates if one and is_ipv4(one) and one != "0.0.0.0"), "")  # noqa: S104
    takes_certificates = terms.client_trust is not None and "certificate" in terms.proof
    return DhcpFacts(place, terms.tftp_port, address, takes_certificates)


def _place(configuration: Configuration, terms: Provisioning, ca: str) -> ServerPlace:
    tls, udp = configuration.phone_listener("tls"), configuration.phone_listener("udp")
    return ServerPlace(
        host=terms.name,
        proxy=(tls.advertised_host if tls else None) or terms.name,
        tls_port=tls.port if tls else 0,
        udp_port=udp.port if udp else 0,
        https_port=terms.https_port,
        http_port=terms.http_port,
        ntp=terms.ntp or "",
        ca=ca,
        mode=terms.mode,
    )
