"""Provisioning: its files, the devices of before, its ports, and its routes.

    [provisioning] -> EstateFiles -> Estate <- Standings <- provisioning.sqlite
    ports (provisioning_ports.py) -> Provisioner -> Estate

A part of the administration, which builds it, starts and stops it. Without [provisioning] there are its routes alone,
which say so. The secret that tokens are made with is in `provisioning.key`, and its epoch in the file of standings:
where that file is lost, and with it the knowledge which tokens are worth nothing any more, all of them are.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger

from gateway.admin.provisioning.provisioning_office import ProvisioningOffice, ProvisioningTools
from gateway.admin.provisioning.provisioning_pages import ProvisioningPages
from gateway.admin.provisioning.provisioning_routes import ProvisioningRoutes
from gateway.app.administration.provisioning_ports import ProvisioningPorts
from gateway.app.parts import Adopt, Basis, GatewayPart
from gateway.app.start_checks import go_on_without
from gateway.base.private_files import kept_secret
from gateway.config.device_file import DeviceFileError, device_of
from gateway.config.model import Configuration, ConfigurationError, Listener, Provisioning, Side
from gateway.config.switches import Settings
from gateway.provisioning.estate import Estate, EstateFiles
from gateway.provisioning.estate_files import dhcp_facts, estate_files
from gateway.provisioning.profiles import ProfileError
from gateway.provisioning.provisioner import Provisioner, ProvisionerClock
from gateway.provisioning.standings import KEPT, Standings
from gateway.security.credentials import Passwords
from gateway.state.table import KeptTable
from gateway.transport.layer import TransportLayer

log = Logger()

NAME: Final = "[provisioning]"
"""Of its TLS among the listeners."""
EPOCH: Final = "epoch"


class ProvisioningPart(GatewayPart):
    """The server of phones' files."""

    def __init__(
        self,
        basis: Basis,
        settings: Settings,
        table: KeptTable,
        transport: TransportLayer,
        rest: Callable[[], Awaitable[None]],
    ) -> None:
        """``rest`` gives a moment to calls. Raises ConfigurationError, CertificateError."""
        self._basis = basis
        self._table = table
        self._configuration = basis.configuration
        self._terms = terms = basis.configuration.provisioning
        self._ports: ProvisioningPorts | None = None
        self._estate: Estate | None = None
        self._tls = None
        if terms is not None:
            self._estate = Estate(_read(self._configuration), Standings(table, basis.clock.now))
            basis.metrics.asked.add(self._estate.figures)
            if terms.https_port:
                self._tls = transport.serve_tls(_as_listener(self._configuration, terms), resumes=False)
                _look_at_name(self._configuration, terms, self._tls.reports[0].identity.names)
        office = ProvisioningOffice(self._tools, settings.audit, rest)
        basis.routes.extend(ProvisioningRoutes(office).routes())
        basis.pages.append(lambda desk: ProvisioningPages(office, desk).routes())

    @property
    def estate(self) -> Estate | None:
        """The devices that files are served to; None without [provisioning]."""
        return self._estate

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Read how devices stand, then listen. Fails with CannotListen, InUse and OSError."""
        terms, estate = self._terms, self._estate
        if terms is None or estate is None:
            return
        rows = yield self._table.latest(KEPT).addErrback(go_on_without)
        epoch = yield self._epoch(is_readable=rows is not None)
        estate.standings.recall([row for row in rows or () if row[0] != EPOCH])
        secret = kept_secret(self._configuration.gateway.state_directory / "provisioning.key")
        estate.start(secret, epoch)
        self._know_adopted()
        clock = ProvisionerClock(self._basis.clock.seconds, self._basis.clock.wall)
        provisioner = Provisioner(estate, terms.proof, terms.requests_per_source, self._basis.metrics, clock)
        address = _address(self._configuration, terms)
        self._ports = ProvisioningPorts(
            self._basis, terms, address, None if self._tls is None else self._tls.connection
        )
        self._ports.open(provisioner)

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Listen no more."""
        if self._ports is not None:
            yield self._ports.stop()

    def prepare(self, configuration: Configuration) -> Adopt:
        """Read devices, templates and passwords again. Raises ConfigurationError."""
        estate = self._estate
        if estate is None or configuration.provisioning is None:
            return super().prepare(configuration)
        files = _read(configuration)

        def adopt() -> None:
            self._configuration = configuration
            estate.adopt(files)
            self._know_adopted()

        return adopt

    @inlineCallbacks
    def _epoch(self, *, is_readable: bool) -> Generator[Deferred[Any], Any, bytes]:
        """Random bytes of the file of standings. One that cannot be read has tokens of this run alone."""
        kept = (yield self._table.find(EPOCH)) if is_readable else None
        if kept is not None and isinstance(kept.get("epoch"), str):
            return str(kept["epoch"]).encode()
        made = os.urandom(16).hex()
        if is_readable:
            self._table.put_at_once(EPOCH, self._basis.clock.now(), {"epoch": made})
        return made.encode()

    def _know_adopted(self) -> None:
        """Adopted devices that are not in the file. One that fits no more, since its domain is gone, is left out."""
        estate = self._estate
        assert estate is not None
        for address, table in estate.standings.adopted.items():
            if estate.find(address) is not None:
                continue
            try:
                estate.know(address, device_of(table, self._domains()))
            except DeviceFileError as error:
                log.warn("device {device} is left out: {reason}", device=address, reason=str(error))

    def _domains(self) -> frozenset[str]:
        return frozenset(domain.name for domain in self._configuration.domains)

    def _tools(self) -> ProvisioningTools | None:
        estate, terms = self._estate, self._terms
        if estate is None or terms is None:
            return None
        return ProvisioningTools(
            estate,
            lambda: dhcp_facts(self._configuration, terms, estate.place),
            self._domains,
            lambda user, domain: estate.password_of(user, domain) is not None,
            self._basis.clock.seconds,
            self._basis.metrics.events,
        )


def _read(configuration: Configuration) -> EstateFiles:
    """All files. Raises ConfigurationError, CredentialsError."""
    terms = configuration.provisioning
    assert terms is not None
    passwords = {one.name: Passwords.load(one.credentials) for one in configuration.domains if one.credentials}
    try:
        return estate_files(configuration, terms, lambda user, domain: _password(passwords, user, domain))
    except DeviceFileError as error:
        told = [f"provisioning.devices: {one}" for one in error.mistakes]
    except ProfileError as error:
        told = [f"provisioning.directory: {error}"]
    except (OSError, UnicodeDecodeError) as error:
        told = [f"provisioning: {error}"]
    raise ConfigurationError(tuple(f"{configuration.source}: {one}" for one in told))


def _password(passwords: dict[str, Passwords], user: str, domain: str) -> str | None:
    of_domain = passwords.get(domain)
    return None if of_domain is None else of_domain.of(user)


def _as_listener(configuration: Configuration, terms: Provisioning) -> Listener:
    """Provisioning as a TLS listener, for its certificate."""
    phones = configuration.phone_listener("tls")
    assert phones is not None  # the configuration was checked
    return Listener(
        NAME,
        Side.PHONES,
        "tls",
        _address(configuration, terms),
        terms.https_port,
        advertised_host=terms.name,
        certificate=terms.certificate or phones.certificate,
        private_key=terms.private_key or phones.private_key,
        client_trust=terms.client_trust,
    )


def _address(configuration: Configuration, terms: Provisioning) -> str:
    phones = configuration.phone_listener("tls")
    return terms.address or (phones.address if phones is not None else "127.0.0.1")


def _look_at_name(configuration: Configuration, terms: Provisioning, names: tuple[str, ...]) -> None:
    """Raises ConfigurationError where phones would not take the certificate for the name in their URLs."""
    if terms.name not in (name.lower() for name in names):
        file = terms.certificate or "the certificate of the phones' TLS listener"
        text = f'provisioning.name: "{terms.name}" is not among the names of {file}'
        raise ConfigurationError((f"{configuration.source}: {text}",))
