"""The memory of peers on its way to and from the table that keeps it over restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from gateway.security.policy.peer_memory import Keep, Peer, Sightings
from gateway.state.table import KeptTable, Value


def keeper(table: KeptTable, now: Callable[[], float]) -> Keep:
    """What keeps each change of a memory in ``table``; ``now`` gives seconds since the epoch."""

    def keep(peer: Peer, sightings: Sightings | None) -> None:
        key = f"{peer.name} {peer.target}"
        if sightings is None:
            table.drop(key)
        else:
            table.put(key, now(), {"name": peer.name, "target": peer.target, **attrs.asdict(sightings)})

    return keep


def recalled(kept: Iterable[tuple[str, Value]]) -> Iterator[tuple[Peer, Sightings]]:
    """What was kept; a value that another version wrote is passed over."""
    for _, value in kept:
        name, target = value.get("name"), value.get("target")
        if isinstance(name, str) and isinstance(target, str):
            moments = {field.name: _moment(value.get(field.name)) for field in attrs.fields(Sightings)}
            yield Peer(name, target), Sightings(**moments)


def _moment(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
