"""The table [cluster]: two nodes, of which one is active, and the store that holds its lease and copies of its state.

Here: its keys. Not here: their mistakes (cluster_checks), the store and the lease (gateway/state/cluster), the node
that waits (gateway/app/cluster).
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

import attrs

from gateway.config import fields
from gateway.config.structuring import Unacceptable, number

_STORE: Final = re.compile(
    r"(?P<scheme>rediss?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d{1,5}))?/?"
)
_DEFAULT_PORT: Final = 6379


class WithoutStore(StrEnum):
    """Of the active node whose store does not answer while its lease ends."""

    STOP = "stop"
    SERVE = "serve"


@attrs.frozen
class StorePlace:
    """A server of the store, or a sentinel that knows it."""

    host: str
    """A name or a numeric address, IPv6 without brackets."""
    port: int
    is_secure: bool

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return fields.is_address(self.host) and ip_address(self.host).is_loopback

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.is_secure else 'redis'}://{host}:{self.port}"


def store_url(value: object) -> StorePlace:
    """rediss://HOST:PORT of Redis or Valkey. Raises Unacceptable."""
    found = _STORE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 < int(found["port"] or _DEFAULT_PORT) < 65536:
        raise Unacceptable(value, "rediss://HOST:PORT (over TLS) or redis://HOST:PORT, without a user or a password")
    return StorePlace(found["host"].strip("[]"), int(found["port"] or _DEFAULT_PORT), found["scheme"] == "rediss")


def cluster_mode(value: object) -> str:
    """The only way that nodes share the work."""
    if value != "standby":
        raise Unacceptable(value, 'only "standby": one node is active and the others wait; this version has no others')
    return str(value)


@attrs.frozen
class Cluster:
    """[cluster]: this node, its store, and its part of the lease."""

    node: Annotated[str, fields.name]
    store: tuple[Annotated[StorePlace, store_url], ...]
    key_file: Path
    """The secret that copies are sealed with, 32 bytes or more; the same on each node."""
    old_key_file: Path | None = None
    """The one before: copies that it sealed are read still."""
    name: Annotated[str, fields.name] = "gateway"
    """Of the cluster, in the names of all keys in the store."""
    mode: Annotated[str, cluster_mode] = "standby"
    address: Annotated[str, fields.address] | None = None
    """The floating address: a node without it never is active."""
    lease_ms: Annotated[int, number(500, 60_000)] = 3000
    """Life of the lease, which is renewed each third of it."""
    without_store: WithoutStore = WithoutStore.STOP
    sentinel: Annotated[str, fields.name] | None = None
    """The name of the master that sentinels are asked for; `store` are their places then."""
    user: Annotated[str, fields.name] = "default"
    password_file: Path | None = None
    trust: Literal["system"] | Path = "system"
    """The authorities that the store's certificate must come from."""
    insecure: bool = False
    """Whether redis:// may lead to another machine."""
