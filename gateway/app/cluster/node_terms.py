"""[cluster] as the store, the lease and the secrets that it describes; the configuration of a turn that has come."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs
from twisted.logger import Logger

from gateway.base.network.kernel import RunningKernel
from gateway.config.load import load
from gateway.config.model import Cluster, Configuration, ConfigurationError, WithoutStore
from gateway.security.alerts.tls_way import VerifiedServer
from gateway.state.cluster.cluster_seal import LEAST_SECRET
from gateway.state.cluster.link import StoreLink, StoreTerms
from gateway.state.cluster.membership import KernelTimer
from gateway.state.cluster.node_lease import LeaseTerms

log = Logger()

PATIENCE: Final = 0.25
"""The share of the lease's life that an answer of the store may take."""
USED: Final = ("cluster", "admin")
"""Tables that a node has used since its start: its lease is by them, and its interface is where they say."""


def configuration_now(before: Configuration) -> Configuration:
    """The configuration as its file has it now, perhaps weeks after the start of a node that waited, but for all that
    the node has used since: the tables USED, and the state directory, into which the other node's state was put. With
    mistakes in the file, the one of the start."""
    try:
        found = load(before.source)
    except ConfigurationError as error:
        for line in error.errors:
            log.error("this node becomes active with the configuration of its start: {mistake}", mistake=line)
        return before
    directory = before.gateway.state_directory
    differs = [f"[{part}]" for part in USED if getattr(found, part) != getattr(before, part)]
    if found.gateway.state_directory != directory:
        differs.append("gateway.state_directory")
    for part in differs:
        log.warn("{part} was changed since this node's start, which takes a restart", part=part)
    kept: dict[str, Any] = {part: getattr(before, part) for part in USED}
    return attrs.evolve(found, gateway=attrs.evolve(found.gateway, state_directory=directory), **kept)


def lease_terms(cluster: Cluster) -> LeaseTerms:
    """The lease's."""
    return LeaseTerms(cluster.lease_ms / 1000, serves_alone=cluster.without_store is WithoutStore.SERVE)


def link_of(configuration: Configuration, cluster: Cluster, reactor: Any) -> StoreLink:
    """The connection to the store. Raises ConfigurationError, CertificateError."""
    places = tuple((one.host, one.port) for one in cluster.store)
    password = None
    if cluster.password_file is not None:
        password = _content(configuration, "password_file", cluster.password_file).rstrip(b"\r\n")
    tls: Any = None
    if cluster.store[0].is_secure:
        VerifiedServer(cluster.store[0].host, cluster.trust)  # a trust that cannot be read is told now

        def tls(host: str) -> VerifiedServer:
            return VerifiedServer(host, cluster.trust)

    patience = cluster.lease_ms / 1000 * PATIENCE
    return StoreLink(StoreTerms(places, cluster.user, password, cluster.sentinel, tls, patience), reactor)


def secrets_of(configuration: Configuration, cluster: Cluster) -> tuple[bytes, ...]:
    """The secrets of copies, the one that seals first. Raises ConfigurationError."""
    files = [("key_file", cluster.key_file)]
    files += [("old_key_file", cluster.old_key_file)] if cluster.old_key_file is not None else []
    return tuple(_secret(configuration, key, file) for key, file in files)


def _secret(configuration: Configuration, key: str, file: Path) -> bytes:
    secret = _content(configuration, key, file)
    if len(secret) < LEAST_SECRET:
        told = f"cluster.{key}: {file} has {len(secret)} bytes, allowed: {LEAST_SECRET} or more (openssl rand 32)"
        raise ConfigurationError((f"{configuration.source}: {told}",))
    return secret


def _content(configuration: Configuration, key: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        told = f"cluster.{key}: {file} cannot be read: {error.strerror}"
        raise ConfigurationError((f"{configuration.source}: {told}",)) from None


class ThisMachine(KernelTimer):
    """The machine under this node. `address` is the floating one; None where there is none."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._kernel = RunningKernel()

    def has_address(self) -> bool:
        """See NodeMachine."""
        return self._address is None or self._kernel.is_own(self._address)
