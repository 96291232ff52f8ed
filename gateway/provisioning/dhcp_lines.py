"""Lines for a DHCP server that lead phones to this gateway: dnsmasq, ISC dhcpd, Kea and MikroTik's RouterOS.

    ServerPlace, address -> dhcp_lines("dnsmasq", ...) -> text to be put into the server's configuration

| option | format | for |
|---|---|---|
| 66 | a URL as text | nearly all makes; for SPA with the name of the first file in it |
| 43 | sub-options 66 (host) and 67 (path) of the vendor | snom, by its class (option 60) |
| 150 | IPv4 addresses | Cisco, where TFTP is on |
| 160 | a URL as text | Polycom, which asks for it before 66 |
| 42 | IPv4 addresses of time servers | all, where `ntp` is an address |

Pure. Options of the addresses themselves (routers, ranges) are the network's own, and not here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Final

import attrs

from gateway.provisioning.profiles import ServerPlace

SNOM_CLASS: Final = "snom"
SPA_CLASS: Final = "Cisco SPA"


class NoWayForDhcp(Exception):
    """There is nothing that DHCP could lead a phone to."""


@attrs.frozen
class DhcpFacts:
    """The facts that lines are made of."""

    place: ServerPlace
    tftp_port: int
    tftp_address: str
    """The address for option 150; empty: the server listens on all, and the operator has to say which."""
    takes_certificates: bool
    """Whether phones may come over HTTPS at once, by their makers' certificates."""

    @property
    def url(self) -> str:
        """The URL for phones of all makes. Raises NoWayForDhcp."""
        if self.takes_certificates and self.place.https_port:
            return f"{self.place.https}/"
        if self.place.http_port:
            return f"{self.place.http}/"
        if self.tftp_port:
            return f"tftp://{self.place.host}/"
        raise NoWayForDhcp("no phone can begin: set http_port or tftp_port, or client_trust for makers' certificates")

    @property
    def spa_url(self) -> str:
        """The same for a Cisco SPA: it has no certificate of ours to trust, so it begins over HTTP or TFTP."""
        beginning = f"{self.place.http}/" if self.place.http_port else self.url
        return f"{beginning}spa$PSN.cfg"

    @property
    def ntp(self) -> str:
        """The time server, where option 42 can name it."""
        return self.place.ntp if is_ipv4(self.place.ntp) else ""

    @property
    def tftp(self) -> str:
        """The address for option 150."""
        return self.tftp_address if self.tftp_port and is_ipv4(self.tftp_address) else ""


def dhcp_lines(server: str, facts: DhcpFacts) -> str:
    """The lines for one kind of server. Raises KeyError for another, NoWayForDhcp."""
    return "\n".join(SERVERS[server](facts)) + "\n"


def _dnsmasq(facts: DhcpFacts) -> Iterator[str]:
    yield "# phones of all makes"
    yield f'dhcp-option=66,"{facts.url}"'
    yield "# Polycom"
    yield f'dhcp-option=160,"{facts.url}"'
    yield "# Cisco SPA"
    yield f"dhcp-vendorclass=set:spa,{SPA_CLASS}"
    yield f'dhcp-option=tag:spa,66,"{facts.spa_url}"'
    yield "# snom"
    yield f'dhcp-option=vendor:{SNOM_CLASS},66,"{facts.url.rstrip("/")}"'
    yield f'dhcp-option=vendor:{SNOM_CLASS},67,"/{{mac}}.xml"'
    if facts.tftp:
        yield "# Cisco over TFTP"
        yield f"dhcp-option=150,{facts.tftp}"
    if facts.ntp:
        yield f"dhcp-option=42,{facts.ntp}"


def _isc(facts: DhcpFacts) -> Iterator[str]:
    yield "option polycom-url code 160 = text;"
    yield "option cisco-tftp code 150 = array of ip-address;"
    yield "option space snom;"
    yield "option snom.server code 66 = text;"
    yield "option snom.path code 67 = text;"
    yield f'option tftp-server-name "{facts.url}";'
    yield f'option polycom-url "{facts.url}";'
    if facts.tftp:
        yield f"option cisco-tftp {facts.tftp};"
    if facts.ntp:
        yield f"option ntp-servers {facts.ntp};"
    yield 'class "cisco-spa" {'
    yield f'  match if substring (option vendor-class-identifier, 0, {len(SPA_CLASS)}) = "{SPA_CLASS}";'
    yield f'  option tftp-server-name "{facts.spa_url}";'
    yield "}"
    yield 'class "snom" {'
    yield f'  match if substring (option vendor-class-identifier, 0, {len(SNOM_CLASS)}) = "{SNOM_CLASS}";'
    yield "  vendor-option-space snom;"
    yield f'  option snom.server "{facts.url.rstrip("/")}";'
    yield '  option snom.path "/{mac}.xml";'
    yield "}"


def _kea(facts: DhcpFacts) -> Iterator[str]:
    """The members to put into "Dhcp4"."""
    named = [{"name": "tftp-server-name", "data": facts.url}, {"name": "polycom-url", "data": facts.url}]
    named += [{"name": "cisco-tftp", "data": facts.tftp}] if facts.tftp else []
    named += [{"name": "ntp-servers", "data": facts.ntp}] if facts.ntp else []
    definitions: list[dict[str, object]] = [
        {"name": "polycom-url", "code": 160, "type": "string", "space": "dhcp4"},
        {"name": "cisco-tftp", "code": 150, "type": "ipv4-address", "array": True, "space": "dhcp4"},
        {"name": "server", "code": 66, "type": "string", "space": "vendor-encapsulated-options-space"},
        {"name": "path", "code": 67, "type": "string", "space": "vendor-encapsulated-options-space"},
    ]
    of_snom: list[dict[str, object]] = [
        {"name": "vendor-encapsulated-options"},
        {"name": "server", "space": "vendor-encapsulated-options-space", "data": facts.url.rstrip("/")},
        {"name": "path", "space": "vendor-encapsulated-options-space", "data": "/{mac}.xml"},
    ]
    classes: list[dict[str, object]] = [
        {
            "name": "cisco-spa",
            "test": f"substring(option[60].hex,0,{len(SPA_CLASS)}) == '{SPA_CLASS}'",
            "option-data": [{"name": "tftp-server-name", "data": facts.spa_url}],
        },
        {
            "name": "snom",
            "test": f"substring(option[60].hex,0,{len(SNOM_CLASS)}) == '{SNOM_CLASS}'",
            "option-def": [{"name": "vendor-encapsulated-options", "code": 43, "type": "empty",
                            "encapsulate": "vendor-encapsulated-options-space"}],
            "option-data": of_snom,
        },
    ]  # fmt: skip
    members = {"option-def": definitions, "option-data": named, "client-classes": classes}
    yield json.dumps(members, indent=2)


def _mikrotik(facts: DhcpFacts) -> Iterator[str]:
    yield "/ip dhcp-server option"
    yield f"add name=phones-66 code=66 value=\"'{facts.url}'\""
    yield f"add name=polycom-160 code=160 value=\"'{facts.url}'\""
    names = "phones-66,polycom-160"
    if facts.tftp:
        yield f"add name=cisco-150 code=150 value=\"'{facts.tftp}'\""
        names += ",cisco-150"
    if facts.ntp:
        yield f"add name=ntp-42 code=42 value=\"'{facts.ntp}'\""
        names += ",ntp-42"
    spa_url = facts.spa_url.replace("$", "\\$")
    yield f"add name=spa-66 code=66 value=\"'{spa_url}'\""
    yield "/ip dhcp-server option sets"
    yield f"add name=phones options={names}"
    yield "# then: /ip dhcp-server network set [find] dhcp-option-set=phones"
    yield "# Cisco SPA: a matcher of class-id with spa-66 (/ip dhcp-server matcher, from RouterOS 7.4)"


SERVERS: Final[dict[str, Callable[[DhcpFacts], Iterator[str]]]] = {
    "dnsmasq": _dnsmasq,
    "isc": _isc,
    "kea": _kea,
    "mikrotik": _mikrotik,
}


def is_ipv4(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
