"""The one configuration of the gateway under test: a domain and a provider for every cell.

Each cell has a provider of its own in the configuration, although all of a kind are the same scripted one: the
gateway's memory of one cell's provider must not decide another's call.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from tests.support.calls.certificates import Certificate

HEAD = """\
[gateway]
name = "gw1"
state_directory = "state"
drain_seconds = 0
stop = "end"

[media]
relay = "workers"
address = "{address}"
ports = "{first}-{last}"
workers = 1

[admin]
address = "{address}"
port = {admin}
"""

LISTENER = """
[[listener]]
name = "{side}-{transport}"
side = "{side}"
transport = "{transport}"
address = "{address}"
port = {port}
"""

TLS = """\
certificate = "{chain}"
private_key = "{key}"
"""

PROVIDER = """
[[provider]]
name = "{name}"
uri = "sip:{address}:{tls};transport=tls"
fallback_uri = "sip:{address}:{udp};transport=udp"
trust = "{trust}"
"""

DOMAIN = """
[[domain]]
name = "{name}"
provider = "{name}"
security = "{security}"
downgrade = "{downgrade}"
"""


@attrs.frozen
class Ports:
    """The gateway's own."""

    phones_udp: int
    phones_tls: int
    provider_udp: int
    provider_tls: int
    admin: int
    media: tuple[int, int]


@attrs.frozen
class Served:
    """One domain with its provider."""

    name: str
    security: str
    tls: int  # the provider's TLS port
    udp: int  # its UDP port
    has_certificate: bool = False  # whether we have one to show it
    downgrade: str = "alert"


@attrs.frozen
class Site:
    """What every domain has in common."""

    gateway: str  # address
    provider: str  # address
    ports: Ports
    certificate: Certificate
    trust: Path

    def text(self, domains: Iterable[Served]) -> str:
        """The configuration file."""
        ports = self.ports
        head = HEAD.format(address=self.gateway, first=ports.media[0], last=ports.media[1], admin=ports.admin)
        listeners = [
            self._listener("phones", "udp", ports.phones_udp),
            self._listener("phones", "tls", ports.phones_tls),
            self._listener("provider", "udp", ports.provider_udp),
            self._listener("provider", "tls", ports.provider_tls) + f'client_trust = "{self.trust}"\n',
        ]
        return "".join([head, *listeners, *map(self._domain, domains)])

    def _listener(self, side: str, transport: str, port: int) -> str:
        text = LISTENER.format(side=side, transport=transport, address=self.gateway, port=port)
        return text + (self._identity() if transport == "tls" else "")

    def _domain(self, served: Served) -> str:
        provider = PROVIDER.format(
            name=served.name, address=self.provider, tls=served.tls, udp=served.udp, trust=self.trust
        )
        domain = DOMAIN.format(name=served.name, security=served.security, downgrade=served.downgrade)
        return provider + (self._identity() if served.has_certificate else "") + domain

    def _identity(self) -> str:
        return TLS.format(chain=self.certificate.chain, key=self.certificate.key)
