"""The mistakes of the table [cluster]: among its keys, of its files, and beside other tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.config.named_files import file_mistakes, private_file_mistakes
from gateway.config.structuring import Mistake, Unread, known
from gateway.config.tables.optional.cluster_table import Cluster, WithoutStore


def cluster_mistakes(table: Cluster | None, acme: object, network: Any) -> Iterator[Mistake]:
    """The mistakes of the table, if there is one; `acme` is that table or None, `network` that one or its default."""
    if table is None:
        return
    yield from file_mistakes("cluster", table, "key_file", "old_key_file", "password_file", "trust")
    for key in ("key_file", "old_key_file", "password_file"):
        yield from private_file_mistakes("cluster", table, key)
    yield from _store_mistakes(table)
    if known(table, "without_store") is WithoutStore.SERVE and _is_absent(table, "address"):
        text = 'found "serve" without address: nothing but the floating address tells then which of two nodes may serve'
        yield Mistake("cluster.without_store", text)
    if acme is not None:
        text = "does not go with [acme]: a node that waits has no certificate by it; give each node the files"
        yield Mistake("cluster", text)
    if network is not None and str(known(network, "mode")) == "dhcp":
        yield Mistake("cluster", 'does not go with [network] mode = "dhcp": the floating address is no leased one')


def _store_mistakes(table: Cluster) -> Iterator[Mistake]:
    places = known(table, "store")
    if places is None:
        return
    if not places:
        yield Mistake("cluster.store", "is empty: the store, or its sentinels, has to be somewhere")
    if len(places) > 1 and _is_absent(table, "sentinel"):
        text = f"found {len(places)} places without sentinel: several servers take sentinels that know the master"
        yield Mistake("cluster.store", text)
    if len({one.is_secure for one in places}) > 1:
        yield Mistake("cluster.store", "found redis:// beside rediss://, allowed: one of them for all")
    if known(table, "insecure") is False and any(not one.is_secure and not one.is_here for one in places):
        text = "redis:// to another machine is in clear: use rediss://, or set insecure = true"
        yield Mistake("cluster.store", text)


def _is_absent(table: Cluster, key: str) -> bool:
    try:
        return getattr(table, key) is None
    except Unread:  # it is there, and it is wrong
        return False
