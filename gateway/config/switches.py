"""The settings in force while the gateway runs: the configuration file, with the operators' switches on top.

Here: switching a domain's security at run time, reading the file again, keeping switches over restarts, and the audit
of each change. Not here: passwords and certificates, and the consequences of a change (`Parts`).

    FILE -load-> Parts.prepare (passwords, certificates) -> configured --switches--> current -> Parts.adopt
    switch(domain, security, who) -> switches.json, audit.jsonl        reload(who) -> audit.jsonl

A change is adopted whole or not at all: an error leaves the running configuration, the switches and the file of
switches as they were. A switch counts until the file says something new for that domain: an edit after a switch is
meant. All but domains, providers, PBXs, lists of addresses and the defence is made once; a change there waits for a
restart and is told. So does the first PBX: a gateway without any is made of plainer parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
from twisted.logger import Logger

from gateway.base.clock import Clock
from gateway.base.json_codec import Json
from gateway.base.private_files import replace_private
from gateway.config.fields import uri_transport
from gateway.config.load import load
from gateway.config.model import Configuration, ConfigurationError, Domain, Provider, Security, Side
from gateway.state.audit import AuditLog

log = Logger()

FIXED: Final = (
    *("gateway", "listeners", "media", "admin", "limits", "hep", "acme", "posture", "alerts"),
    *("provisioning", "network", "cluster"),
)
"""Parts of a configuration that only a restart changes."""
FOLLOWED: Final = ("defence", "resync", "resync_makes")
"""Parts without rows of their own in the list of changes, that follow each reload."""


Snapshot = dict[str, dict[str, str]]
"""Domain or provider -> field -> value."""


class Parts(Protocol):
    """The running parts of the gateway, which go by a configuration."""

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        """Read again the files that a configuration names: all that can fail. The result takes them into use, and
        cannot fail. Raises CredentialsError, CertificateError or OSError."""

    def adopt(self, configuration: Configuration) -> None:
        """Go by other domains and providers from now on; cannot fail."""


class NoSuchDomain(Exception):
    """The gateway serves no domain of that name."""


@attrs.frozen
class Switch:
    """A domain's security as an operator set it at run time."""

    security: Security
    configured: Security
    """The security in the file when the switch was set."""
    who: str
    at: float
    """Seconds since the epoch."""


class Settings:
    """The configuration in force, and the ways to change it; ``parts`` are told of each change."""

    def __init__(self, configuration: Configuration, audit: AuditLog, clock: Clock, parts: Parts) -> None:
        """Raises ConfigurationError for a file of switches that cannot be read."""
        self._configured = configuration
        self.audit = audit
        self._clock = clock
        self._parts = parts
        self._path = configuration.gateway.state_directory / "switches.json"
        self._adopted = configuration.gateway.state_directory / "adopted.json"
        self._fixed = FIXED if configuration.phones else (*FIXED, "phones")
        self._switches = _still_good(_read(self._path), configuration)
        self.current = _switched(configuration, self._switches)
        self._changed_at: dict[str, float] = {}
        self._note_restart()

    def security_of(self, domain: str) -> Switch | None:
        """The switch that is set on a domain."""
        return self._switches.get(domain.lower())

    def changed_at(self, domain: str) -> float:
        """When the way to a domain's provider last changed in this run, seconds since the epoch; 0 for never."""
        return self._changed_at.get(domain.lower(), 0.0)

    def address_changed(self) -> None:
        """Providers reach the gateway at another address from now on: each domain's way to its provider is another."""
        self._changed_at.update(dict.fromkeys(_ways(self.current), self._clock.now()))

    def switch(self, name: str, security: Security | None, who: str, because: str = "") -> Domain:
        """Set a domain's security from now on (None: as in the file), for the reason that its author gives. Raises
        NoSuchDomain, OSError."""
        domain = _named(self._configured, name)
        before = _named(self.current, name).security
        switches = {key: value for key, value in self._switches.items() if key != domain.name.lower()}
        if security is not None:
            switches[domain.name.lower()] = Switch(security, domain.security, who, self._clock.wall())
        self._adopt(self._configured, switches)
        self._parts.adopt(self.current)
        after = _named(self.current, name)
        said: dict[str, Json] = {"domain": domain.name, "from": str(before), "to": str(after.security)}
        if because:
            said["because"] = because
        self.audit.write(who, "switch", **said)
        log.info(
            "{domain}: security is {to} now, was {was} ({who})", was=before, to=after.security, who=who, domain=name
        )
        return after

    def reload(self, who: str) -> tuple[str, ...]:
        """Read the file again; gives the changes, a line each. Raises ConfigurationError and as ``Parts.prepare``."""
        configuration = load(self._configured.source)
        before = self._configured
        waiting = [part for part in self._fixed if getattr(configuration, part) != getattr(self._configured, part)]
        kept = attrs.evolve(configuration, **{part: getattr(self._configured, part) for part in self._fixed})
        changes = tuple(_changes(_snapshot(before), _snapshot(kept)))
        _check_reachable(kept)
        use_files = self._parts.prepare(kept)
        self._adopt(kept, _still_good(self._switches, kept))
        use_files()
        self._parts.adopt(self.current)
        changes += tuple(f"{part}: changed" for part in FOLLOWED if getattr(kept, part) != getattr(before, part))
        told = (*changes, *(f"{part}: changed, which takes a restart" for part in waiting))
        self.audit.write(who, "reload", changes=[*told])
        self._keep_snapshot(_snapshot(kept))
        return told

    def _note_restart(self) -> None:
        """Audit the changes since the file was last read: an edit came with a restart."""
        snapshot = _snapshot(self._configured)
        before = _read_snapshot(self._adopted)
        changes = [] if before is None else [*_changes(before, snapshot)]
        if changes:
            self.audit.write("restart", "start", changes=[*changes])
        if before != snapshot:
            self._keep_snapshot(snapshot)

    def _keep_snapshot(self, snapshot: Snapshot) -> None:
        """An error undoes no change: without the snapshot only the next audit entry would miss something."""
        try:
            _write(self._adopted, snapshot)
        except OSError as error:
            log.error("{path} cannot be written: {reason}", path=self._adopted, reason=error.strerror)

    def _adopt(self, configured: Configuration, switches: dict[str, Switch]) -> None:
        if switches != self._switches:
            _write(self._path, {name: attrs.asdict(switch) for name, switch in switches.items()})
        before = _ways(self.current)
        self._configured, self._switches, self.current = configured, switches, _switched(configured, switches)
        after = _ways(self.current)
        self._changed_at.update((name, self._clock.now()) for name, way in after.items() if before.get(name) != way)


def _named(configuration: Configuration, name: str) -> Domain:
    wanted = name.lower().rstrip(".")
    for domain in configuration.domains:
        if domain.name.lower() == wanted:
            return domain
    raise NoSuchDomain(f"There is no domain {name}.")


def _ways(configuration: Configuration) -> dict[str, tuple[Security, Provider]]:
    """The security and provider of each domain: all that decides its way."""
    providers = {provider.name: provider for provider in configuration.providers}
    return {domain.name.lower(): (domain.security, providers[domain.provider]) for domain in configuration.domains}


def _switched(configuration: Configuration, switches: dict[str, Switch]) -> Configuration:
    return attrs.evolve(
        configuration,
        domains=tuple(
            attrs.evolve(domain, security=switch.security)
            if (switch := switches.get(domain.name.lower())) is not None
            else domain
            for domain in configuration.domains
        ),
    )


def _still_good(switches: dict[str, Switch], configuration: Configuration) -> dict[str, Switch]:
    """Switches of domains with the same security in the file as when they were set."""
    configured = {domain.name.lower(): domain.security for domain in configuration.domains}
    good = {name: switch for name, switch in switches.items() if configured.get(name) is switch.configured}
    for name in switches.keys() - good.keys():
        log.warn("{domain}: the configuration file was changed after the switch, and counts now", domain=name)
    return good


def _check_reachable(configuration: Configuration) -> None:
    """A provider or PBX needs a listener of its transport, and those are not opened now. Raises ConfigurationError."""
    offered = {listener.transport for listener in configuration.listeners if listener.side is Side.PROVIDER}
    lines = []
    for provider in configuration.providers:
        for uri in provider.uris:
            transport = uri_transport(uri)
            if transport is not None and transport not in offered:
                lines.append(
                    f"{configuration.source}: provider {provider.name}: {uri} needs a {transport} listener that a "
                    "restart opens"
                )
    lines += _phones_out_of_reach(configuration)
    if lines:
        raise ConfigurationError(tuple(lines))


def _phones_out_of_reach(configuration: Configuration) -> Iterator[str]:
    """The same for PBXs: one over TLS is known by its certificate, which a listener has to ask for."""
    offered = {
        (listener.transport, listener.client_trust is not None)
        for listener in configuration.listeners
        if listener.side is Side.PHONES
    }
    for phone in configuration.phones:
        transport = uri_transport(phone.addresses[0])
        kind = "tls listener with client_trust" if transport == "tls" else f"{transport} listener"
        if (transport, True) not in offered and (transport == "tls" or (transport, False) not in offered):
            uri = phone.addresses[0]
            yield f"{configuration.source}: phone {phone.name}: {uri} needs a {kind} that a restart opens"


def _snapshot(configuration: Configuration) -> Snapshot:
    """The fields of a configuration's domains, providers and other tables that follow a reload, as text."""
    kinds: tuple[tuple[str, Sequence[Any]], ...] = (
        ("domain", configuration.domains),
        ("provider", configuration.providers),
        ("blocklist", configuration.blocklists),
        ("limit", configuration.limit),
        ("phone", configuration.phones),
        ("number", configuration.numbers),
    )
    return {
        f"{kind} {item.name}": {field.name: _shown(getattr(item, field.name)) for field in attrs.fields(type(item))}
        for kind, items in kinds
        for item in items
    }


def _changes(old: Snapshot, new: Snapshot) -> Iterator[str]:
    for what, fields in new.items():
        before = old.get(what)
        if before is None:
            yield f"{what}: new"
            continue
        for name, value in fields.items():
            if before.get(name, value) != value:
                yield f"{what}: {name}: {before[name]} -> {value}"
    yield from (f"{what}: gone" for what in old if what not in new)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else "none" if value is None else str(value)


def _read(path: Path) -> dict[str, Switch]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Switch(Security(entry["security"]), Security(entry["configured"]), entry["who"], entry["at"])
            for name, entry in entries.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{path}: cannot be used: {error}; move it away to go by the configuration file alone"
        raise ConfigurationError((why,)) from None


def _read_snapshot(path: Path) -> Snapshot | None:
    """The snapshot of the last start or reload; None where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(what): {str(name): str(value) for name, value in fields.items()} for what, fields in found.items()}
    except (OSError, ValueError, AttributeError):
        return None


def _write(path: Path, entries: Mapping[str, Mapping[str, object]]) -> None:
    replace_private(path, (json.dumps(entries, indent=2) + "\n").encode())
