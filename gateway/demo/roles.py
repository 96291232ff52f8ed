"""The roles of the demonstration and their places: users, the extension, tones, and every address.

Lives here: the constants that provider, phone and printout share, and the scene, which is read from the gateway's own
configuration (only the phone's address is not in it), with the list of ports that must be free. Not here: the check of
those ports, the play. Each end plays its own tone, so that an echo or a loop cannot pass for two-way audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from attrs import frozen

from gateway.config.model import Configuration, Domain
from gateway.demo.agent.accounts import Account
from gateway.demo.free_ports import NeededPort
from gateway.demo.lan import LanHost
from gateway.sip.uri import Uri
from gateway.transport.flow import Address

PASSWORDS: Mapping[str, str] = MappingProxyType({"alice": "secret", "bob": "secret"})
CALLER = "alice"
EXTENSION = "echo"

PHONE_TONE = 440  # Hz
PROVIDER_TONE = 880  # Hz


class Unsuitable(Exception):
    """The configuration cannot be used for the demonstration; str() is one line."""


@frozen
class Scene:
    """The addresses of a demonstration, and its domain."""

    configuration: Configuration
    phones: Address  # where the gateway takes phones
    provider: Address
    phone: Address
    domain: Domain
    certificate: Path  # the provider's
    private_key: Path
    lan: LanHost | None = None  # where phones of the network reach it
    call_back_after: float | None = None  # seconds after a registration when the provider calls that phone

    @property
    def account(self) -> Account:
        """The demonstration phone's."""
        return Account(CALLER, self.domain.name, PASSWORDS[CALLER])

    @property
    def admin(self) -> str:
        """The administration interface's URL, without a path."""
        admin = self.configuration.admin
        return f"http://{Address(admin.address, admin.port)}"

    @property
    def logs(self) -> Path:
        """The directory of the processes' output."""
        return self.configuration.gateway.state_directory.resolve() / "demo"

    def needed_ports(self) -> Iterable[NeededPort]:
        """Every port that somebody is going to listen on, but for audio."""
        for listener in self.configuration.listeners:
            transport = "udp" if listener.transport == "udp" else "tcp"
            purpose = f"the gateway's listener {listener.name!r}"
            yield NeededPort(transport, listener.address, listener.port, purpose)
        admin = self.configuration.admin
        yield NeededPort("tcp", admin.address, admin.port, "the gateway's administration and metrics")
        yield NeededPort("tcp", self.provider.host, self.provider.port, "the demonstration provider")
        yield NeededPort("udp", self.phone.host, self.phone.port, "the demonstration phone")


def set_scene(configuration: Configuration, phone: Address, certificate: Path, private_key: Path) -> Scene:
    """The scene of a configuration. Raises Unsuitable without a place for a UDP phone or a provider with an address."""
    phones = configuration.phone_listener("udp")
    if phones is None:
        raise Unsuitable("the demonstration needs a listener for phones over udp")
    domain = configuration.domains[0]
    provider = next(entry for entry in configuration.providers if entry.name == domain.provider)
    uri = Uri.parse(provider.uri)
    if uri.port is None or not uri.host[:1].isdigit():
        raise Unsuitable(f"provider {provider.name!r} needs a numeric address and a port for the demonstration: {uri}")
    return Scene(
        configuration,
        Address(phones.address, phones.port),
        Address(uri.host, uri.port),
        phone,
        domain,
        certificate,
        private_key,
    )
