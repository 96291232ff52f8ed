"""The state of the other node, put into this one's state directory before the usual start.

Here: which files there are, and in which order they are looked at. Not here: the reading of the store (restored).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from gateway.admin.accounts.store import prepare_accounts
from gateway.app.start_checks import put_aside_what_is_bad
from gateway.registrar.sqlite_store import prepare_bindings
from gateway.state.cluster.cluster_store import ClusterStore, Taken
from gateway.state.cluster.restored import Databases, found_in, restore_all
from gateway.state.devices.device_table import prepare_devices
from gateway.state.table import prepare

log = Logger()

DATABASES: Final[Databases] = {
    "bindings.sqlite": prepare_bindings,
    "users.sqlite": prepare_accounts,
    "devices.sqlite": prepare_devices,
    **{
        f"{name}.sqlite": prepare
        for name in ("peers", "sources", "limits", "bans", "deviations", "provisioning", "rollouts", "posture")
    },
}
"""The files that are copied. Records of calls (calls.sqlite) and of probes stay with the node that wrote them."""


async def take_over(store: ClusterStore, keys: Sequence[bytes], taken: Taken, directory: Path, reactor: Any) -> int:
    """Put the whole generation of the store into the files; the number of its entries.

    Raises StoreSilent, NotOpened, OSError, sqlite3.Error: this node may not become active then.
    """
    found = await found_in(store, keys, taken.generation)

    def restore() -> None:
        put_aside_what_is_bad(directory)
        restore_all(found, directory, DATABASES, taken.seen_at)

    await deferToThreadPool(reactor, reactor.getThreadPool(), restore)
    return found.count
